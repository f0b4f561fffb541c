//! Carries out a run: one step, one process. Never reads a script's meaning.

use jobcell_plugin_sdk::job_type::Completion;
use jobcell_plugin_sdk::process::{self, Tool};
use jobcell_plugin_sdk::program;
use jobcell_plugin_sdk::run_context::{self, Parameter, Step, StepStatus};
use jobcell_plugin_sdk::steps;
use jobcell_plugin_sdk::types::{Detail, Failure};
use serde_json::{Value, json};

use crate::command_line;
use crate::configuration::{Configuration, Mode};
use crate::error_text;
use crate::typed;

/// The role of the tool.
pub(crate) const ROLE: &str = "powershell";
/// The name of an inline script in the run's private folder.
const INLINE: &str = "script.ps1";
/// Tells Windows PowerShell 5.1 that a script is UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Carries out a run.
pub(crate) fn run(configuration: &Configuration) -> Result<Completion, Failure> {
    let kind = match configuration.execution_mode {
        Mode::Inline => "inline",
        Mode::Script => "script",
    };
    let step = Step::start("script", kind)?;
    match carry_out(configuration) {
        Ok((completion, details)) => {
            let status = if completion.success {
                StepStatus::Success
            } else {
                StepStatus::Failed
            };
            step.finish(status, &steps::json(&details))?;
            Ok(completion)
        }
        Err(failure) => {
            let details = json!({ "error": failure.sentence() });
            // The first failure is the one to tell, whether or not the step
            // can still be written.
            drop(step.finish(StepStatus::Failed, &steps::json(&details)));
            Err(failure)
        }
    }
}

fn carry_out(configuration: &Configuration) -> Result<(Completion, Value), Failure> {
    let tool = Tool::open(ROLE)?;
    let path = tool.path();
    let command = tool.command();
    for argument in arguments(configuration, &path)? {
        command.argument(&argument);
    }
    if let Some(folder) = &configuration.working_directory {
        command.working_directory(folder);
    }
    let ended = program::run(&command)?;
    let why = error_text::last_error(&ended.last_words);
    let completion = ended.completion(&[0], "the script", why.as_deref());
    Ok((completion, ended.details(&path)))
}

/// The whole command line. Parameters first: one that does not fit is told
/// before anything is written.
fn arguments(configuration: &Configuration, tool: &str) -> Result<Vec<String>, Failure> {
    let parameters = parameters(run_context::parameters())?;
    let own = if parameters.iter().any(|(_, value)| typed::is_needed(value)) {
        None
    } else {
        Some(as_arguments(&parameters)?)
    };
    let mut script = script_file(configuration)?;
    if own.is_none() {
        let values = typed::values(&script, &parameters);
        process::write_private_file(typed::VALUES, values.as_bytes())?;
        script = process::write_private_file(typed::CALLER, typed::CALL.as_bytes())?;
    }
    let fixed = command_line::fixed(tool, &configuration.execution_policy, &script);
    let fixed = fixed.into_iter().map(str::to_owned);
    Ok(fixed.chain(own.into_iter().flatten()).collect())
}

/// The job's parameters with their values, each under a name that fits.
fn parameters(given: Vec<Parameter>) -> Result<Vec<(String, Value)>, Failure> {
    let read = |parameter: Parameter| {
        let Parameter { name, value } = parameter;
        let value = serde_json::from_str(&value).map_err(|error| refused(&name, &error))?;
        command_line::check_name(&name).map_err(|unfit| refused(&unfit.name, &unfit.reason))?;
        Ok((name, value))
    };
    given.into_iter().map(read).collect()
}

fn as_arguments(parameters: &[(String, Value)]) -> Result<Vec<String>, Failure> {
    let mut arguments = Vec::new();
    for (name, value) in parameters {
        let own = command_line::parameter(name, value);
        arguments.extend(own.map_err(|unfit| refused(&unfit.name, &unfit.reason))?);
    }
    Ok(arguments)
}

fn refused(name: &str, reason: &dyn std::fmt::Display) -> Failure {
    invalid(format!(
        "the parameter `{name}` can't be passed on: {reason}"
    ))
}

fn script_file(configuration: &Configuration) -> Result<String, Failure> {
    match configuration.execution_mode {
        Mode::Inline => {
            let script = configuration.inline_script.as_deref().unwrap_or_default();
            let contents = [BYTE_ORDER_MARK, script.as_bytes()].concat();
            process::write_private_file(INLINE, &contents)
        }
        Mode::Script => {
            process::resolve_file(configuration.script_path.as_deref().unwrap_or_default())
        }
    }
}

fn invalid(message: String) -> Failure {
    Failure::Invalid(Detail {
        code: "parameter".to_owned(),
        message,
        attributes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_can_not_be_read_is_refused_and_never_left_out() {
        for (name, value) in [("Servers", "no json"), ("a b", "1"), ("", "[]")] {
            let given = Parameter {
                name: name.to_owned(),
                value: value.to_owned(),
            };
            match parameters(vec![given]) {
                Err(Failure::Invalid(detail)) => {
                    assert!(detail.message.contains(&format!("`{name}`")));
                }
                other => panic!("{value}: {other:?}"),
            }
        }
    }
}
