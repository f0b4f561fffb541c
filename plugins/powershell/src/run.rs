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
    let (name, kind) = match configuration.execution_mode {
        Mode::Inline => ("inline script", "inline"),
        Mode::Script => (
            configuration.script_path.as_deref().unwrap_or_default(),
            "script",
        ),
    };
    let step = Step::start(name, kind)?;
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
            step.finish(StepStatus::Failed, &details.to_string())?;
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

fn arguments(configuration: &Configuration) -> Result<Vec<String>, Failure> {
    let script = match configuration.execution_mode {
        Mode::Inline => {
            let script = configuration.inline_script.as_deref().unwrap_or_default();
            let contents = [BYTE_ORDER_MARK, script.as_bytes()].concat();
            process::write_private_file(INLINE, &contents)?
        }
        Mode::Script => {
            process::resolve_file(configuration.script_path.as_deref().unwrap_or_default())?
        }
    };
    let fixed = command_line::fixed(&configuration.execution_policy, &script);
    let mut arguments: Vec<String> = fixed.map(str::to_owned).into();
    for parameter in run_context::parameters() {
        let value: Value = serde_json::from_str(&parameter.value).unwrap_or(Value::Null);
        let own = command_line::parameter(&parameter.name, &value).map_err(|unfit| {
            invalid(format!(
                "the parameter `{}` can't be passed on: {}",
                unfit.name, unfit.reason
            ))
        })?;
        arguments.extend(own);
    }
    Ok(arguments)
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
