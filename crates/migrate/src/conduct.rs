//! How a job is run: how long it may take, how often it is tried again. Never
//! knows what it does.

use std::time::Duration;

use serde_json::Value;

use crate::configuration::Configuration;
use crate::reason::Reason;
use crate::report::Note;
use crate::row::{number_of, shown, text_of};

/// V1's default, and V2's.
const TIMEOUT: Duration = Duration::from_secs(300);
/// The longest that V2 allows: 31 days.
const LONGEST_TIMEOUT: f64 = 31.0 * 86_400.0;
/// V1's default, in seconds.
const DELAY: f64 = 60.0;
/// The longest that V2 allows: a week.
const LONGEST_DELAY: f64 = 7.0 * 86_400.0;
/// The most that V2 allows.
const MOST_RETRIES: f64 = 100.0;

/// How a job is run.
pub(crate) struct Conduct {
    pub(crate) timeout: Duration,
    /// How often a failed run is tried again, and after how long.
    pub(crate) retry: Option<(u32, Duration)>,
    pub(crate) notes: Vec<Note>,
    pub(crate) reasons: Vec<Reason>,
}

/// Reads it, with V1's defaults.
pub(crate) fn read(configuration: &Configuration) -> Conduct {
    let mut conduct = Conduct {
        timeout: TIMEOUT,
        retry: None,
        notes: Vec::new(),
        reasons: Vec::new(),
    };
    if let Some((key, value)) = configuration.get(&["timeout"]) {
        conduct.timeout(key, value);
    }
    match configuration.get(&["max_retries"]) {
        Some((key, value)) => conduct.retries(key, value, configuration.get(&["retry_delay"])),
        None => conduct.note(
            "retryPolicy",
            "V1 named no retries, so there are none; its default of 3 was never carried out",
        ),
    }
    conduct
}

impl Conduct {
    fn note(&mut self, key: &'static str, text: impl Into<String>) {
        self.notes.push(Note::new(key, text));
    }

    fn refuse(&mut self, key: &'static str, value: &Value, expected: &'static str) {
        let found = shown(&text_of(value).unwrap_or_default(), 60);
        self.reasons.push(Reason::BadNumber {
            key,
            found,
            expected,
        });
    }

    fn timeout(&mut self, key: &'static str, value: &Value) {
        match number_of(value).filter(|seconds| *seconds >= 1e-3) {
            Some(seconds) if seconds <= LONGEST_TIMEOUT => self.timeout = duration(seconds),
            Some(seconds) => {
                self.timeout = duration(LONGEST_TIMEOUT);
                self.note(
                    "timeout",
                    format!("V1 had {seconds} seconds; V2 allows 31 days"),
                );
            }
            None => self.refuse(key, value, "a number of seconds above 0"),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and between 0 and 100"
    )]
    fn retries(&mut self, key: &'static str, value: &Value, delay: Option<(&'static str, &Value)>) {
        let Some(retries) = number_of(value).filter(|retries| retries.fract() == 0.0) else {
            return self.refuse(key, value, "a whole number");
        };
        if retries <= 0.0 {
            return;
        }
        if retries > MOST_RETRIES {
            self.note(
                "retryPolicy",
                format!("V1 had {retries} retries; V2 allows {MOST_RETRIES}"),
            );
        }
        let seconds = match delay {
            None => {
                self.note(
                    "retryPolicy",
                    "V1 named no delay; its default was 60 seconds",
                );
                DELAY
            }
            Some((key, value)) => match number_of(value).filter(|seconds| *seconds >= 0.0) {
                Some(seconds) => seconds,
                None => return self.refuse(key, value, "a number of seconds"),
            },
        };
        if seconds > LONGEST_DELAY {
            self.note(
                "retryPolicy",
                format!("V1 had a delay of {seconds} seconds; V2 allows a week"),
            );
        }
        let delay = duration(seconds.min(LONGEST_DELAY));
        self.retry = Some((retries.min(MOST_RETRIES) as u32, delay));
        self.note(
            "retryPolicy",
            "V1 kept this but never tried a run again; V2 does",
        );
    }
}

/// To the millisecond, so that it is the same when it is read back.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64((seconds * 1e3).round() / 1e3).unwrap_or_default()
}

/// A number of seconds as YAML has it.
pub(crate) fn written(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        return duration.as_secs().to_string();
    }
    format!("{}.{:03}", duration.as_secs(), duration.subsec_millis())
}
