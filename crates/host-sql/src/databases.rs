//! The databases by name, as they are at this moment: names are set, refused and
//! forgotten while runs go on. Never opens a connection.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use jobcell_plugin_host::RunScope;

use crate::config::{ConnectionConfig, ServerKind, SqliteOptions};
use crate::error::SqlError;
use crate::mssql::MsSql;
use crate::mysql::MySql;
use crate::postgres::PostgreSql;
use crate::servers::{self, Server};
use crate::session::Session;
use crate::sqlite;

/// The connection whose file is the server's own, and created when missing.
const CREATED: &str = "default";
/// The run's fact that says which kind of job it is.
const JOB_TYPE: &str = "job-type";

pub(crate) struct Databases {
    options: SqliteOptions,
    names: RwLock<BTreeMap<String, Entry>>,
}

#[derive(Clone)]
enum Entry {
    Open(Arc<Named>),
    /// Nobody may use it, for this reason.
    Refused(String),
}

/// Where a name leads.
pub(crate) struct Named {
    pub(crate) config: ConnectionConfig,
    pub(crate) database: Database,
    /// The job types that may use it; all without a list.
    job_types: Option<Vec<String>>,
}

/// The open connections of one database.
pub(crate) enum Database {
    Sqlite(Arc<sqlite::Pool>),
    Server(Arc<servers::Pool>),
}

impl Databases {
    pub(crate) fn new(options: SqliteOptions) -> Self {
        Self {
            options,
            names: RwLock::default(),
        }
    }

    pub(crate) fn set(&self, name: &str, config: ConnectionConfig, job_types: Option<Vec<String>>) {
        let database = Database::new(name, &config, &self.options);
        let named = Named {
            config,
            database,
            job_types,
        };
        self.put(name, Some(Entry::Open(Arc::new(named))));
    }

    pub(crate) fn refuse(&self, name: &str, reason: String) {
        self.put(name, Some(Entry::Refused(reason)));
    }

    pub(crate) fn remove(&self, name: &str) {
        self.put(name, None);
    }

    fn put(&self, name: &str, entry: Option<Entry>) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        let before = match entry {
            Some(entry) => names.insert(name.to_owned(), entry),
            None => names.remove(name),
        };
        drop(names);
        if let Some(Entry::Open(before)) = before {
            before.database.retire();
        }
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.get(name).cloned()
    }

    /// All that lead somewhere.
    pub(crate) fn all(&self) -> Vec<(String, Arc<Named>)> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let open = names.iter().filter_map(|(name, entry)| match entry {
            Entry::Open(named) => Some((name.clone(), Arc::clone(named))),
            Entry::Refused(_) => None,
        });
        open.collect()
    }

    /// Where a name leads, whoever asks.
    pub(crate) fn named(&self, name: &str) -> Result<Arc<Named>, SqlError> {
        match self.entry(name) {
            Some(Entry::Open(named)) => Ok(named),
            Some(Entry::Refused(reason)) => Err(SqlError::CannotOpen {
                name: name.to_owned(),
                reason,
            }),
            None => Err(self.unknown(name)),
        }
    }

    /// Where a name leads, for a run whose job's type may use it.
    pub(crate) fn granted(&self, name: &str, scope: &RunScope) -> Result<Arc<Named>, SqlError> {
        let named = self.named(name)?;
        let Some(granted) = &named.job_types else {
            return Ok(named);
        };
        let job_type = scope.attribute(JOB_TYPE).unwrap_or_default();
        if granted.iter().any(|granted| granted == job_type) {
            return Ok(named);
        }
        Err(SqlError::NotGranted {
            name: name.to_owned(),
            job_type: job_type.to_owned(),
            granted: granted.join(", "),
        })
    }

    /// A session where a name leads, and what kind of database that is. Whoever
    /// waits while the name is set anew goes on waiting there.
    pub(crate) async fn session(
        &self,
        name: &str,
        scope: &RunScope,
    ) -> Result<(&'static str, Session), SqlError> {
        loop {
            let named = self.granted(name, scope)?;
            match Session::open(&named.database, scope).await {
                Ok(session) => return Ok((named.config.dialect(), session)),
                Err(error) if !named.database.is_retired() => return Err(error),
                Err(error) => match self.entry(name) {
                    Some(Entry::Open(now)) if Arc::ptr_eq(&now, &named) => return Err(error),
                    _ => {}
                },
            }
        }
    }

    fn unknown(&self, name: &str) -> SqlError {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let known = names.keys().map(|name| format!("`{name}`"));
        let known = known.collect::<Vec<_>>().join(", ");
        SqlError::UnknownConnection {
            name: name.to_owned(),
            known: if known.is_empty() {
                "none".to_owned()
            } else {
                known
            },
        }
    }
}

impl Database {
    fn new(name: &str, config: &ConnectionConfig, options: &SqliteOptions) -> Self {
        match config {
            ConnectionConfig::Sqlite { path, read_only } => {
                let options = SqliteOptions {
                    create: options.create || name == CREATED,
                    ..options.clone()
                };
                Self::Sqlite(sqlite::Pool::new(name, path, *read_only, &options))
            }
            ConnectionConfig::Server(config) => {
                let server: Arc<dyn Server> = match config.kind {
                    ServerKind::PostgreSql => Arc::new(PostgreSql::new(config.clone())),
                    ServerKind::MySql => Arc::new(MySql::new(config.clone())),
                    ServerKind::SqlServer => Arc::new(MsSql::new(config.clone())),
                };
                Self::Server(servers::Pool::new(name, config, server))
            }
        }
    }

    fn is_retired(&self) -> bool {
        match self {
            Self::Sqlite(pool) => pool.is_retired(),
            Self::Server(pool) => pool.is_retired(),
        }
    }

    /// Closes what nobody uses, and the rest when it is given back.
    fn retire(&self) {
        match self {
            Self::Sqlite(pool) => pool.retire(),
            Self::Server(pool) => pool.retire(),
        }
    }
}
