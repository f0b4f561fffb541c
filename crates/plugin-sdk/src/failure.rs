//! Makes the contract's failures.

use crate::types::{Attribute, Detail, Failure};

/// An argument or the configuration can't be used as it is.
#[must_use]
pub fn invalid(code: &str, message: impl Into<String>) -> Failure {
    Failure::Invalid(detail(code, message))
}

/// The named thing is not granted.
#[must_use]
pub fn denied(code: &str, message: impl Into<String>) -> Failure {
    Failure::Denied(detail(code, message))
}

/// The named thing does not exist on this machine.
#[must_use]
pub fn not_found(code: &str, message: impl Into<String>) -> Failure {
    Failure::NotFound(detail(code, message))
}

/// It can't be used now; a later try may succeed.
#[must_use]
pub fn unavailable(code: &str, message: impl Into<String>) -> Failure {
    Failure::Unavailable(detail(code, message))
}

/// All else, told apart by its code.
#[must_use]
pub fn other(code: &str, message: impl Into<String>) -> Failure {
    Failure::Other(detail(code, message))
}

fn detail(code: &str, message: impl Into<String>) -> Detail {
    Detail {
        code: code.to_owned(),
        message: message.into(),
        attributes: Vec::new(),
    }
}

impl Failure {
    /// Its code, message and facts, where its kind has them.
    #[must_use]
    pub const fn detail(&self) -> Option<&Detail> {
        match self {
            Self::Invalid(detail)
            | Self::Denied(detail)
            | Self::NotFound(detail)
            | Self::Unavailable(detail)
            | Self::Other(detail) => Some(detail),
            Self::Limit(_) | Self::Cancelled | Self::TimedOut => None,
        }
    }

    /// The same with one more fact, where its kind has facts.
    #[must_use]
    pub fn with_attribute(mut self, name: &str, value: impl Into<String>) -> Self {
        match &mut self {
            Self::Invalid(detail)
            | Self::Denied(detail)
            | Self::NotFound(detail)
            | Self::Unavailable(detail)
            | Self::Other(detail) => detail.attributes.push(Attribute {
                name: name.to_owned(),
                value: value.into(),
            }),
            Self::Limit(_) | Self::Cancelled | Self::TimedOut => {}
        }
        self
    }

    /// Whether the run was stopped: clean up and return.
    #[must_use]
    pub const fn is_stop(&self) -> bool {
        matches!(self, Self::Cancelled | Self::TimedOut)
    }

    /// What happened, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Limit(reached) => format!(
                "the limit `{}` of {} was reached; `{}` changes it",
                reached.limit, reached.value, reached.setting
            ),
            Self::Cancelled => "the run was cancelled".to_owned(),
            Self::TimedOut => "the run's time was over".to_owned(),
            other => other
                .detail()
                .map_or_else(String::new, |detail| detail.message.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_facts() {
        let failure = other("sql_error", "it failed").with_attribute("line", "3");
        let detail = failure.detail().map(|detail| &detail.attributes);
        assert_eq!(detail.map(|facts| facts[0].value.as_str()), Some("3"));
        assert_eq!(failure.sentence(), "it failed");
    }

    #[test]
    fn a_stop_is_told_from_a_failure() {
        assert!(Failure::TimedOut.with_attribute("a", "b").is_stop());
        assert!(!invalid("a", "b").is_stop());
    }
}
