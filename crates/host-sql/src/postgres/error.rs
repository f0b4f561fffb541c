//! What PostgreSQL says went wrong, in Jobcell's words. By SQLSTATE alone; no
//! message is read for its meaning.

use jobcell_plugin_host::codes;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, ErrorPosition};

use crate::config::ServerConfig;
use crate::error::{self, Facts, Position, SqlError};
use crate::servers::Statement;

/// A connection that could not be opened.
pub(super) fn of_connect(error: &Error, config: &ServerConfig) -> SqlError {
    let Some(said) = error.as_db_error() else {
        let (host, port) = (&config.host, config.port.unwrap_or(5432));
        return SqlError::unreachable(format!("`{host}:{port}`: {}", chain(error)));
    };
    let sqlstate = said.code().code();
    let code = match sqlstate {
        "28000" | "28P01" => error::AUTHENTICATION,
        "42501" => error::PERMISSION,
        _ => codes::CONNECTION_FAILED,
    };
    SqlError::CannotConnect {
        name: String::new(),
        code,
        reason: said.message().to_owned(),
        facts: vec![("sqlstate", sqlstate.to_owned())],
    }
}

/// A statement that failed.
pub(super) fn of_statement(error: &Error, statement: &Statement) -> SqlError {
    let Some(said) = error.as_db_error() else {
        if error.is_closed() {
            return lost(&chain(error));
        }
        return SqlError::Server {
            code: codes::SQL_ERROR,
            message: chain(error),
            facts: Facts::new(),
            position: None,
        };
    };
    let sqlstate = said.code().code();
    // The server is going away, or threw this connection out.
    if matches!(sqlstate, "57P01" | "57P02" | "57P03" | "57P05") || sqlstate.starts_with("08") {
        return lost(said.message());
    }
    SqlError::Server {
        code: code(sqlstate),
        message: message(said),
        facts: facts(said),
        position: position(said, statement),
    }
}

/// Whether somebody stopped the statement.
pub(super) fn is_cancel(error: &Error) -> bool {
    error.code().is_some_and(|code| code.code() == "57014")
}

/// Whether the transaction that it happened in is no more of use.
pub(super) fn lost(reason: &str) -> SqlError {
    SqlError::Unavailable {
        code: codes::CONNECTION_FAILED,
        message: format!("the connection was lost: {reason}"),
    }
}

/// Jobcell's word for a SQLSTATE (PostgreSQL's documentation, appendix A).
fn code(sqlstate: &str) -> &'static str {
    match sqlstate {
        "42501" => error::PERMISSION,
        "42601" | "42P02" => codes::SYNTAX_ERROR,
        "40P01" => error::DEADLOCK,
        "40001" => error::SERIALIZATION,
        "55P03" => error::LOCK_TIMEOUT,
        "57014" => error::STOPPED_BY_SERVER,
        "25006" => error::READ_ONLY,
        "53100" => error::DISK_FULL,
        _ if sqlstate.starts_with("23") => codes::CONSTRAINT,
        _ if sqlstate.starts_with("28") => error::AUTHENTICATION,
        _ => codes::SQL_ERROR,
    }
}

fn message(said: &DbError) -> String {
    let mut message = said.message().to_owned();
    if let Some(detail) = said.detail() {
        message = format!("{message}: {detail}");
    }
    match said.hint() {
        Some(hint) => format!("{message} ({hint})"),
        None => message,
    }
}

fn facts(said: &DbError) -> Facts {
    let named = [
        ("sqlstate", Some(said.code().code())),
        ("schema", said.schema()),
        ("table", said.table()),
        ("column-name", said.column()),
        ("constraint", said.constraint()),
        ("where", said.where_()),
    ];
    let given = named
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?.to_owned())));
    given.collect()
}

/// Where in the job's text; PostgreSQL counts characters from 1.
fn position(said: &DbError, statement: &Statement) -> Option<Position> {
    let Some(ErrorPosition::Original(at)) = said.position() else {
        return None;
    };
    let before = usize::try_from(*at).ok()?.checked_sub(1)?;
    let sent = &statement.sent;
    let byte = sent
        .char_indices()
        .nth(before)
        .map_or(sent.len(), |(byte, _)| byte);
    Some(Position::of(&statement.text, statement.place_in_text(byte)))
}

/// An error with all that led to it.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
