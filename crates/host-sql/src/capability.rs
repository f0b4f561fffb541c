//! The capability itself: its databases, and what one run holds of them.
//! Never speaks the plugin's language; `host` does.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jobcell_model::OutputStream;
use jobcell_plugin_host::bindings::sql;
use jobcell_plugin_host::{
    Capability, CapabilityRun, Cost, EffectGate, Ended, RunLimits, RunScope, RunState,
};
use wasmtime::component::{HasData, Linker};

use crate::config::{ConnectionConfig, SqlConfig, SqliteOptions};
use crate::databases::{Database, Databases, Named};
use crate::error::SqlError;
use crate::host::Resources;
use crate::session::Session;

/// The `sql` capability with its databases.
#[derive(Clone)]
pub struct SqlCapability(Arc<Databases>);

/// What may be shown of a configured connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Its name.
    pub name: String,
    /// The kind of database: `sqlite`, `postgresql`, `mysql`, `sqlserver`.
    pub dialect: &'static str,
    /// Whether jobs may only read it.
    pub read_only: bool,
}

impl SqlCapability {
    /// The capability with these databases. Opens none of them yet.
    #[must_use]
    pub fn new(config: SqlConfig) -> Self {
        Self::with_options(config, &SqliteOptions::default())
    }

    /// The same, with other options than the default ones.
    #[must_use]
    pub fn with_options(config: SqlConfig, options: &SqliteOptions) -> Self {
        let databases = Databases::new(options.clone());
        for (name, config) in config.connections {
            databases.set(&name, config, None);
        }
        Self(Arc::new(databases))
    }

    /// Sets where a name leads, for these job types or for all, whatever it led
    /// to before. Runs that use that go on with it.
    pub fn set(&self, name: &str, config: ConnectionConfig, job_types: Option<Vec<String>>) {
        self.0.set(name, config, job_types);
    }

    /// Has a name lead nowhere, for this reason.
    pub fn refuse(&self, name: &str, reason: String) {
        self.0.refuse(name, reason);
    }

    /// Forgets a name. Runs that use it go on.
    pub fn remove(&self, name: &str) {
        self.0.remove(name);
    }

    /// The connections that lead somewhere, by name.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        let info = |(name, named): (String, Arc<Named>)| ConnectionInfo {
            name,
            dialect: named.config.dialect(),
            read_only: named.config.read_only(),
        };
        self.0.all().into_iter().map(info).collect()
    }

    /// Opens a connection and reads from it, to see whether it works.
    ///
    /// # Errors
    /// When there is none of this name, or it can't be opened in this time.
    pub async fn check(&self, name: &str, within: Duration) -> Result<(), SqlError> {
        let limits = RunLimits::default();
        let scope = RunScope::new(Vec::new(), limits, within, EffectGate::open(), None);
        let work = async {
            let named = self.0.named(name)?;
            let mut session = Session::open(&named.database, &scope).await?;
            let text = match named.config.dialect() {
                "sqlite" => "SELECT count(*) FROM sqlite_schema",
                _ => "SELECT 1",
            };
            let statement = session.prepare(text).await?;
            let cursor = session.execute(statement).await?;
            session.close_cursor(cursor).await?;
            session.close().await;
            Ok(())
        };
        match tokio::time::timeout(within, work).await {
            Ok(result) => result,
            Err(_) => Err(SqlError::CannotOpen {
                name: name.to_owned(),
                reason: format!("it did not answer within {within:?}"),
            }),
        }
    }

    /// Opens a session for a run.
    ///
    /// # Errors
    /// When there is no such connection, it can't be opened, or the run is
    /// stopped.
    pub async fn session(&self, name: &str, scope: &RunScope) -> Result<Session, SqlError> {
        let (_, session) = self.0.session(name, scope).await?;
        Ok(session)
    }

    /// Closes every database once no run uses it any more.
    pub async fn close(&self) {
        for (_, named) in self.0.all() {
            match &named.database {
                Database::Sqlite(pool) => pool.close().await,
                Database::Server(pool) => pool.close().await,
            }
        }
    }
}

struct HasSql;

impl HasData for HasSql {
    type Data<'a> = &'a mut SqlRun;
}

impl Capability for SqlCapability {
    fn name(&self) -> &'static str {
        "sql"
    }

    fn link(&self, linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
        sql::add_to_linker::<_, HasSql>(linker, RunState::capability::<SqlRun>)
    }

    fn begin(&self, scope: &RunScope) -> Box<dyn CapabilityRun> {
        Box::new(SqlRun {
            scope: scope.clone(),
            databases: Arc::clone(&self.0),
            resources: Resources::default(),
            cost: Cost::default(),
        })
    }
}

/// What one run holds of the databases.
pub struct SqlRun {
    pub(crate) scope: RunScope,
    pub(crate) databases: Arc<Databases>,
    pub(crate) resources: Resources,
    /// Processor time of SQLite's threads. Their memory is not told apart.
    pub(crate) cost: Cost,
}

impl SqlRun {
    /// Ends a session and writes into the run's log what that undid.
    pub(crate) async fn end_session(&mut self, name: &str, session: Session) {
        let closed = session.close().await;
        self.cost.cpu_time += closed.cpu_time;
        if closed.rolled_back {
            let line = format!(
                "connection `{name}`: a transaction was still open and was rolled back; end it with COMMIT to keep its changes"
            );
            self.scope
                .output()
                .write(OutputStream::Log, line.as_bytes());
        }
    }
}

#[async_trait]
impl CapabilityRun for SqlRun {
    async fn end(&mut self) -> Ended {
        for (name, session) in self.resources.take_sessions() {
            self.end_session(&name, session).await;
        }
        Ended {
            cost: self.cost,
            ..Ended::default()
        }
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
