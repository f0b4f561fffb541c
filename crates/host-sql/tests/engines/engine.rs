//! A database for the tests: how it is reached, and the few words in which the
//! kinds differ.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jobcell_host_sql::{
    ConnectionConfig, Password, ServerConfig, SqlCapability, SqlConfig, SqliteOptions,
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
    pub(crate) fn word<'w>(&self, sqlite: &'w str, postgresql: &'w str, mysql: &'w str) -> &'w str {
        match self.name {
            "sqlite" => sqlite,
            "postgresql" => postgresql,
            _ => mysql,
        }
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
