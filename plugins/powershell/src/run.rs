//! Carries out a run: one step, one process. Never reads a script's meaning.

use jobcell_plugin_sdk::job_type::Completion;
use jobcell_plugin_sdk::process::{self, Child, ExitStatus, Sink, Tool};
use jobcell_plugin_sdk::run_context::{self, Step, StepStatus};
use jobcell_plugin_sdk::types::{Detail, Failure, OutputStream};
use serde_json::{Value, json};

use crate::command_line;
use crate::configuration::{Configuration, Mode};

/// The role of the tool.
pub(crate) const ROLE: &str = "powershell";
/// The name of an inline script in the run's private folder.
const INLINE: &str = "script.ps1";
/// Tells Windows PowerShell 5.1 that a script is UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// How much of standard error is kept for the message.
const LAST_WORDS: usize = 2048;
/// The longest last line in a message, in characters.
const LAST_LINE: usize = 300;

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
            step.finish(status, &details.to_string())?;
            Ok(completion)
        }
        Err(failure) => {
            let details = json!({ "error": message(&failure) });
            // The first failure is the one to tell, whether or not the step
            // can still be written.
            drop(step.finish(StepStatus::Failed, &details.to_string()));
            Err(failure)
        }
    }
}

fn carry_out(configuration: &Configuration) -> Result<(Completion, Value), Failure> {
    let tool = Tool::open(ROLE)?;
    let arguments = arguments(configuration)?;
    let command = tool.command();
    arguments
        .iter()
        .for_each(|argument| command.argument(argument));
    if let Some(folder) = &configuration.working_directory {
        command.working_directory(folder);
    }
    command.redirect(OutputStream::Stderr, Sink::Tee);
    let child = command.spawn()?;
    let last_words = last_words(&child)?;
    let exit = child.wait()?;
    let details = match exit {
        ExitStatus::Code(code) => json!({ "exitCode": code, "tool": tool.path() }),
        ExitStatus::Signal(signal) => json!({ "signal": signal, "tool": tool.path() }),
    };
    Ok((completion(exit, &last_words), details))
}

/// The whole command line. Parameters first: one that does not fit is told
/// before anything is written.
fn arguments(configuration: &Configuration) -> Result<Vec<String>, Failure> {
    let mut own = Vec::new();
    for parameter in run_context::parameters() {
        own.extend(of_parameter(&parameter.name, &parameter.value)?);
    }
    let script = script_file(configuration)?;
    let fixed = command_line::fixed(&configuration.execution_policy, &script);
    Ok(fixed.map(str::to_owned).into_iter().chain(own).collect())
}

fn of_parameter(name: &str, value: &str) -> Result<Vec<String>, Failure> {
    let refused = |name: &str, reason: &dyn std::fmt::Display| {
        invalid(format!(
            "the parameter `{name}` can't be passed on: {reason}"
        ))
    };
    let value: Value = serde_json::from_str(value).map_err(|error| refused(name, &error))?;
    command_line::parameter(name, &value).map_err(|unfit| refused(&unfit.name, &unfit.reason))
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

/// Reads standard error to its end and keeps the last of it.
fn last_words(child: &Child) -> Result<Vec<u8>, Failure> {
    let mut kept = Vec::new();
    while let Some(piece) = child.read(OutputStream::Stderr, 64 << 10)? {
        kept.extend_from_slice(&piece);
        let excess = kept.len().saturating_sub(LAST_WORDS);
        kept.drain(..excess);
    }
    Ok(kept)
}

fn completion(exit: ExitStatus, last_words: &[u8]) -> Completion {
    let (return_code, what) = match exit {
        ExitStatus::Code(0) => {
            return Completion {
                success: true,
                return_code: Some(0),
                message: None,
            };
        }
        ExitStatus::Code(code) => (
            Some(code),
            format!("the script ended with exit code {code}"),
        ),
        ExitStatus::Signal(signal) => (None, format!("the script was ended by signal {signal}")),
    };
    let message = match last_line(last_words) {
        Some(line) => format!("{what}: {line}"),
        None => what,
    };
    Completion {
        success: false,
        return_code,
        message: Some(message),
    }
}

fn last_line(words: &[u8]) -> Option<String> {
    let words = String::from_utf8_lossy(words);
    let line = words
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())?;
    Some(line.chars().take(LAST_LINE).collect())
}

fn invalid(message: String) -> Failure {
    Failure::Invalid(Detail {
        code: "parameter".to_owned(),
        message,
        attributes: Vec::new(),
    })
}

fn message(failure: &Failure) -> String {
    match failure {
        Failure::Invalid(detail)
        | Failure::Denied(detail)
        | Failure::NotFound(detail)
        | Failure::Unavailable(detail)
        | Failure::Other(detail) => detail.message.clone(),
        Failure::Limit(reached) => format!("{} of {} was reached", reached.limit, reached.value),
        Failure::Cancelled => "cancelled".to_owned(),
        Failure::TimedOut => "timed out".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_can_not_be_read_is_refused_and_never_left_out() {
        for value in ["[1]", "{}", "no json"] {
            match of_parameter("Servers", value) {
                Err(Failure::Invalid(detail)) => assert!(detail.message.contains("`Servers`")),
                other => panic!("{value}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_exit_code_decides_and_the_last_line_explains() {
        assert!(completion(ExitStatus::Code(0), b"a warning\n").success);
        let failed = completion(ExitStatus::Code(3), "first\nletzte Zeile ä\n\n".as_bytes());
        assert_eq!(failed.return_code, Some(3));
        assert_eq!(
            failed.message.as_deref(),
            Some("the script ended with exit code 3: letzte Zeile ä")
        );
        let killed = completion(ExitStatus::Signal(9), b"");
        assert_eq!(
            killed.message.as_deref(),
            Some("the script was ended by signal 9")
        );
    }
}
