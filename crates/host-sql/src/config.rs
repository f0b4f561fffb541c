//! Which databases there are and how they are opened. Never opens one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The databases that jobs may name, and what they may use together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlConfig {
    /// Each connection by its name.
    pub connections: BTreeMap<String, ConnectionConfig>,
    /// Memory that SQLite may use in the whole process, in bytes (512 MiB).
    /// SQLite can lower this bound while it runs, never raise it.
    pub sqlite_memory: u64,
}

impl Default for SqlConfig {
    fn default() -> Self {
        Self { connections: BTreeMap::new(), sqlite_memory: 512 << 20 }
    }
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
        /// Whether a missing file is created rather than refused.
        create: bool,
        /// How long a statement waits for another writer (30 s), unless the
        /// run's own time is over before.
        busy_timeout: Duration,
        /// Connections that may be in use at one time (64). Further runs wait.
        max_open: usize,
    },
}

impl ConnectionConfig {
    /// A SQLite file that jobs may read and write, with the defaults. A
    /// missing file is refused.
    #[must_use]
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self::Sqlite {
            path: path.into(),
            read_only: false,
            create: false,
            busy_timeout: Duration::from_secs(30),
            max_open: 64,
        }
    }

    /// The same, and a missing file is created.
    #[must_use]
    pub fn sqlite_created(path: impl Into<PathBuf>) -> Self {
        let Self::Sqlite { path, read_only, busy_timeout, max_open, .. } = Self::sqlite(path);
        Self::Sqlite { path, read_only, create: true, busy_timeout, max_open }
    }

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
