//! Holds the open database for the readers and the writer, and replaces it
//! after a failure: redb refuses everything once a read or a write has failed,
//! until it is opened again. Never decides when that is due.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::{Database, DatabaseError, ReadableDatabase, WriteTransaction};

use crate::error::StorageError;
use crate::failure::Failure;
use crate::medium::Medium;
use crate::tables::Snapshot;

/// The place of the open database.
pub(crate) struct Slot {
    medium: Box<dyn Medium>,
    cache_bytes: usize,
    state: RwLock<State>,
}

enum State {
    Open(Database),
    /// It failed and is not open again yet.
    Failed(StorageError),
    Closed,
}

impl Slot {
    /// Opens the database.
    pub(crate) fn open(medium: Box<dyn Medium>, cache_bytes: usize) -> Result<Self, OpenFailure> {
        let database = open_database(&*medium, cache_bytes)?;
        Ok(Self {
            medium,
            cache_bytes,
            state: RwLock::new(State::Open(database)),
        })
    }

    /// Reads from one consistent state.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Snapshot) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let transaction = match &*self.state() {
            State::Open(database) => database.begin_read()?,
            State::Failed(error) => return Err(error.clone().into()),
            State::Closed => return Err(StorageError::Closed.into()),
        };
        read(&Snapshot::new(transaction))
    }

    /// Begins a write. Only the writer does.
    pub(crate) fn begin_write(&self) -> Result<WriteTransaction, Failure> {
        match &*self.state() {
            State::Open(database) => Ok(database.begin_write()?),
            State::Failed(error) => Err(error.clone().into()),
            State::Closed => Err(StorageError::Closed.into()),
        }
    }

    /// Whether it failed and could not be opened again so far.
    pub(crate) fn is_failed(&self) -> bool {
        matches!(*self.state(), State::Failed(_))
    }

    /// Closes the database and opens it again. Meanwhile, and if that fails,
    /// reads and writes fail with `cause`.
    pub(crate) fn reopen(&self, cause: StorageError) -> Result<(), Failure> {
        let failed = std::mem::replace(&mut *self.state_mut(), State::Failed(cause));
        match failed {
            State::Open(database) => close_database(database),
            State::Failed(_) => {}
            State::Closed => {
                *self.state_mut() = State::Closed;
                return Err(StorageError::Closed.into());
            }
        }
        let opened = open_database(&*self.medium, self.cache_bytes).map_err(Failure::from)?;
        *self.state_mut() = State::Open(opened);
        Ok(())
    }

    /// Closes the database for good and gives its file free.
    pub(crate) fn close(&self) {
        let closed = std::mem::replace(&mut *self.state_mut(), State::Closed);
        if let State::Open(database) = closed {
            close_database(database);
        }
    }

    /// Room that is left, where that can be told.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        self.medium.free_bytes()
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a database can't be opened.
pub(crate) enum OpenFailure {
    /// redb says so.
    Refused(DatabaseError),
    /// redb panicked over what is in it.
    Damaged,
}

impl From<OpenFailure> for Failure {
    fn from(failure: OpenFailure) -> Self {
        match failure {
            OpenFailure::Refused(error) => error.into(),
            OpenFailure::Damaged => damaged().into(),
        }
    }
}

pub(crate) fn damaged() -> StorageError {
    crate::codec::corrupt(
        "page",
        "the file was damaged outside of Jobcell; restore a backup",
    )
}

/// redb trusts a file that was closed in order, and may panic over one that
/// something else has written to.
fn open_database(medium: &dyn Medium, cache_bytes: usize) -> Result<Database, OpenFailure> {
    catch_unwind(AssertUnwindSafe(|| medium.open(cache_bytes)))
        .map_err(|_| OpenFailure::Damaged)?
        .map_err(OpenFailure::Refused)
}

fn close_database(database: Database) {
    match catch_unwind(AssertUnwindSafe(|| database.close())) {
        Ok(Ok(())) => {}
        // After a failure that is the rule: the next opening repairs the file.
        Ok(Err(error)) => tracing::debug!(%error, "the database was not closed in order"),
        Err(_) => tracing::error!("closing the database panicked"),
    }
}
