//! What a PowerShell job says. Never acts on it.

use jobcell_plugin_sdk::configuration::is_absolute;
use jobcell_plugin_sdk::types::{Detail, Failure, Problem, Severity};
use serde::Deserialize;

use crate::syntax::{self, Doubt};

/// The job type's own keys.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Configuration {
    pub(crate) execution_mode: Mode,
    pub(crate) inline_script: Option<String>,
    pub(crate) script_path: Option<String>,
    #[serde(default = "bypass")]
    pub(crate) execution_policy: String,
    pub(crate) working_directory: Option<String>,
}

/// Where the script is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    Inline,
    Script,
}

fn bypass() -> String {
    "Bypass".to_owned()
}

impl Configuration {
    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text).map_err(|error| {
            Failure::Invalid(Detail {
                code: "configuration".to_owned(),
                message: format!("the configuration can't be read: {error}"),
                attributes: Vec::new(),
            })
        })
    }

    /// What the schema can't say.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut found = |severity, pointer: &str, message: &str, hint: &str| {
            problems.push(Problem {
                severity,
                pointer: pointer.to_owned(),
                position: None,
                message: message.to_owned(),
                hint: Some(hint.to_owned()),
            });
        };
        let paths = [
            ("/scriptPath", self.script_path.as_deref()),
            ("/workingDirectory", self.working_directory.as_deref()),
        ];
        for (pointer, path) in paths {
            if path.is_some_and(|path| !is_absolute(path)) {
                let message = format!("`{}` must be an absolute path", &pointer[1..]);
                let hint = "the server runs in a folder of its own; write for example \
                            `/opt/scripts/check.ps1` or `C:\\Scripts\\check.ps1`";
                found(Severity::Error, pointer, &message, hint);
            }
        }
        let unused = match self.execution_mode {
            Mode::Inline => self.script_path.is_some().then_some("/scriptPath"),
            Mode::Script => self.inline_script.is_some().then_some("/inlineScript"),
        };
        if let Some(pointer) = unused {
            let message = format!("`{}` is not used in this `executionMode`", &pointer[1..]);
            found(
                Severity::Warning,
                pointer,
                &message,
                "remove it, or change the mode",
            );
        }
        if self.execution_mode == Mode::Inline {
            let script = self.inline_script.as_deref().unwrap_or_default();
            problems.extend(syntax::doubts(script).into_iter().map(problem_of));
        }
        problems
    }
}

fn problem_of(doubt: Doubt) -> Problem {
    Problem {
        severity: Severity::Warning,
        pointer: "/inlineScript".to_owned(),
        position: Some((doubt.line, doubt.column)),
        message: doubt.message,
        hint: Some("if PowerShell takes it, leave it: the check knows less than it".to_owned()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_is_an_error_and_a_useless_key_a_warning() {
        let text = r#"{"executionMode":"inline","inlineScript":"x","scriptPath":"a.ps1"}"#;
        let problems = Configuration::read(text).unwrap().problems();
        let severities: Vec<_> = problems.iter().map(|problem| problem.severity).collect();
        assert_eq!(severities, [Severity::Error, Severity::Warning]);
        assert!(
            problems
                .iter()
                .all(|problem| problem.pointer == "/scriptPath")
        );
    }
}
