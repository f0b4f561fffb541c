//! The runs that go on in this process, and the means to end them.
//! Never says how a run ended; the store does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jobcell_model::ExecutionId;
use tokio_util::sync::CancellationToken;

/// Who ended a run before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CancelCause {
    /// Somebody, by name.
    Person(String),
    /// The server's shutdown.
    Shutdown,
}

/// A run that goes on.
#[derive(Clone, Default)]
pub(crate) struct LiveRun {
    cancel: CancellationToken,
    cause: Arc<OnceLock<CancelCause>>,
}

impl LiveRun {
    pub(crate) fn token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    pub(crate) fn cause(&self) -> Option<&CancelCause> {
        self.cause.get()
    }

    /// Ends it. The first cause stays.
    pub(crate) fn cancel(&self, cause: CancelCause) {
        // Losing the race to an earlier cause is fine: one cancel is enough.
        if self.cause.set(cause).is_ok() {
            self.cancel.cancel();
        }
    }
}

#[derive(Default)]
struct Runs {
    closed: bool,
    by_id: HashMap<ExecutionId, LiveRun>,
}

/// All runs that go on here.
#[derive(Default)]
pub(crate) struct LiveRuns(Mutex<Runs>);

impl LiveRuns {
    /// Adds a run; none when no more may start.
    pub(crate) fn add(&self, id: ExecutionId) -> Option<LiveRun> {
        let mut runs = self.lock();
        if runs.closed {
            return None;
        }
        let run = LiveRun::default();
        runs.by_id.insert(id, run.clone());
        Some(run)
    }

    pub(crate) fn get(&self, id: ExecutionId) -> Option<LiveRun> {
        self.lock().by_id.get(&id).cloned()
    }

    pub(crate) fn remove(&self, id: ExecutionId) {
        self.lock().by_id.remove(&id);
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().by_id.len()
    }

    /// Lets no more runs start.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    /// Ends all that go on, and says how many those were.
    pub(crate) fn cancel_all(&self, cause: &CancelCause) -> usize {
        let runs: Vec<LiveRun> = self.lock().by_id.values().cloned().collect();
        for run in &runs {
            run.cancel(cause.clone());
        }
        runs.len()
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
