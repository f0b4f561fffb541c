//! What a command job says. Never acts on it.

use jobcell_plugin_sdk::configuration::{error, is_absolute, read, warning};
use jobcell_plugin_sdk::types::Problem;
use serde::Deserialize;
use serde_json::Value;

/// The job type's own keys.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Configuration {
    pub(crate) program: Option<String>,
    #[serde(default)]
    pub(crate) arguments: Vec<Value>,
    pub(crate) shell: Option<Shell>,
    pub(crate) script: Option<String>,
    pub(crate) stdin: Option<String>,
    #[serde(default = "zero")]
    pub(crate) success_exit_codes: Vec<i64>,
    pub(crate) working_directory: Option<String>,
}

/// What runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shell {
    Sh,
    Bash,
    Python3,
    Cmd,
}

fn zero() -> Vec<i64> {
    vec![0]
}

impl Shell {
    /// The role of its tool.
    pub(crate) const fn role(self) -> &'static str {
        match self {
            Self::Sh => "sh",
            Self::Bash => "bash",
            Self::Python3 => "python3",
            Self::Cmd => "cmd",
        }
    }

    /// What a script of it is called.
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::Sh | Self::Bash => "script.sh",
            Self::Python3 => "script.py",
            Self::Cmd => "script.cmd",
        }
    }

    /// The arguments before the script's file.
    pub(crate) const fn before(self) -> &'static [&'static str] {
        match self {
            Self::Sh | Self::Bash | Self::Python3 => &[],
            // No commands of the user's own start, and no echo.
            Self::Cmd => &["/d", "/q", "/c"],
        }
    }
}

impl Configuration {
    /// The codes as systems give them: Windows counts without a sign.
    pub(crate) fn good_codes(&self) -> Vec<i32> {
        let codes = self.success_exit_codes.iter();
        let signed = |code: &i64| {
            i32::try_from(*code)
                .ok()
                .or_else(|| u32::try_from(*code).ok().map(u32::cast_signed))
        };
        codes.filter_map(signed).collect()
    }

    /// The arguments as text.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let arguments = self.arguments.iter();
        arguments
            .map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
            .collect()
    }
}

/// What the schema can't say.
pub(crate) fn check(text: &str) -> Vec<Problem> {
    let Ok(configuration) = read::<Configuration>(text) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    if let Some(path) = &configuration.working_directory
        && !is_absolute(path)
    {
        let problem = error(
            "/workingDirectory",
            "`workingDirectory` must be an absolute path",
        );
        problems.push(problem.with_hint("the server runs in a folder of its own"));
    }
    for (index, argument) in configuration.arguments().iter().enumerate() {
        if argument.contains('\0') {
            let pointer = format!("/arguments/{index}");
            problems.push(error(&pointer, "an argument can't contain a NUL character"));
        }
    }
    let script = configuration.script.as_deref().unwrap_or_default();
    if script.starts_with("#!") && configuration.shell.is_some() {
        let problem = warning(
            "/script",
            "the first line is not heeded: `shell` says what runs it",
        );
        problems.push(
            problem
                .at(1, 1)
                .with_hint("remove the line that begins with `#!`"),
        );
    }
    problems
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_truths_are_arguments_as_they_are_written() {
        let text = r#"{"program":"x","arguments":["a b",5,1.5,true,""]}"#;
        let configuration: Configuration = read(text).unwrap_or_else(|_| panic!("{text}"));
        assert_eq!(configuration.arguments(), ["a b", "5", "1.5", "true", ""]);
        assert_eq!(configuration.good_codes(), [0]);
    }

    #[test]
    fn codes_without_a_sign_are_those_of_windows() {
        let text = r#"{"program":"x","successExitCodes":[0,3010,4294967295]}"#;
        let configuration: Configuration = serde_json::from_str(text).unwrap();
        assert_eq!(configuration.good_codes(), [0, 3010, -1]);
    }

    #[test]
    fn what_can_not_work_is_told_with_its_place() {
        let text = "{\"shell\":\"sh\",\"script\":\"#!/bin/bash\\n\",\"arguments\":[\"a\\u0000\"],\"workingDirectory\":\"x\"}";
        let problems = check(text);
        let pointers: Vec<&str> = problems.iter().map(|one| one.pointer.as_str()).collect();
        assert_eq!(pointers, ["/workingDirectory", "/arguments/0", "/script"]);
        assert!(check("{\"program\":\"x\",\"workingDirectory\":\"C:\\\\x\"}").is_empty());
    }
}
