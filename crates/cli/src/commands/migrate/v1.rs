//! V1's rows, wherever they are. Never writes there.

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::database::Database;
use super::dump::Dump;
use super::source::Source;
use crate::exit::{Exit, Failure};

/// A row by its column names.
pub(crate) type Row = Map<String, Value>;

/// A table of V1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Jobs,
    History,
    Connections,
}

/// How many tables there are.
pub(crate) const TABLES: usize = 3;

impl Table {
    pub(crate) const ALL: [Self; TABLES] = [Self::Jobs, Self::History, Self::Connections];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "job_configurations",
            Self::History => "job_execution_history",
            Self::Connections => "user_connections",
        }
    }
}

/// V1, opened to be read.
pub(crate) enum V1 {
    Database(Database),
    Dump(Dump),
}

impl V1 {
    pub(crate) async fn open(source: Source) -> Result<Self, Failure> {
        let unreadable =
            |error: anyhow::Error| Failure::context(Exit::Unavailable, error, "V1 can't be read");
        let opened = match source {
            Source::Database { config, dialect } => {
                let opened = Database::open(config, dialect).await;
                Self::Database(opened.map_err(|error| unreadable(error.into()))?)
            }
            Source::Json(path) => {
                Self::Dump(Dump::json(&path).map_err(|error| unreadable(error.into()))?)
            }
            Source::Yaml(path) => {
                Self::Dump(Dump::yaml(&path).map_err(|error| unreadable(error.into()))?)
            }
        };
        if !opened.has(Table::Jobs) {
            return Err(Failure::message(
                Exit::Unavailable,
                "V1 can't be read: there is no table `job_configurations`; is this V1's database?",
            ));
        }
        Ok(opened)
    }

    /// Whether there is such a table.
    pub(crate) fn has(&self, table: Table) -> bool {
        match self {
            Self::Database(database) => database.has(table),
            Self::Dump(dump) => dump.has(table),
        }
    }

    /// What is not as it was in V1, one sentence each.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let missing = Table::ALL.into_iter().filter(|table| !self.has(*table));
        let mut remarks: Vec<String> = missing
            .map(|table| format!("the source has no `{}`", table.name()))
            .collect();
        if let Self::Dump(dump) = self
            && dump.odd > 0
        {
            let odd = dump.odd;
            remarks.push(format!(
                "{odd} entries of the file are no objects, so no rows"
            ));
        }
        remarks
    }

    /// All rows of a table.
    pub(crate) async fn rows(&mut self, table: Table) -> Result<Vec<Row>, Failure> {
        match self {
            Self::Database(database) => database.rows(table).await.map_err(|error| {
                let doing = format!("V1's `{}` can't be read", table.name());
                Failure::context(Exit::Unavailable, error, doing)
            }),
            Self::Dump(dump) => Ok(dump.take(table)),
        }
    }

    /// Brings the history, a page at a time.
    pub(crate) async fn history(&mut self, to: mpsc::Sender<Vec<Row>>) -> Result<(), Failure> {
        match self {
            Self::Database(database) => {
                let read = database.pages(Table::History, &to).await;
                read.map_err(|error| {
                    Failure::context(Exit::Unavailable, error, "V1's history can't be read")
                })
            }
            Self::Dump(dump) => {
                // Who wants no more says so elsewhere.
                drop(to.send(dump.take(Table::History)).await);
                Ok(())
            }
        }
    }

    pub(crate) async fn close(self) {
        if let Self::Database(database) = self {
            database.close().await;
        }
    }
}
