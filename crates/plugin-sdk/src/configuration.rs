//! Reads the keys that a job type adds to a job, and makes findings about them.
//! Never acts on them.

use serde::de::DeserializeOwned;

use crate::failure;
use crate::types::{Failure, Problem, Severity};

/// Reads the keys into a type of the plugin's own.
///
/// # Errors
/// `invalid` with the code `configuration`: what does not fit, and where.
pub fn read<T: DeserializeOwned>(configuration: &str) -> Result<T, Failure> {
    serde_json::from_str(configuration).map_err(|error| {
        failure::invalid(
            "configuration",
            format!("the configuration can't be read: {error}"),
        )
    })
}

/// A finding that keeps a job from being stored. `pointer` is an RFC 6901
/// pointer into the configuration: `/query`.
#[must_use]
pub fn error(pointer: &str, message: impl Into<String>) -> Problem {
    finding(Severity::Error, pointer, message.into())
}

/// A finding that a person should see.
#[must_use]
pub fn warning(pointer: &str, message: impl Into<String>) -> Problem {
    finding(Severity::Warning, pointer, message.into())
}

/// Whether a path is absolute on one of the systems: a job may be checked on
/// another one than it runs on.
#[must_use]
pub fn is_absolute(path: &str) -> bool {
    let drive = path
        .as_bytes()
        .get(1..3)
        .is_some_and(|rest| rest[0] == b':' && b"\\/".contains(&rest[1]));
    path.starts_with('/') || path.starts_with("\\\\") || drive
}

impl Problem {
    /// The same with how to put it right.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with its place inside a text: line and column, both from 1.
    #[must_use]
    pub const fn at(mut self, line: u32, column: u32) -> Self {
        self.position = Some((line, column));
        self
    }
}

fn finding(severity: Severity, pointer: &str, message: String) -> Problem {
    Problem {
        severity,
        pointer: pointer.to_owned(),
        position: None,
        message,
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Keys {
        name: String,
    }

    #[test]
    fn paths_of_both_systems_are_absolute() {
        for path in ["/a", "C:\\a", "c:/a", "\\\\server\\share"] {
            assert!(is_absolute(path), "{path}");
        }
        for path in ["a", "./a", "C:a", "", "C:"] {
            assert!(!is_absolute(path), "{path}");
        }
    }

    #[test]
    fn reads_what_fits() {
        let keys: Result<Keys, _> = read("{\"name\": \"a\", \"more\": 1}");
        assert_eq!(keys.ok().map(|keys| keys.name).as_deref(), Some("a"));
    }

    #[test]
    fn says_what_does_not_fit() {
        let keys: Result<Keys, _> = read("{\"name\": 1}");
        let Err(Failure::Invalid(detail)) = keys else {
            panic!("it was taken");
        };
        assert_eq!(detail.code, "configuration");
        assert!(
            detail.message.contains("expected a string"),
            "{}",
            detail.message
        );
    }
}
