//! Turns what redb reports into this crate's errors. Never decides whether to
//! try again; it only says what kind of failure it was.

use std::io;
use std::sync::Arc;

use crate::error::StorageError;

/// What stopped a read or a write: redb, or a row that can't be understood.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The database.
    Database(redb::Error),
    /// Anything that is known in this crate's words already.
    Storage(StorageError),
}

impl Failure {
    /// Whether the open database is of no more use and must be opened again.
    /// redb refuses everything after the first failed read or write.
    pub(crate) fn needs_reopening(&self) -> bool {
        match self {
            Self::Database(error) => matches!(
                error,
                redb::Error::Io(_)
                    | redb::Error::Backend(_)
                    | redb::Error::PreviousIo
                    | redb::Error::DatabaseClosed
                    | redb::Error::LockPoisoned(_)
            ),
            Self::Storage(_) => false,
        }
    }

    /// The same for callers, who know no redb.
    pub(crate) fn into_storage(self, operation: &'static str) -> StorageError {
        match self {
            Self::Database(redb::Error::Io(error)) if is_full(&error) => StorageError::Full,
            Self::Database(redb::Error::Corrupted(reason)) => StorageError::Corrupt {
                what: "page",
                reason,
            },
            Self::Database(error) => StorageError::Database {
                operation,
                source: Arc::new(error),
            },
            Self::Storage(error) => error,
        }
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

macro_rules! from_redb {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for Failure {
            fn from(error: redb::$error) -> Self {
                Self::Database(error.into())
            }
        })*
    };
}

from_redb!(
    StorageError,
    TableError,
    TransactionError,
    CommitError,
    DatabaseError
);

/// Whether an error means that there is no room, on the disk or in a quota.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
