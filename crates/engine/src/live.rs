//! The runs that go on in this process, and the means to end them.
//! Never says how a run ended; the store does.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use jobcell_model::{Execution, ExecutionId, OutputStream, StepResult};
use jobcell_plugin_host::RunObserver;
use jobcell_plugin_host::output::OutputBuffer;
use tokio::sync::{Notify, SetOnce};
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
    facts: Arc<Facts>,
}

#[derive(Default)]
struct Facts {
    cause: OnceLock<CancelCause>,
    /// Whether its start is durable.
    started: AtomicBool,
    output: SetOnce<Weak<OutputBuffer>>,
}

/// Only takes note of where the run writes; who watches looks there.
impl RunObserver for Facts {
    fn starts(&self, output: &Arc<OutputBuffer>) {
        // A run begins once.
        drop(self.output.set(Arc::downgrade(output)));
    }

    fn output(&self, _: OutputStream, _: &[u8]) {}

    fn step(&self, _: &StepResult) {}
}

impl LiveRun {
    pub(crate) fn token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    pub(crate) fn cause(&self) -> Option<&CancelCause> {
        self.facts.cause.get()
    }

    /// What is to see it begin.
    pub(crate) fn observer(&self) -> Arc<dyn RunObserver> {
        Arc::clone(&self.facts) as Arc<dyn RunObserver>
    }

    /// Where it writes, once it has begun; none when it does so no more.
    pub(crate) async fn output(&self) -> Option<Arc<OutputBuffer>> {
        self.facts.output.wait().await.upgrade()
    }

    /// Whether its start is durable.
    pub(crate) fn has_started(&self) -> bool {
        self.facts.started.load(Ordering::Acquire)
    }

    /// Ends it. The first cause stays.
    pub(crate) fn cancel(&self, cause: CancelCause) {
        // Losing the race to an earlier cause is fine: one cancel is enough.
        if self.facts.cause.set(cause).is_ok() {
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
    bells: HashMap<ExecutionId, Bell>,
}

/// Rung when a run starts, ends, or is to wait no more, for those who watch it.
#[derive(Default)]
struct Bell {
    readers: usize,
    rung: Arc<Notify>,
}

impl Runs {
    fn ring(&self, id: ExecutionId) {
        if let Some(bell) = self.bells.get(&id) {
            bell.rung.notify_waiters();
        }
    }
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
        self.run.facts.started.store(true, Ordering::Release);
        self.shared.live.started(self.id, &self.scope);
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
        let mut runs = self.lock();
        runs.by_id.remove(&id);
        runs.ring(id);
    }

    fn started(&self, id: ExecutionId, scope: &Scope) {
        let mut runs = self.lock();
        *runs.started.entry(scope.clone()).or_default() += 1;
        runs.ring(id);
    }

    /// A run that waited has ended without a start.
    pub(crate) fn never_started(&self, id: ExecutionId) {
        self.lock().ring(id);
    }

    /// What is rung for one more who watches a run, until it is silenced.
    pub(crate) fn bell(&self, id: ExecutionId) -> Arc<Notify> {
        let mut runs = self.lock();
        let bell = runs.bells.entry(id).or_default();
        bell.readers += 1;
        Arc::clone(&bell.rung)
    }

    /// One who watched a run watches it no more.
    pub(crate) fn silence(&self, id: ExecutionId) {
        let mut runs = self.lock();
        if let Entry::Occupied(mut bell) = runs.bells.entry(id) {
            bell.get_mut().readers -= 1;
            if bell.get().readers == 0 {
                bell.remove();
            }
        }
    }

    /// How many watch runs.
    pub(crate) fn readers(&self) -> usize {
        self.lock().bells.values().map(|bell| bell.readers).sum()
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
