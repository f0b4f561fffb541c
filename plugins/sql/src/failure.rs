//! Says of a failure which statement it belongs to. Never changes its kind.

use jobcell_plugin_sdk::types::{Attribute, Detail, Failure};

/// A failure's facts, where its kind has them.
pub(crate) fn detail(failure: &Failure) -> Option<&Detail> {
    match failure {
        Failure::Invalid(detail)
        | Failure::Denied(detail)
        | Failure::NotFound(detail)
        | Failure::Unavailable(detail)
        | Failure::Other(detail) => Some(detail),
        Failure::Limit(_) | Failure::Cancelled | Failure::TimedOut => None,
    }
}

/// What a failure says, in one sentence.
pub(crate) fn words(failure: &Failure) -> String {
    match failure {
        Failure::Limit(limit) => {
            format!(
                "the limit {} of {} was reached; raise {}",
                limit.limit, limit.value, limit.setting
            )
        }
        Failure::Cancelled => "the run was cancelled".to_owned(),
        Failure::TimedOut => "the run's time was over".to_owned(),
        other => detail(other).map_or_else(String::new, |detail| detail.message.clone()),
    }
}

/// Whether the whole run ends with it, whatever `onError` says.
pub(crate) const fn ends_run(failure: &Failure) -> bool {
    matches!(failure, Failure::Cancelled | Failure::TimedOut)
}

/// The same failure with another message.
pub(crate) fn with_message(failure: Failure, message: &str) -> Failure {
    let renamed = |detail: Detail| Detail {
        message: message.to_owned(),
        ..detail
    };
    match failure {
        Failure::Invalid(detail) => Failure::Invalid(renamed(detail)),
        Failure::Denied(detail) => Failure::Denied(renamed(detail)),
        Failure::NotFound(detail) => Failure::NotFound(renamed(detail)),
        Failure::Unavailable(detail) => Failure::Unavailable(renamed(detail)),
        Failure::Other(detail) => Failure::Other(renamed(detail)),
        rest => rest,
    }
}

pub(crate) fn invalid(code: &str, message: impl Into<String>) -> Failure {
    Failure::Invalid(new_detail(code, message))
}

pub(crate) fn other(code: &str, message: impl Into<String>) -> Failure {
    Failure::Other(new_detail(code, message))
}

fn new_detail(code: &str, message: impl Into<String>) -> Detail {
    Detail {
        code: code.to_owned(),
        message: message.into(),
        attributes: Vec::<Attribute>::new(),
    }
}

/// A number that the database put on a failure: `line`.
pub(crate) fn number(failure: &Failure, name: &str) -> Option<u32> {
    let attributes = &detail(failure)?.attributes;
    attributes
        .iter()
        .find(|attribute| attribute.name == name)?
        .value
        .parse()
        .ok()
}
