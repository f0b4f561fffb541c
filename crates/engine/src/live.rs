//! The runs that go on in this process, and the means to end them.
//! Never says how a run ended; the store does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jobcell_model::{ExecutionId, JobId};
use tokio_util::sync::CancellationToken;

use crate::Shared;

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
    /// How many of a job have started, as against being tried.
    started: HashMap<JobId, usize>,
}

/// A run on the list of live ones. Dropped, however its task ends, it takes the
/// run off the list and, where that had started, lets the next of its job have
/// the place.
pub(crate) struct Listed {
    shared: Arc<Shared>,
    id: ExecutionId,
    job_id: JobId,
    run: LiveRun,
    started: bool,
}

impl Listed {
    /// Lists a run; none when no more may start.
    pub(crate) fn add(shared: &Arc<Shared>, id: ExecutionId, job_id: JobId) -> Option<Self> {
        let run = shared.live.add(id)?;
        Some(Self {
            shared: Arc::clone(shared),
            id,
            job_id,
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
        self.shared.live.started(self.job_id);
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.shared.live.remove(self.id);
        if self.started {
            self.shared.live.ended(self.job_id);
            self.shared.queue.release(self.job_id);
        }
    }
}

/// All runs that go on here.
#[derive(Default)]
pub(crate) struct LiveRuns(Mutex<Runs>);

impl LiveRuns {
    fn add(&self, id: ExecutionId) -> Option<LiveRun> {
        let mut runs = self.lock();
        if runs.closed {
            return None;
        }
        let run = LiveRun::default();
        runs.by_id.insert(id, run.clone());
        Some(run)
    }

    fn remove(&self, id: ExecutionId) {
        self.lock().by_id.remove(&id);
    }

    fn started(&self, job_id: JobId) {
        *self.lock().started.entry(job_id).or_default() += 1;
    }

    fn ended(&self, job_id: JobId) {
        let mut runs = self.lock();
        if let Some(count) = runs.started.get_mut(&job_id) {
            *count -= 1;
            if *count == 0 {
                runs.started.remove(&job_id);
            }
        }
    }

    /// Whether a run of this job has started here and not ended.
    pub(crate) fn any_started_of(&self, job_id: JobId) -> bool {
        self.lock().started.contains_key(&job_id)
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
