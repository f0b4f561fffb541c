//! A database for the tests: how it is reached, and the few words in which the
//! kinds differ.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jobcell_host_sql::{
    ConnectionConfig, Password, ServerConfig, ServerKind, SqlCapability, SqlConfig, SqliteOptions,
    Tls, TlsMode,
};
use tempfile::TempDir;

use crate::server::{PATIENCE, Server};
use crate::session::Run;

pub(crate) const USER: &str = "admin";
pub(crate) const PASSWORD: &str = "a secret: 'ä\"";

/// One kind of database.
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    config: ConnectionConfig,
    /// That of the server, where it has one.
    pub(crate) certificate: PathBuf,
    _folder: Option<TempDir>,
    _server: Option<Server>,
}

impl Engine {
    pub(crate) fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("test.sqlite");
        Self {
            name: "sqlite",
            config: ConnectionConfig::Sqlite {
                path,
                read_only: false,
            },
            certificate: PathBuf::new(),
            _folder: Some(folder),
            _server: None,
        }
    }

    /// A SQL Server that somebody else runs: `HOST:PORT:USER:PASSWORD:DATABASE`
    /// in `JOBCELL_TEST_MSSQL`. From 2022 on, and the user may see all sessions
    /// and end them.
    pub(crate) fn sqlserver() -> Option<Self> {
        let told = std::env::var("JOBCELL_TEST_MSSQL").ok()?;
        let parts: Vec<&str> = told.split(':').collect();
        let &[host, port, user, password, database] = &parts[..] else {
            panic!("JOBCELL_TEST_MSSQL is not HOST:PORT:USER:PASSWORD:DATABASE");
        };
        let config = ServerConfig {
            port: Some(port.parse().unwrap()),
            database: Some(database.to_owned()),
            password: Some(Password::new(password.to_owned())),
            tls: Tls {
                mode: TlsMode::Prefer,
                ca_file: None,
            },
            ..ServerConfig::new(ServerKind::SqlServer, host, user)
        };
        let engine = Self {
            name: "sqlserver",
            config: ConnectionConfig::Server(config),
            certificate: PathBuf::new(),
            _folder: None,
            _server: None,
        };
        engine.wait();
        Some(engine)
    }

    /// Only a name, for a list of tests.
    pub(crate) fn listed(name: &'static str) -> Self {
        Self {
            name,
            ..Self::sqlite()
        }
    }

    pub(crate) fn server(
        name: &'static str,
        server: Server,
        config: ServerConfig,
        database: &str,
        certificate: PathBuf,
    ) -> Self {
        let config = ServerConfig {
            port: Some(server.port),
            database: Some(database.to_owned()),
            password: Some(Password::new(PASSWORD.to_owned())),
            ..config
        };
        let engine = Self {
            name,
            config: ConnectionConfig::Server(config),
            certificate,
            _folder: None,
            _server: Some(server),
        };
        engine.wait();
        engine
    }

    /// Waits until the server is ready: its port is open before that.
    fn wait(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let begun = Instant::now();
            while let Err(error) = Run::try_begin(&self.capability()).await {
                assert!(begun.elapsed() < PATIENCE, "{}: {error}", self.name);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }

    /// Runs statements before any test.
    pub(crate) fn prepare(&self, statements: &[&str]) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let mut run = self.run().await;
            for statement in statements {
                run.query(statement).await.unwrap();
            }
            run.end().await;
        });
    }

    pub(crate) fn is_server(&self) -> bool {
        self.name != "sqlite"
    }

    /// One of these words, by the kind of database.
    pub(crate) fn word<'w>(
        &self,
        sqlite: &'w str,
        postgresql: &'w str,
        mysql: &'w str,
        sqlserver: &'w str,
    ) -> &'w str {
        match self.name {
            "sqlite" => sqlite,
            "postgresql" => postgresql,
            "sqlserver" => sqlserver,
            _ => mysql,
        }
    }

    /// What begins a transaction.
    pub(crate) fn begin(&self) -> &'static str {
        self.word("BEGIN", "BEGIN", "BEGIN", "BEGIN TRANSACTION")
    }

    /// Asks for the number that the server has for the connection.
    pub(crate) fn own_number(&self) -> &'static str {
        let postgresql = "SELECT pg_backend_pid()";
        self.word("", postgresql, "SELECT connection_id()", "SELECT @@SPID")
    }

    pub(crate) fn is_sqlserver(&self) -> bool {
        self.name == "sqlserver"
    }

    /// Whether it is a server that takes one statement at a time.
    pub(crate) fn runs_statements(&self) -> bool {
        self.is_server() && !self.is_sqlserver()
    }

    /// The capability with this database as `test`.
    pub(crate) fn capability(&self) -> SqlCapability {
        self.with(|_| {})
    }

    /// The same, with a server that is reached otherwise.
    pub(crate) fn with(&self, change: impl FnOnce(&mut ServerConfig)) -> SqlCapability {
        let mut config = self.config.clone();
        if let ConnectionConfig::Server(server) = &mut config {
            change(server);
        }
        capability(config)
    }

    pub(crate) fn read_only(&self) -> SqlCapability {
        let mut config = self.config.clone();
        match &mut config {
            ConnectionConfig::Sqlite { read_only, .. } => *read_only = true,
            ConnectionConfig::Server(server) => server.read_only = true,
        }
        capability(config)
    }

    /// A run with a connection of its own.
    pub(crate) async fn run(&self) -> Run {
        Run::begin(&self.capability()).await
    }
}

fn capability(config: ConnectionConfig) -> SqlCapability {
    let connections = [("test".to_owned(), config)].into();
    let options = SqliteOptions {
        create: true,
        ..SqliteOptions::default()
    };
    SqlCapability::with_options(SqlConfig { connections }, &options)
}
