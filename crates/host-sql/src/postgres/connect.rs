//! Opens connections to a PostgreSQL server. Never runs a job's statements.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::poll_fn;
use jobcell_sql_text::Dialect;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, Config, Connection};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error;
use super::link::PostgresLink;
use super::stop::CancelRequest;
use crate::config::{ServerConfig, TlsMode};
use crate::error::SqlError;
use crate::servers::{Link, Messages, Server};
use crate::tls;

/// How often the server is asked whether it is still there when nothing moves.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A PostgreSQL server.
pub(crate) struct PostgreSql(ServerConfig);

impl PostgreSql {
    pub(crate) const fn new(config: ServerConfig) -> Self {
        Self(config)
    }

    fn settings(&self) -> Config {
        let config = &self.0;
        let mut settings = Config::new();
        settings
            .host(&config.host)
            .port(config.port.unwrap_or(5432))
            .user(&config.username)
            .application_name("jobcell")
            .keepalives_idle(KEEPALIVE)
            .ssl_mode(match config.tls.mode {
                TlsMode::Disable => SslMode::Disable,
                TlsMode::Prefer => SslMode::Prefer,
                TlsMode::Require | TlsMode::VerifyFull => SslMode::Require,
            });
        if let Some(database) = &config.database {
            settings.dbname(database);
        }
        if let Some(password) = &config.password {
            settings.password(password.reveal());
        }
        settings
    }
}

#[async_trait]
impl Server for PostgreSql {
    async fn connect(&self) -> Result<Box<dyn Link>, SqlError> {
        let tls = MakeRustlsConnect::new(tls::client(&self.0.tls)?);
        let connected = self.settings().connect(tls.clone()).await;
        let (client, connection) = connected.map_err(|error| error::of_connect(&error, &self.0))?;
        let messages = Arc::new(Messages::default());
        // Ends once the client is dropped; what fails there, the client tells.
        tokio::spawn(drive(connection, Arc::clone(&messages)));
        let process = client
            .query_one("SELECT pg_catalog.pg_backend_pid()", &[])
            .await;
        let process = process.and_then(|row| row.try_get(0));
        let process = process.map_err(|error| error::of_connect(&error, &self.0))?;
        let (token, settings) = (client.cancel_token(), self.settings());
        let stopper = CancelRequest::new(token, tls, &self.0, settings, process);
        let link = PostgresLink::new(client, stopper, messages, self.0.read_only);
        Ok(Box::new(link))
    }

    fn dialect(&self) -> Dialect {
        Dialect::PostgreSql
    }
}

/// Moves what is sent and received, and keeps what the server says meanwhile.
async fn drive<S, T>(mut connection: Connection<S, T>, messages: Arc<Messages>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notice(notice) = message {
            messages.add(&notice.severity().to_lowercase(), notice.message());
        }
    }
}
