//! Stops a statement by a cancel request: a connection of its own, which the
//! server closes once it has acted on it. Never waits for the statement.

use async_trait::async_trait;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{CancelToken, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::ServerConfig;
use crate::error::SqlError;
use crate::servers::{PROMPT, Stopper};

/// A transaction that has changed something has an id of its own.
const WROTE_NOTHING: &str =
    "SELECT 1 FROM pg_catalog.pg_stat_activity WHERE pid = $1 AND backend_xid IS NULL";

/// A connection's cancel request.
pub(crate) struct CancelRequest {
    token: CancelToken,
    tls: MakeRustlsConnect,
    host: String,
    port: u16,
    settings: Config,
    /// The connection's process on the server.
    process: i32,
}

impl CancelRequest {
    pub(super) fn new(
        token: CancelToken,
        tls: MakeRustlsConnect,
        config: &ServerConfig,
        settings: Config,
        process: i32,
    ) -> Self {
        Self {
            token,
            tls,
            host: config.host.clone(),
            port: config.port.unwrap_or(5432),
            settings,
            process,
        }
    }

    /// Whether the server says that the statement under way has changed
    /// nothing: then nobody misses what a stop undoes.
    pub(super) async fn would_undo_nothing(&self) -> bool {
        let asking = tokio::time::timeout(PROMPT, self.ask());
        matches!(asking.await, Ok(Ok(true)))
    }

    async fn ask(&self) -> Result<bool, Error> {
        let (client, connection) = self.settings.connect(self.tls.clone()).await?;
        let question = async {
            let rows = client.query(WROTE_NOTHING, &[&self.process]).await;
            drop(client);
            Ok(!rows?.is_empty())
        };
        // The connection ends once its client is gone.
        let (answer, _) = tokio::join!(question, connection);
        answer
    }

    async fn send(&self) -> Result<(), SqlError> {
        let failed = |error: &dyn std::error::Error| {
            SqlError::unreachable(format!("a cancel request can't be sent: {error}"))
        };
        let address = (self.host.as_str(), self.port);
        let opened = TcpStream::connect(address).await.and_then(twice);
        let (stream, mut end) = opened.map_err(|error| failed(&error))?;
        let mut tls = self.tls.clone();
        let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls, &self.host)
            .map_err(|error| failed(&error))?;
        let sent = self.token.cancel_query_raw(stream, tls).await;
        sent.map_err(|error| failed(&error))?;
        // Without this wait, the request could hit the statement after.
        let mut rest = [0; 64];
        while end.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        Ok(())
    }
}

/// A stream and another handle to it, which outlives whoever uses the first.
fn twice(stream: TcpStream) -> std::io::Result<(TcpStream, TcpStream)> {
    let stream = stream.into_std()?;
    let other = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, TcpStream::from_std(other)?))
}

#[async_trait]
impl Stopper for CancelRequest {
    async fn stop(&self) -> Result<(), SqlError> {
        let sent = tokio::time::timeout(PROMPT, self.send()).await;
        sent.unwrap_or_else(|_| Err(SqlError::unreachable("a cancel request had no answer")))
    }
}
