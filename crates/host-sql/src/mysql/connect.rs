//! Opens connections to a MySQL or MariaDB server. Never runs a job's
//! statements.

use std::path::PathBuf;

use async_trait::async_trait;
use jobcell_sql_text::Dialect;
use mysql_async::{Conn, DriverError, Error, Opts, OptsBuilder, SslOpts};

use super::error;
use super::link::MySqlLink;
use super::stop::KillQuery;
use crate::config::{ServerConfig, TlsMode};
use crate::error::SqlError;
use crate::servers::{Link, Server};

/// What a connection is told when it is new, and after each reset. Text comes
/// as UTF-8 whatever the server's usual is.
const SETUP: &str = "SET NAMES utf8mb4";

/// A MySQL or MariaDB server.
pub(crate) struct MySql(ServerConfig);

impl MySql {
    pub(crate) const fn new(config: ServerConfig) -> Self {
        Self(config)
    }

    fn settings(&self, encrypted: bool) -> Opts {
        let config = &self.0;
        let tls = encrypted.then(|| {
            let anyone = config.tls.mode != TlsMode::VerifyFull;
            let file = config.tls.ca_file.clone().filter(|_| !anyone);
            SslOpts::default()
                .with_disable_built_in_roots(file.is_some())
                .with_root_certs(file.map(PathBuf::into).into_iter().collect())
                .with_danger_accept_invalid_certs(anyone)
                .with_danger_skip_domain_validation(anyone)
        });
        let password = config.password.as_ref().map(|password| password.reveal());
        OptsBuilder::default()
            .ip_or_hostname(config.host.as_str())
            .tcp_port(config.port.unwrap_or(3306))
            .user(Some(config.username.as_str()))
            .pass(password)
            .db_name(config.database.as_deref())
            .prefer_socket(false)
            .ssl_opts(tls)
            .setup(vec![SETUP])
            .connect_attribute("program_name", "jobcell")
            .into()
    }

    async fn open(&self) -> Result<(Conn, Opts), Error> {
        let encrypted = self.settings(true);
        match self.0.tls.mode {
            TlsMode::Disable => {}
            TlsMode::Require | TlsMode::VerifyFull => {
                return Ok((Conn::new(encrypted.clone()).await?, encrypted));
            }
            TlsMode::Prefer => match Conn::new(encrypted.clone()).await {
                Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) => {}
                opened => return Ok((opened?, encrypted)),
            },
        }
        let plain = self.settings(false);
        Ok((Conn::new(plain.clone()).await?, plain))
    }
}

#[async_trait]
impl Server for MySql {
    async fn connect(&self) -> Result<Box<dyn Link>, SqlError> {
        let opened = self.open().await;
        let (connection, settings) = opened.map_err(|error| error::of_connect(&error, &self.0))?;
        let stopper = KillQuery::new(settings, connection.id());
        Ok(Box::new(MySqlLink::new(
            connection,
            stopper,
            self.0.read_only,
        )))
    }

    fn dialect(&self) -> Dialect {
        Dialect::MySql
    }
}
