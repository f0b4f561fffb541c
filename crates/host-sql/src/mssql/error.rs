//! What SQL Server says went wrong, in Jobcell's words. By error numbers and
//! severities alone (its documentation's "Database Engine events and errors");
//! no message is read for its meaning.

use jobcell_plugin_host::codes;
use tds_protocol::token::ServerError;

use super::answer::Broken;
use crate::config::ServerConfig;
use crate::error::{self, Facts, Position, SqlError};
use crate::servers::Statement;

/// The server closes the connection after an error of this severity.
const FATAL: u8 = 20;
/// The severity of what can't be read.
const UNREADABLE: u8 = 15;

/// A connection that the server refused.
pub(super) fn of_login(said: &ServerError) -> SqlError {
    let code = match said.number {
        18401 | 18450..=18470 | 18486..=18488 => error::AUTHENTICATION,
        916 | 4064 | 18471 => error::PERMISSION,
        _ => codes::CONNECTION_FAILED,
    };
    SqlError::CannotConnect {
        name: String::new(),
        code,
        reason: said.message.clone(),
        facts: facts(said),
    }
}

/// A connection that could not be opened.
pub(super) fn unreachable(config: &ServerConfig, reason: impl std::fmt::Display) -> SqlError {
    let (host, port) = (&config.host, config.port.unwrap_or(1433));
    SqlError::unreachable(format!("`{host}:{port}`: {reason}"))
}

/// A statement that failed.
pub(super) fn of_statement(said: &ServerError, statement: &Statement) -> SqlError {
    // The server throws this connection out, or goes away.
    if said.class >= FATAL || matches!(said.number, 6005 | 40197 | 40501 | 40613) {
        return lost(&said.message);
    }
    SqlError::Server {
        code: code(said),
        message: said.message.clone(),
        facts: facts(said),
        position: position(said, statement),
    }
}

pub(super) fn broken(broken: &Broken) -> SqlError {
    lost(&broken.to_string())
}

pub(super) fn lost(reason: &str) -> SqlError {
    SqlError::Unavailable {
        code: codes::CONNECTION_FAILED,
        message: format!("the connection was lost: {reason}"),
    }
}

fn code(said: &ServerError) -> &'static str {
    match said.number {
        229 | 230 | 262 | 297 | 300 | 916 | 5011 | 15151 | 15247 => error::PERMISSION,
        1205 => error::DEADLOCK,
        3960 | 3961 | 41302 | 41305 | 41325 => error::SERIALIZATION,
        1222 => error::LOCK_TIMEOUT,
        515 | 547 | 2601 | 2627 => codes::CONSTRAINT,
        1101 | 1105 | 9002 => error::DISK_FULL,
        3906 => error::READ_ONLY,
        _ if said.class == UNREADABLE => codes::SYNTAX_ERROR,
        _ => codes::SQL_ERROR,
    }
}

fn facts(said: &ServerError) -> Facts {
    let mut facts = vec![
        ("mssql-code", said.number.to_string()),
        ("severity", said.class.to_string()),
        ("state", said.state.to_string()),
    ];
    if !said.procedure.is_empty() {
        facts.push(("procedure", said.procedure.clone()));
        facts.push(("procedure-line", said.line.to_string()));
    }
    facts
}

/// The line's first character, since no more is told. A procedure's lines are
/// not those of the job.
fn position(said: &ServerError, statement: &Statement) -> Option<Position> {
    if !said.procedure.is_empty() {
        return None;
    }
    let before = usize::try_from(said.line).ok()?.checked_sub(1)?;
    let lines = statement.text.split_inclusive('\n').take(before);
    let offset = lines.map(str::len).sum();
    Some(Position::of(&statement.text, offset))
}
