//! Databases that are servers of their own: what every kind of them must be
//! able to do, and all that is the same for each. Never speaks a protocol; the
//! modules of the kinds do.

mod messages;
mod pool;
mod results;
mod running;
mod session;
mod statement;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jobcell_plugin_host::bindings::sql::Value;

use crate::error::SqlError;

pub(crate) use messages::Messages;
pub(crate) use pool::Pool;
pub(crate) use results::{Flow, Results, Row};
pub(crate) use session::{Cursor, Session};
pub(crate) use statement::Statement;

/// How long a server is given to confirm that a statement ended, and for
/// anything else that should take no time.
pub(crate) const PROMPT: Duration = Duration::from_secs(5);

/// A server, and how it is reached.
#[async_trait]
pub(crate) trait Server: Send + Sync + 'static {
    /// Opens a connection.
    async fn connect(&self) -> Result<Box<dyn Link>, SqlError>;

    /// The rules for its statements' text.
    fn dialect(&self) -> jobcell_sql_text::Dialect;
}

/// An open connection to a server. One task at a time uses it. A future of it
/// that is dropped before its end leaves it unusable.
#[async_trait]
pub(crate) trait Link: Send + 'static {
    /// Has the server compile a statement, where that needs no values.
    async fn prepare(&mut self, statement: &Statement) -> Result<(), SqlError>;

    /// Runs a statement and hands out its results. When those are enough, the
    /// server is stopped or the rest read, so that the connection is free.
    async fn execute(
        &mut self,
        statement: &Statement,
        values: &[Value],
        out: &mut Results,
    ) -> Result<(), SqlError>;

    /// Whether a transaction is open, as known after the last statement.
    fn in_transaction(&self) -> bool;

    /// Rolls back what is open and makes it as it was when it was new.
    async fn clean(&mut self) -> Result<(), SqlError>;

    /// Asks the server for an answer.
    async fn ping(&mut self) -> Result<(), SqlError>;

    /// Whether it can still be used.
    fn is_usable(&self) -> bool;

    /// What stops its statement from outside.
    fn stopper(&self) -> Arc<dyn Stopper>;

    /// Where the server's messages gather.
    fn messages(&self) -> Arc<Messages>;
}

/// Stops the statement that a connection is running, by another way than that
/// connection.
#[async_trait]
pub(crate) trait Stopper: Send + Sync + 'static {
    /// Returns once the server has acted on it, as far as it tells.
    async fn stop(&self) -> Result<(), SqlError>;
}
