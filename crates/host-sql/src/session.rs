//! A session on any database: the one face that all kinds of them show. Never
//! knows more of a kind than that it is another.

use std::sync::Arc;

use jobcell_plugin_host::RunScope;
use jobcell_plugin_host::bindings::sql::{Column, Message, Page, Value};

use crate::databases::Database;
use crate::error::SqlError;
use crate::{servers, sqlite};

/// An open connection with its own session.
pub struct Session(Kind);

enum Kind {
    Sqlite(sqlite::Session),
    Server(servers::Session),
}

/// A statement to be, with values for its parameters.
pub struct Statement {
    text: Text,
    bindings: Vec<Option<Value>>,
}

enum Text {
    Sqlite(Arc<sqlite::Prepared>),
    Server(Arc<servers::Statement>),
}

/// The results of one execution.
pub struct Cursor(Results);

enum Results {
    Sqlite(sqlite::Cursor),
    Server(servers::Cursor),
}

/// How a session ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Closed {
    /// Whether a transaction was open and was rolled back.
    pub rolled_back: bool,
    /// Processor time that the database used for it, where it was ours.
    pub cpu_time: std::time::Duration,
}

/// A cursor or a statement of one session was given to another.
const FOREIGN: SqlError = SqlError::Misuse("it belongs to another connection");

impl Session {
    pub(crate) async fn open(database: &Database, scope: &RunScope) -> Result<Self, SqlError> {
        Ok(Self(match database {
            Database::Sqlite(pool) => Kind::Sqlite(sqlite::Session::open(pool, scope).await?),
            Database::Server(pool) => Kind::Server(servers::Session::open(pool, scope).await?),
        }))
    }

    /// Whether a transaction is open.
    #[must_use]
    pub const fn in_transaction(&self) -> bool {
        match &self.0 {
            Kind::Sqlite(session) => session.in_transaction(),
            Kind::Server(session) => session.in_transaction(),
        }
    }

    /// Prepares one statement, or one batch where the dialect has them.
    ///
    /// # Errors
    /// When the database refuses the text, or the run is stopped.
    pub async fn prepare(&mut self, text: &str) -> Result<Statement, SqlError> {
        let text = match &mut self.0 {
            Kind::Sqlite(session) => Text::Sqlite(session.prepare(text).await?),
            Kind::Server(session) => Text::Server(session.prepare(text).await?),
        };
        Ok(Statement {
            text,
            bindings: Vec::new(),
        })
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// When a parameter has no value, a cursor is open, the run is stopped, or
    /// the database fails the statement.
    pub async fn execute(&mut self, statement: Statement) -> Result<Cursor, SqlError> {
        let Statement { text, bindings } = statement;
        Ok(Cursor(match (&mut self.0, &text) {
            (Kind::Sqlite(session), Text::Sqlite(text)) => {
                Results::Sqlite(session.execute(text, bindings).await?)
            }
            (Kind::Server(session), Text::Server(text)) => {
                Results::Server(session.execute(text, bindings).await?)
            }
            _ => return Err(FOREIGN),
        }))
    }

    /// The next rows of the cursor's present result.
    ///
    /// # Errors
    /// When the result has more than it may, the run is stopped, or the
    /// database fails.
    pub async fn next_page(&mut self, cursor: &mut Cursor, max: u32) -> Result<Page, SqlError> {
        match (&mut self.0, &mut cursor.0) {
            (Kind::Sqlite(session), Results::Sqlite(cursor)) => {
                session.next_page(cursor, max).await
            }
            (Kind::Server(session), Results::Server(cursor)) => {
                session.next_page(cursor, max).await
            }
            _ => Err(FOREIGN),
        }
    }

    /// Moves to the next result; false after the last.
    ///
    /// # Errors
    /// When the run is stopped or the database fails.
    pub async fn next_result(&mut self, cursor: &mut Cursor) -> Result<bool, SqlError> {
        match (&mut self.0, &mut cursor.0) {
            // A SQLite statement has exactly one result.
            (Kind::Sqlite(_), Results::Sqlite(_)) => Ok(false),
            (Kind::Server(session), Results::Server(cursor)) => session.next_result(cursor).await,
            _ => Err(FOREIGN),
        }
    }

    /// Takes the server's messages since the last call.
    pub fn take_messages(&mut self) -> Vec<Message> {
        match &self.0 {
            // SQLite sends none.
            Kind::Sqlite(_) => Vec::new(),
            Kind::Server(session) => session.take_messages(),
        }
    }

    /// Ends a cursor, however much of it was read.
    ///
    /// # Errors
    /// When the run is stopped or the database fails.
    pub async fn close_cursor(&mut self, cursor: Cursor) -> Result<(), SqlError> {
        match (&mut self.0, cursor.0) {
            (Kind::Sqlite(session), Results::Sqlite(cursor)) => session.close_cursor(cursor).await,
            (Kind::Server(session), Results::Server(cursor)) => session.close_cursor(cursor).await,
            _ => Err(FOREIGN),
        }
    }

    /// Rolls back what is open and gives the connection back.
    pub async fn close(self) -> Closed {
        match self.0 {
            Kind::Sqlite(session) => {
                let closed = session.close().await;
                Closed {
                    rolled_back: closed.rolled_back,
                    cpu_time: closed.cpu_time,
                }
            }
            Kind::Server(session) => Closed {
                rolled_back: session.close().await,
                ..Closed::default()
            },
        }
    }
}

impl Statement {
    /// Puts a value into each parameter of this name.
    ///
    /// # Errors
    /// When the statement has no parameter of this name.
    pub fn bind(&mut self, name: &str, value: &Value) -> Result<(), SqlError> {
        match &self.text {
            Text::Sqlite(text) => text.bind(&mut self.bindings, name, value),
            Text::Server(text) => text.bind(&mut self.bindings, name, value),
        }
    }
}

impl Cursor {
    /// The present result's columns; none where it has no rows.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        match &self.0 {
            Results::Sqlite(cursor) => cursor.columns(),
            Results::Server(cursor) => cursor.columns(),
        }
    }

    /// Rows changed by the present result, once its last page was taken.
    #[must_use]
    pub fn affected(&self) -> Option<u64> {
        match &self.0 {
            Results::Sqlite(cursor) => cursor.affected(),
            Results::Server(cursor) => cursor.affected(),
        }
    }

    /// Rows of the present result, with those that a cap kept back, where
    /// somebody counted them: a server that was stopped did not.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        match &self.0 {
            Results::Sqlite(_) => None,
            Results::Server(cursor) => cursor.total(),
        }
    }

    /// Rows of the present result that the pages handed out.
    #[must_use]
    pub const fn returned(&self) -> u64 {
        match &self.0 {
            Results::Sqlite(cursor) => cursor.returned(),
            Results::Server(cursor) => cursor.returned(),
        }
    }
}
