//! Carries out a run: one step, one process. Parameters are variables of the
//! process, so that no value can become code.

use jobcell_plugin_sdk::job_type::Completion;
use jobcell_plugin_sdk::process::{self, Tool};
use jobcell_plugin_sdk::run_context;
use jobcell_plugin_sdk::types::Failure;
use jobcell_plugin_sdk::{failure, program, steps};
use serde_json::Value;

use crate::configuration::Configuration;

/// What the variable of a parameter begins with.
const PARAMETER: &str = "JOBCELL_PARAMETER_";

/// Carries out a run.
pub(crate) fn run(configuration: &Configuration) -> Result<Completion, Failure> {
    let (role, kind) = match (&configuration.program, configuration.shell) {
        (Some(program), _) => (program.as_str(), "program"),
        (None, Some(shell)) => (shell.role(), "script"),
        (None, None) => {
            let message = "the job names neither a `program` nor a `shell`";
            return Err(failure::invalid("configuration", message));
        }
    };
    let mut completion = None;
    let reported = steps::step(role, kind, |details| {
        let tool = Tool::open(role)?;
        let path = tool.path();
        let ended = program::run(&command(configuration, &tool)?)?;
        if let Value::Object(facts) = ended.details(&path) {
            details.extend(facts);
        }
        let what = format!("`{role}`");
        let done = ended.completion(
            &configuration.good_codes(),
            &what,
            ended.last_line().as_deref(),
        );
        let success = done.success;
        let message = done.message.clone().unwrap_or_default();
        completion = Some(done);
        // The step fails with the program.
        if success {
            Ok(())
        } else {
            Err(failure::other("job_failed", message))
        }
    });
    match (completion, reported) {
        (Some(completion), _) => Ok(completion),
        (None, Err(failure)) => Err(failure),
        (None, Ok(())) => Err(failure::other("job_failed", "the program did not end")),
    }
}

fn command(configuration: &Configuration, tool: &Tool) -> Result<process::Command, Failure> {
    let command = tool.command();
    if let (None, Some(shell)) = (&configuration.program, configuration.shell) {
        let script = configuration.script.as_deref().unwrap_or_default();
        let file = process::write_private_file(shell.file(), script.as_bytes())?;
        for argument in shell.before() {
            command.argument(argument);
        }
        command.argument(&file);
    }
    for argument in configuration.arguments() {
        command.argument(&argument);
    }
    for parameter in run_context::parameters() {
        let name = variable(&parameter.name)?;
        command.environment(&name, &text(&parameter.value));
    }
    if let Some(folder) = &configuration.working_directory {
        command.working_directory(folder);
    }
    if let Some(stdin) = &configuration.stdin {
        command.stdin(stdin.as_bytes());
    }
    Ok(command)
}

/// The variable of a parameter.
fn variable(name: &str) -> Result<String, Failure> {
    let plain = |character: char| character == '_' || character.is_ascii_alphanumeric();
    if name.is_empty() || !name.chars().all(plain) {
        let message = format!(
            "the parameter `{name}` can't be passed on: for a variable its name may have letters, digits and `_` only"
        );
        return Err(failure::invalid("parameter", message));
    }
    Ok(format!("{PARAMETER}{name}"))
}

/// A text as itself, and everything else as JSON.
fn text(value: &str) -> String {
    match serde_json::from_str(value) {
        Ok(Value::String(text)) => text,
        Ok(Value::Null) => String::new(),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_a_variable_of_its_name() {
        assert_eq!(
            variable("Days_2").ok().as_deref(),
            Some("JOBCELL_PARAMETER_Days_2")
        );
        for name in ["", "a b", "a=b", "ä", "a-b"] {
            assert!(variable(name).is_err(), "{name}");
        }
    }

    #[test]
    fn texts_come_without_their_quotes() {
        assert_eq!(text("\"a \\\"b\\\"\""), "a \"b\"");
        assert_eq!(text("[1,2]"), "[1,2]");
        assert_eq!(text("5"), "5");
        assert_eq!(text("null"), "");
    }
}
