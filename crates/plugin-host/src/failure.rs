//! Makes the contract's failures, with the codes that Jobcell itself uses.

use crate::bindings::types::{Attribute, Detail, Failure, LimitReached};

/// The stable codes that the host puts on failures. Plugins add their own.
pub mod codes {
    /// A granted tool is not on this machine.
    pub const TOOL_NOT_FOUND: &str = "tool_not_found";
    /// A role that nobody granted.
    pub const TOOL_NOT_GRANTED: &str = "tool_not_granted";
    /// A tool is not the file that was granted.
    pub const TOOL_CHANGED: &str = "tool_changed";
    /// A user that a tool is to run as is not there, or not ours to become.
    pub const USER_NOT_FOUND: &str = "user_not_found";
    /// Processes of the run are there although they were killed.
    pub const KILL_UNCONFIRMED: &str = "kill_unconfirmed";
    /// A program could not be started.
    pub const SPAWN_FAILED: &str = "spawn_failed";
    /// A connection that does not exist.
    pub const CONNECTION_NOT_FOUND: &str = "connection_not_found";
    /// A connection that could not be opened.
    pub const CONNECTION_FAILED: &str = "connection_failed";
    /// The database refused the statement's text.
    pub const SYNTAX_ERROR: &str = "syntax_error";
    /// The database failed while it carried out a statement.
    pub const SQL_ERROR: &str = "sql_error";
    /// The same, by a constraint of the data.
    pub const CONSTRAINT: &str = "constraint_violation";
    /// The start of the run could not be made durable, so nothing was done.
    pub const START_NOT_RECORDED: &str = "start_not_recorded";
    /// A resource was used in a way that its interface forbids.
    pub const MISUSE: &str = "misuse";
    /// A file or folder that is not there or can't be used.
    pub const PATH_NOT_FOUND: &str = "path_not_found";
}

fn detail(code: &str, message: impl Into<String>) -> Detail {
    Detail {
        code: code.to_owned(),
        message: message.into(),
        attributes: Vec::new(),
    }
}

/// An argument that can't be used as it is.
#[must_use]
pub fn invalid(code: &str, message: impl Into<String>) -> Failure {
    Failure::Invalid(detail(code, message))
}

/// Something that is not granted.
#[must_use]
pub fn denied(code: &str, message: impl Into<String>) -> Failure {
    Failure::Denied(detail(code, message))
}

/// Something that does not exist on this machine.
#[must_use]
pub fn not_found(code: &str, message: impl Into<String>) -> Failure {
    Failure::NotFound(detail(code, message))
}

/// Something that can't be reached now.
#[must_use]
pub fn unavailable(code: &str, message: impl Into<String>) -> Failure {
    Failure::Unavailable(detail(code, message))
}

/// All else, with facts for programs.
#[must_use]
pub fn other(
    code: &str,
    message: impl Into<String>,
    attributes: impl IntoIterator<Item = (&'static str, String)>,
) -> Failure {
    let attributes = attributes
        .into_iter()
        .map(|(name, value)| Attribute {
            name: name.to_owned(),
            value,
        })
        .collect();
    Failure::Other(Detail {
        code: code.to_owned(),
        message: message.into(),
        attributes,
    })
}

/// A limit of the run was reached.
#[must_use]
pub fn limit(name: &str, value: impl Into<String>, setting: &str) -> Failure {
    Failure::Limit(LimitReached {
        limit: name.to_owned(),
        value: value.into(),
        setting: setting.to_owned(),
    })
}
