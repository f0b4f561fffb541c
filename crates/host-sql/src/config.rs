//! Which databases there are and how they are opened. Never opens one.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use jobcell_sql_text::Dialect;

/// The databases that jobs may name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SqlConfig {
    /// Each connection by its name. The file of the one named `default` is
    /// created where it is missing; any other missing file is refused, since
    /// an empty database is no answer to a misspelt path.
    pub connections: BTreeMap<String, ConnectionConfig>,
}

/// How one named database is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionConfig {
    /// A SQLite file.
    Sqlite {
        /// The file, as an absolute path.
        path: PathBuf,
        /// Whether jobs may only read it.
        read_only: bool,
    },
    /// A server.
    Server(ServerConfig),
}

/// The kinds of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// PostgreSQL, from 12 on.
    PostgreSql,
    /// MySQL from 8.0 on, or MariaDB from 10.5 on.
    MySql,
    /// SQL Server from 2012 on, or Azure SQL.
    SqlServer,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// What it is.
    pub kind: ServerKind,
    /// Its name or address.
    pub host: String,
    /// Its port; none for the usual one of its kind (5432, 3306, 1433).
    pub port: Option<u16>,
    /// The database to be in; none for the server's choice.
    pub database: Option<String>,
    /// Who connects.
    pub username: String,
    /// With which password, if any.
    pub password: Option<Password>,
    /// Whether and how what is sent is encrypted.
    pub tls: Tls,
    /// Whether jobs may only read it.
    pub read_only: bool,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long one statement may take, whatever its run may.
    pub statement_timeout: Option<Duration>,
    /// Connections that may be open at one time. Further runs wait.
    pub max_open: usize,
    /// How long one that nobody uses stays open.
    pub idle_time: Duration,
}

impl ServerConfig {
    /// A server with what is usual for all that is not said: 10 connections,
    /// 30 s to connect, 5 minutes idle, and TLS with a certificate that holds,
    /// but for a server on this machine.
    #[must_use]
    pub fn new(kind: ServerKind, host: &str, username: &str) -> Self {
        Self {
            kind,
            host: host.to_owned(),
            port: None,
            database: None,
            username: username.to_owned(),
            password: None,
            tls: Tls::usual(host),
            read_only: false,
            connect_timeout: Duration::from_secs(30),
            statement_timeout: None,
            max_open: 10,
            idle_time: Duration::from_secs(300),
        }
    }
}

/// A password. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// This password.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// How what is sent to a server is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// How much is asked for.
    pub mode: TlsMode,
    /// Certificates (PEM) that vouch for the server, instead of those that
    /// the world trusts.
    pub ca_file: Option<PathBuf>,
}

/// How much protection is asked for; the words of PostgreSQL's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// None.
    Disable,
    /// Where the server offers it. Any certificate will do.
    Prefer,
    /// Encryption, whatever the certificate.
    Require,
    /// Encryption, and a certificate for the server's name that holds.
    VerifyFull,
}

impl Tls {
    /// `prefer` on this machine itself, `verify-full` anywhere else.
    #[must_use]
    pub fn usual(host: &str) -> Self {
        let address = host.parse::<IpAddr>();
        let here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        Self {
            mode: if here {
                TlsMode::Prefer
            } else {
                TlsMode::VerifyFull
            },
            ca_file: None,
        }
    }
}

impl ConnectionConfig {
    /// The word for its kind of database, as `connection.dialect` gives it.
    #[must_use]
    pub fn dialect(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
            Self::Server(server) => server.kind.dialect().name(),
        }
    }

    /// Whether jobs may only read it.
    #[must_use]
    pub const fn read_only(&self) -> bool {
        match self {
            Self::Sqlite { read_only, .. } => *read_only,
            Self::Server(server) => server.read_only,
        }
    }
}

impl ServerKind {
    pub(crate) const fn dialect(self) -> Dialect {
        match self {
            Self::PostgreSql => Dialect::PostgreSql,
            Self::MySql => Dialect::MySql,
            Self::SqlServer => Dialect::SqlServer,
        }
    }
}

/// How SQLite files are used, all alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// Whether a missing file is created rather than refused (false).
    pub create: bool,
    /// How long a statement waits for another writer (30 s), unless the run's
    /// own time is over before.
    pub busy_timeout: Duration,
    /// Connections to one database that may be in use at one time (64).
    /// Further runs wait.
    pub max_open: usize,
    /// Memory that SQLite may use in the whole process, in bytes (512 MiB).
    /// SQLite can lower this bound while it runs, never raise it.
    pub memory: u64,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            create: false,
            busy_timeout: Duration::from_secs(30),
            max_open: 64,
            memory: 512 << 20,
        }
    }
}
