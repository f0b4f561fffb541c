//! What can go wrong between a run and its database, and how a plugin is told.
//! The only place that turns SQLite's codes into the contract's failures.

use jobcell_plugin_host::bindings::types::Failure;
use jobcell_plugin_host::failure::limit;
use jobcell_plugin_host::scope::StopReason;
use jobcell_plugin_host::{codes, denied, invalid, not_found, other, unavailable};
use rusqlite::ErrorCode;

/// A statement does what no job may do here.
pub(crate) const NOT_ALLOWED: &str = "statement_not_allowed";
/// The connection is not for jobs of this type.
pub(crate) const NOT_GRANTED: &str = "connection_not_granted";
/// A parameter that a statement does not have, or one without a value.
pub(crate) const PARAMETER: &str = "parameter_mismatch";
/// Text that is not exactly one statement.
pub(crate) const NOT_ONE_STATEMENT: &str = "not_one_statement";
/// Another writer held the database for too long.
pub(crate) const BUSY: &str = "database_busy";
/// The database's disk or folder has no more room.
pub(crate) const DISK_FULL: &str = "disk_full";

/// Who wants to connect is not known to the server, or can't prove it.
pub(crate) const AUTHENTICATION: &str = "authentication_failed";
/// The user may not do that.
pub(crate) const PERMISSION: &str = "permission_denied";
/// Two transactions waited for each other; a later try may succeed.
pub(crate) const DEADLOCK: &str = "deadlock";
/// Transactions got in each other's way; a later try may succeed.
pub(crate) const SERIALIZATION: &str = "serialization_failure";
/// A lock was not to be had in time; a later try may succeed.
pub(crate) const LOCK_TIMEOUT: &str = "lock_timeout";
/// The server's own time for a statement was over.
pub(crate) const STATEMENT_TIMEOUT: &str = "statement_timeout";
/// Somebody else stopped the statement on the server.
pub(crate) const STOPPED_BY_SERVER: &str = "statement_cancelled";
/// A statement that only reads was asked for, and this one writes.
pub(crate) const READ_ONLY: &str = "read_only";

/// What a server says beside its message, by name.
pub(crate) type Facts = Vec<(&'static str, String)>;

/// A bound on what one result may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// Its rows.
    Rows(u64),
    /// Its bytes.
    Bytes(u64),
}

/// Why a database did not do what a run asked of it.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// No connection of this name is configured.
    #[error(
        "there is no connection `{name}`; known connections: {known}; add it under `connections` in the configuration file"
    )]
    UnknownConnection {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The connection is not for jobs of this type.
    #[error(
        "connection `{name}` is not granted to jobs of the type `{job_type}`, only to: {granted}; an admin can change that"
    )]
    NotGranted {
        /// The connection.
        name: String,
        /// The job's type.
        job_type: String,
        /// The types that may use it.
        granted: String,
    },
    /// The database can't be opened.
    #[error("connection `{name}` can't be opened: {reason}")]
    CannotOpen {
        /// The connection.
        name: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The run holds as many connections as it may.
    #[error("the run holds {0} connections, as many as it may")]
    TooManyConnections(u32),
    /// The run's statements and their values hold too many bytes.
    #[error("the run's statements and their values hold more than {0} bytes")]
    HoldsTooMuch(u64),
    /// The result has more than it may.
    #[error("the result is larger than allowed")]
    ResultCap(Cap),
    /// The statement needs more memory than SQLite may use.
    #[error("the statement needs more memory than SQLite may use in all")]
    Memory(u64),
    /// The database refused or failed a statement.
    #[error("{message}")]
    Database {
        /// Jobcell's word for it.
        code: &'static str,
        /// The database's own words.
        message: String,
        /// SQLite's extended result code.
        sqlite_code: i32,
        /// Where in the statement's text: line and column from 1, byte offset.
        position: Option<Position>,
    },
    /// It can't be used now; a later try may succeed.
    #[error("{message}")]
    Unavailable {
        /// Jobcell's word for it.
        code: &'static str,
        /// What happened and what to do.
        message: String,
    },
    /// A server can't be used.
    #[error("connection `{name}` can't be opened: {reason}")]
    CannotConnect {
        /// The connection.
        name: String,
        /// Jobcell's word for it.
        code: &'static str,
        /// Why, and what to do.
        reason: String,
        /// Further facts, such as the server's own code.
        facts: Facts,
    },
    /// A server refused or failed a statement.
    #[error("{message}")]
    Server {
        /// Jobcell's word for it.
        code: &'static str,
        /// The server's own words.
        message: String,
        /// The server's own code and what else it said.
        facts: Facts,
        /// Where in the statement's text.
        position: Option<Position>,
    },
    /// The statement does what no job may do here.
    #[error("{0}")]
    NotAllowed(String),
    /// The text holds no statement or several.
    #[error("{0}")]
    NotOneStatement(&'static str),
    /// A value for a parameter that the statement does not have.
    #[error("the statement has no parameter `{name}`; it has: {}", if known.is_empty() { "none" } else { known.as_str() })]
    UnknownParameter {
        /// The parameter's name.
        name: String,
        /// The ones it has.
        known: String,
    },
    /// A parameter without a value.
    #[error(
        "the statement's parameter {parameter} has no value; add it to the job's `parameters`, or write NULL"
    )]
    UnboundParameter {
        /// As written in the statement.
        parameter: String,
    },
    /// The interface was used in a way that it forbids.
    #[error("{0}")]
    Misuse(&'static str),
    /// The run was stopped while the database worked.
    #[error("the run was stopped")]
    Stopped(StopReason),
    /// The statement was interrupted though the run was not stopped.
    #[error("the statement was interrupted")]
    Interrupted,
    /// The start of the run is not durable, so it may not act.
    #[error("the run may not act yet")]
    Gate(Failure),
    /// The connection's thread is gone.
    #[error("the connection was lost; a later run opens a new one")]
    Lost,
}

/// A place in a statement's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// In bytes, from 0.
    pub offset: usize,
}

impl Position {
    /// The place of a byte in `text`.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before[start..].chars().count() + 1;
        Self {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            offset: end,
        }
    }
}

impl SqlError {
    /// The same of the connection of this name.
    pub(crate) fn named(mut self, connection: &str) -> Self {
        if let Self::CannotConnect { name, .. } = &mut self {
            connection.clone_into(name);
        }
        self
    }

    /// A server that can't be used, for this reason.
    pub(crate) fn unreachable(reason: impl Into<String>) -> Self {
        Self::CannotConnect {
            name: String::new(),
            code: codes::CONNECTION_FAILED,
            reason: reason.into(),
            facts: Facts::new(),
        }
    }

    /// What SQLite said about `text`; `denied` is the sandbox's reason, if it
    /// was the sandbox that refused.
    pub(crate) fn from_sqlite(error: rusqlite::Error, text: &str, denied: Option<String>) -> Self {
        use rusqlite::Error as E;
        if let Some(reason) = denied {
            return Self::NotAllowed(reason);
        }
        match error {
            E::SqlInputError {
                error, msg, offset, ..
            } => {
                let position = usize::try_from(offset)
                    .ok()
                    .map(|at| Position::of(text, at));
                Self::from_code(error, msg, position)
            }
            E::SqliteFailure(error, message) => {
                let message = message.unwrap_or_else(|| error.to_string());
                Self::from_code(error, message, None)
            }
            E::Empty => Self::NotOneStatement("the text holds no statement"),
            E::MultipleStatement => {
                Self::NotOneStatement("the text holds several statements; prepare them one by one")
            }
            rest => Self::Database {
                code: codes::SQL_ERROR,
                message: rest.to_string(),
                sqlite_code: 0,
                position: None,
            },
        }
    }

    fn from_code(error: rusqlite::ffi::Error, message: String, position: Option<Position>) -> Self {
        let unavailable = |code, message| Self::Unavailable { code, message };
        match error.code {
            ErrorCode::OperationInterrupted => Self::Interrupted,
            ErrorCode::OutOfMemory => Self::Memory(0),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                unavailable(BUSY, busy_message(error.extended_code))
            }
            ErrorCode::DiskFull => unavailable(
                DISK_FULL,
                "the database's disk is full; free some room and run the job again".to_owned(),
            ),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => unavailable(
                codes::CONNECTION_FAILED,
                format!("the database file is damaged or not a SQLite database ({message}); check it with `PRAGMA integrity_check` or restore a backup"),
            ),
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::FileLockingProtocolFailed => {
                unavailable(codes::CONNECTION_FAILED, format!("the database file can't be used ({message}); check its disk and its permissions"))
            }
            ErrorCode::ReadOnly => Self::Database {
                code: codes::SQL_ERROR,
                message: "the connection is read-only; to write, it needs a writable file and `readOnly: false` under `connections`".to_owned(),
                sqlite_code: error.extended_code,
                position,
            },
            code => Self::Database {
                code: own_code(code, &message),
                message,
                sqlite_code: error.extended_code,
                position,
            },
        }
    }
}

/// `SQLITE_BUSY_SNAPSHOT`: waiting can't help a transaction that has read.
const BUSY_SNAPSHOT: i32 = 517;

fn busy_message(extended: i32) -> String {
    if extended == BUSY_SNAPSHOT {
        return "another writer changed the database after this transaction had read it; start the transaction with BEGIN IMMEDIATE, or run the job again".to_owned();
    }
    "another writer held the database for too long; run the job again later, or raise `sqlite.busyTimeout`".to_owned()
}

fn own_code(code: ErrorCode, message: &str) -> &'static str {
    let of_syntax = ["syntax error", "incomplete input", "unrecognized token"];
    if code == ErrorCode::ConstraintViolation {
        codes::CONSTRAINT
    } else if of_syntax.iter().any(|words| message.contains(words)) {
        codes::SYNTAX_ERROR
    } else {
        codes::SQL_ERROR
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        let message = error.to_string();
        match error {
            SqlError::UnknownConnection { .. } => not_found(codes::CONNECTION_NOT_FOUND, message),
            SqlError::CannotOpen { .. } | SqlError::Lost => {
                unavailable(codes::CONNECTION_FAILED, message)
            }
            SqlError::TooManyConnections(most) => limit(
                "sql.connections",
                format!("{most} connections"),
                "limits.sqlConnections",
            ),
            SqlError::HoldsTooMuch(most) => {
                limit("sql.held-bytes", format!("{most} bytes"), "limits.sqlBytes")
            }
            SqlError::ResultCap(Cap::Rows(most)) => {
                limit("sql.rows", format!("{most} rows"), "limits.sqlRows")
            }
            SqlError::ResultCap(Cap::Bytes(most)) => {
                limit("sql.bytes", format!("{most} bytes"), "limits.sqlBytes")
            }
            SqlError::Memory(most) => limit(
                "sqlite.memory",
                format!("{most} bytes in all SQL jobs"),
                "sqlite.memory",
            ),
            SqlError::Database {
                code,
                sqlite_code,
                position,
                ..
            } => other(code, message, facts(sqlite_code, position)),
            SqlError::CannotConnect { code, facts, .. } => other(code, message, facts),
            SqlError::Server {
                code,
                facts,
                position,
                ..
            } => other(code, message, facts.into_iter().chain(place(position))),
            SqlError::Unavailable { code, .. } => unavailable(code, message),
            SqlError::NotAllowed(_) => denied(NOT_ALLOWED, message),
            SqlError::NotGranted { .. } => denied(NOT_GRANTED, message),
            SqlError::NotOneStatement(_) => invalid(NOT_ONE_STATEMENT, message),
            SqlError::UnknownParameter { .. } | SqlError::UnboundParameter { .. } => {
                invalid(PARAMETER, message)
            }
            SqlError::Misuse(_) => invalid(codes::MISUSE, message),
            SqlError::Stopped(reason) => reason.into(),
            SqlError::Interrupted => other(codes::SQL_ERROR, message, []),
            SqlError::Gate(failure) => failure,
        }
    }
}

fn facts(sqlite_code: i32, position: Option<Position>) -> Facts {
    let code = ("sqlite-code", sqlite_code.to_string());
    std::iter::once(code).chain(place(position)).collect()
}

fn place(position: Option<Position>) -> impl Iterator<Item = (&'static str, String)> {
    position.into_iter().flat_map(|position| {
        [
            ("line", position.line.to_string()),
            ("column", position.column.to_string()),
            ("offset", position.offset.to_string()),
        ]
    })
}
