//! A disk in memory that can fail, be full, be held in a sync, and that keeps
//! a journal from which any power cut can be played. Never fails by itself.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use redb::{Database, DatabaseError, StorageBackend};

use crate::medium::{Medium, SharedBackend, open_backend};
use crate::{RedbStore, StoreOptions};

/// How long a test waits for the writer before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was asked of the disk that changes it.
#[derive(Clone)]
pub(super) enum Change {
    Write(u64, Vec<u8>),
    Resize(u64),
    Sync,
}

/// What fails, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// So many go well before.
    pub(super) after: usize,
    /// Reads fail instead of changes.
    pub(super) reads: bool,
    pub(super) kind: ErrorKind,
    /// Until `mend`; otherwise once.
    pub(super) lasting: bool,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    journal: Vec<Change>,
    fault: Option<Fault>,
    free: Option<u64>,
    hold: bool,
    held: bool,
}

#[derive(Default)]
pub(super) struct Disk {
    state: Mutex<State>,
    turned: Condvar,
}

impl Disk {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A disk on which these changes arrived.
    pub(super) fn of<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Arc<Self> {
        let disk = Self::new();
        for change in changes {
            apply(&mut disk.state().bytes, change);
        }
        disk
    }

    /// Opens the store that is on it, or makes one.
    pub(super) fn open(self: &Arc<Self>, options: &StoreOptions) -> RedbStore {
        RedbStore::open_medium(Box::new(Arc::clone(self)), "a disk", options).unwrap()
    }

    pub(super) fn journal(&self) -> Vec<Change> {
        self.state().journal.clone()
    }

    pub(super) fn changes(&self) -> usize {
        self.state().journal.len()
    }

    pub(super) fn fail(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// Ends every fault. True when there was one still to come or going on.
    pub(super) fn mend(&self) -> bool {
        self.state().fault.take().is_some()
    }

    pub(super) fn set_free(&self, bytes: u64) {
        self.state().free = Some(bytes);
    }

    /// Keeps the next sync from returning until `release`.
    pub(super) fn hold(&self) {
        self.state().hold = true;
    }

    /// Returns once a sync is held.
    pub(super) fn wait_until_held(&self) {
        let state = self.state();
        let (state, waited) = self
            .turned
            .wait_timeout_while(state, PATIENCE, |state| !state.held)
            .unwrap();
        assert!(!waited.timed_out(), "nothing was synced");
        drop(state);
    }

    pub(super) fn release(&self) {
        self.state().hold = false;
        self.turned.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.state();
        if let Err(error) = state.trip(false) {
            // Half of a write that fails may have arrived.
            if let Change::Write(offset, data) = &change {
                let half = data[..data.len() / 2].to_vec();
                apply(&mut state.bytes, &Change::Write(*offset, half));
            }
            return Err(error);
        }
        apply(&mut state.bytes, &change);
        state.journal.push(change);
        Ok(())
    }
}

impl State {
    fn trip(&mut self, read: bool) -> io::Result<()> {
        let Some(fault) = self.fault.as_mut().filter(|fault| fault.reads == read) else {
            return Ok(());
        };
        if fault.after > 0 {
            fault.after -= 1;
            return Ok(());
        }
        let kind = fault.kind;
        if !fault.lasting {
            self.fault = None;
        }
        Err(kind.into())
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, data) => {
            let start = usize::try_from(*offset).unwrap();
            let end = start + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[start..end].copy_from_slice(data);
        }
        Change::Resize(length) => bytes.resize(usize::try_from(*length).unwrap(), 0),
        Change::Sync => {}
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.trip(true)?;
        let start = usize::try_from(offset).unwrap();
        let found = state.bytes.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Change::Resize(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.hold {
            state.held = true;
            self.turned.notify_all();
            state = self
                .turned
                .wait_timeout_while(state, PATIENCE, |state| state.hold)
                .unwrap()
                .0;
            state.held = false;
        }
        drop(state);
        self.change(Change::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset, data.to_vec()))
    }
}

impl Medium for Arc<Disk> {
    fn open(&self, cache_bytes: usize) -> Result<Database, DatabaseError> {
        open_backend(SharedBackend(Arc::clone(self)), cache_bytes)
    }

    fn free_bytes(&self) -> Option<u64> {
        self.state().free
    }
}
