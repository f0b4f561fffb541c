//! Runs one program to its end, and says how it ended. Never chooses it.

use serde_json::{Value, json};

use crate::job_type::Completion;
use crate::process::{Child, Command, ExitStatus, Sink};
use crate::types::{Failure, OutputStream};

/// How much of standard error is kept for the message.
const LAST_WORDS: usize = 8 << 10;
/// The longest last line in a message, in characters.
const LAST_LINE: usize = 300;

/// A program that ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// How.
    pub exit: ExitStatus,
    /// The end of what it wrote to standard error.
    pub last_words: Vec<u8>,
}

/// Starts a command and waits for its end. Both streams go to the run's output.
///
/// # Errors
/// When it can't be started, or the run is stopped or reaches a limit.
pub fn run(command: &Command) -> Result<Ended, Failure> {
    command.redirect(OutputStream::Stderr, Sink::Tee);
    let child = command.spawn()?;
    let last_words = last_words(&child)?;
    let exit = child.wait()?;
    Ok(Ended { exit, last_words })
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

impl Ended {
    /// For the details of a step.
    #[must_use]
    pub fn details(&self, tool: &str) -> Value {
        match self.exit {
            ExitStatus::Code(code) => json!({ "exitCode": code, "tool": tool }),
            ExitStatus::Signal(signal) => json!({ "signal": signal, "tool": tool }),
        }
    }

    /// How the run ended: well, if with one of these codes. `what` is what it
    /// ran, `why` the reason that it gave.
    #[must_use]
    pub fn completion(&self, good: &[i32], what: &str, why: Option<&str>) -> Completion {
        let (return_code, how) = match self.exit {
            ExitStatus::Code(code) if good.contains(&code) => {
                return Completion {
                    success: true,
                    return_code: Some(code),
                    message: None,
                };
            }
            ExitStatus::Code(code) => (Some(code), format!("{what} ended with exit code {code}")),
            ExitStatus::Signal(signal) => (None, format!("{what} was ended by signal {signal}")),
        };
        Completion {
            success: false,
            return_code,
            message: Some(match why {
                Some(why) => format!("{how}: {why}"),
                None => how,
            }),
        }
    }

    /// The last line of standard error that says anything.
    #[must_use]
    pub fn last_line(&self) -> Option<String> {
        let words = String::from_utf8_lossy(&self.last_words);
        let line = words
            .lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty())?;
        Some(line.chars().take(LAST_LINE).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit: ExitStatus, last_words: &str) -> Ended {
        Ended {
            exit,
            last_words: last_words.as_bytes().to_vec(),
        }
    }

    fn completion(ended: &Ended) -> Completion {
        ended.completion(&[0, 2], "the script", ended.last_line().as_deref())
    }

    #[test]
    fn the_exit_code_decides_and_the_last_line_explains() {
        assert!(completion(&ended(ExitStatus::Code(0), "a warning\n")).success);
        let other = completion(&ended(ExitStatus::Code(2), ""));
        assert_eq!((other.success, other.return_code), (true, Some(2)));
        let failed = completion(&ended(ExitStatus::Code(3), "first\nletzte Zeile ä\n\n"));
        assert_eq!(failed.return_code, Some(3));
        assert_eq!(
            failed.message.as_deref(),
            Some("the script ended with exit code 3: letzte Zeile ä")
        );
        let killed = completion(&ended(ExitStatus::Signal(9), ""));
        assert_eq!(
            killed.message.as_deref(),
            Some("the script was ended by signal 9")
        );
    }
}
