//! Stops a statement by `KILL QUERY` over a connection of its own. Never waits
//! for the statement.

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};

use crate::error::SqlError;
use crate::servers::{PROMPT, Stopper};

/// What stops one connection's statements.
pub(super) struct KillQuery {
    settings: Opts,
    connection: u32,
}

impl KillQuery {
    pub(super) const fn new(settings: Opts, connection: u32) -> Self {
        Self {
            settings,
            connection,
        }
    }

    async fn kill(&self) -> Result<(), mysql_async::Error> {
        let mut own = Conn::new(self.settings.clone()).await?;
        own.query_drop(format!("KILL QUERY {}", self.connection))
            .await?;
        own.disconnect().await
    }
}

#[async_trait]
impl Stopper for KillQuery {
    async fn stop(&self) -> Result<(), SqlError> {
        match tokio::time::timeout(PROMPT, self.kill()).await {
            Ok(killed) => killed
                .map_err(|error| SqlError::unreachable(format!("`KILL QUERY` failed: {error}"))),
            Err(_) => Err(SqlError::unreachable("`KILL QUERY` had no answer")),
        }
    }
}
