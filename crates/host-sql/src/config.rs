//! Which databases there are and how they are opened. Never opens one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

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
}

impl ConnectionConfig {
    /// The word for its kind of database, as `connection.dialect` gives it.
    #[must_use]
    pub const fn dialect(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
        }
    }

    /// Whether jobs may only read it.
    #[must_use]
    pub const fn read_only(&self) -> bool {
        match self {
            Self::Sqlite { read_only, .. } => *read_only,
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
