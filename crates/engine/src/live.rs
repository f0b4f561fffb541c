//! The runs that go on in this process, and the means to end them.
//! Never says how a run ended; the store does.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jobcell_model::{Execution, ExecutionId};
use tokio_util::sync::CancellationToken;

use crate::Shared;
use crate::scope::Scope;

/// Who ended a run before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CancelCause {
    /// Somebody, by name.
    Person(String),
    /// The server's shutdown.
    Shutdown,
    /// A later run of the job, by `concurrency.policy: replace`.
    Replaced(ExecutionId),
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
    /// How many that share a limit have started, as against being tried.
    started: HashMap<Scope, usize>,
}

/// A run on the list of live ones. Dropped, however its task ends, it takes the
/// run off the list and, where that had started, lets the next that shares its
/// limit have the place.
pub(crate) struct Listed {
    shared: Arc<Shared>,
    id: ExecutionId,
    scope: Scope,
    run: LiveRun,
    started: bool,
}

/// Why a run is not put on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotListed {
    /// No more may start.
    Closed,
    /// It is there already.
    Twice,
}

impl Listed {
    /// Lists a run.
    ///
    /// # Errors
    /// When no more may start, or it is there already.
    pub(crate) fn add(shared: &Arc<Shared>, execution: &Execution) -> Result<Self, NotListed> {
        let id = execution.execution_id;
        let run = shared.live.add(id)?;
        Ok(Self {
            shared: Arc::clone(shared),
            id,
            scope: Scope::of(execution),
            run,
            started: false,
        })
    }

    pub(crate) const fn run(&self) -> &LiveRun {
        &self.run
    }

    /// Its start is durable.
    pub(crate) fn started(&mut self) {
        self.started = true;
        self.shared.live.started(&self.scope);
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.shared.live.remove(self.id);
        if self.started {
            self.shared.live.ended(&self.scope);
            self.shared.queue.release(&self.scope);
        }
    }
}

/// All runs that go on here.
#[derive(Default)]
pub(crate) struct LiveRuns(Mutex<Runs>);

impl LiveRuns {
    fn add(&self, id: ExecutionId) -> Result<LiveRun, NotListed> {
        let mut runs = self.lock();
        if runs.closed {
            return Err(NotListed::Closed);
        }
        match runs.by_id.entry(id) {
            Entry::Occupied(_) => Err(NotListed::Twice),
            Entry::Vacant(place) => Ok(place.insert(LiveRun::default()).clone()),
        }
    }

    fn remove(&self, id: ExecutionId) {
        self.lock().by_id.remove(&id);
    }

    fn started(&self, scope: &Scope) {
        *self.lock().started.entry(scope.clone()).or_default() += 1;
    }

    fn ended(&self, scope: &Scope) {
        let mut runs = self.lock();
        if let Some(count) = runs.started.get_mut(scope) {
            *count -= 1;
            if *count == 0 {
                runs.started.remove(scope);
            }
        }
    }

    /// Whether a run of this scope has started here and not ended.
    pub(crate) fn any_started_of(&self, scope: &Scope) -> bool {
        self.lock().started.contains_key(scope)
    }

    pub(crate) fn get(&self, id: ExecutionId) -> Option<LiveRun> {
        self.lock().by_id.get(&id).cloned()
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
