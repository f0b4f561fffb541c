//! What MySQL or MariaDB says went wrong, in Jobcell's words. By error numbers
//! alone (their manuals' error references); of a message, only the line that a
//! syntax error is in is read.

use jobcell_plugin_host::codes;
use mysql_async::{Error, ServerError};

use crate::config::ServerConfig;
use crate::error::{self, Facts, Position, SqlError};
use crate::servers::Statement;

/// A connection that could not be opened.
pub(super) fn of_connect(error: &Error, config: &ServerConfig) -> SqlError {
    let Error::Server(said) = error else {
        let (host, port) = (&config.host, config.port.unwrap_or(3306));
        return SqlError::unreachable(format!("`{host}:{port}`: {}", chain(error)));
    };
    let code = match said.code {
        1044 | 1142 | 1227 => error::PERMISSION,
        1045 | 1251 | 1698 | 1820 | 1862 | 3118 | 4151 => error::AUTHENTICATION,
        _ => codes::CONNECTION_FAILED,
    };
    SqlError::CannotConnect {
        name: String::new(),
        code,
        reason: said.message.clone(),
        facts: facts(said),
    }
}

/// A statement that failed.
pub(super) fn of_statement(error: &Error, statement: &Statement) -> SqlError {
    match error {
        // The server is going away, or threw this connection out.
        Error::Server(said) if matches!(said.code, 1053 | 1077 | 1079 | 1927) => {
            lost(&said.message)
        }
        Error::Server(said) => SqlError::Server {
            code: code(said.code),
            message: said.message.clone(),
            facts: facts(said),
            position: position(said, statement),
        },
        Error::Io(_) => lost(&chain(error)),
        other => SqlError::Server {
            code: codes::SQL_ERROR,
            message: chain(other),
            facts: Facts::new(),
            position: None,
        },
    }
}

/// Whether somebody stopped the statement.
pub(super) fn is_kill(error: &Error) -> bool {
    matches!(error, Error::Server(said) if said.code == 1317)
}

pub(super) fn lost(reason: &str) -> SqlError {
    SqlError::Unavailable {
        code: codes::CONNECTION_FAILED,
        message: format!("the connection was lost: {reason}"),
    }
}

fn code(number: u16) -> &'static str {
    match number {
        1044 | 1045 | 1142 | 1143 | 1227 | 1370 => error::PERMISSION,
        1064 | 1065 | 1149 => codes::SYNTAX_ERROR,
        1205 | 3572 => error::LOCK_TIMEOUT,
        1213 | 1614 => error::DEADLOCK,
        1020 | 1180 => error::SERIALIZATION,
        1317 => error::STOPPED_BY_SERVER,
        1290 | 1792 | 1836 => error::READ_ONLY,
        1021 | 1114 => error::DISK_FULL,
        1969 | 3024 => error::STATEMENT_TIMEOUT,
        1022 | 1048 | 1062 | 1169 | 1216 | 1217 | 1451 | 1452 | 1557 | 1586 | 1761 | 1762
        | 3819 | 4025 => codes::CONSTRAINT,
        _ => codes::SQL_ERROR,
    }
}

fn facts(said: &ServerError) -> Facts {
    vec![
        ("sqlstate", said.state.clone()),
        ("mysql-code", said.code.to_string()),
    ]
}

/// `… at line 3`: the line's first character, since no more is told.
fn position(said: &ServerError, statement: &Statement) -> Option<Position> {
    if said.code != 1064 {
        return None;
    }
    let (_, line) = said.message.rsplit_once(" at line ")?;
    let line: usize = line.trim().parse().ok()?;
    let before = statement
        .text
        .split_inclusive('\n')
        .take(line.checked_sub(1)?);
    let offset = before.map(str::len).sum();
    Some(Position::of(&statement.text, offset))
}

/// An error with all that led to it.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
