//! Runs that wait, in memory and in order. Holds no truth: the store has their
//! rows, and says whether one may start. Never starts anything.
//!
//! Runs that share a limit stand in one line and are tried one after the other,
//! so that they start in order. Whatever happens to one run costs the logarithm
//! of how many there are.

mod lists;

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use jobcell_model::{Execution, ExecutionId};
use tokio::sync::Notify;

use crate::scope::Scope;
use lists::{Lists, State};

/// A run that waits.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) execution: Execution,
    /// Higher ones start first.
    pub(crate) priority: i32,
    /// It is skipped when it has not started by then.
    pub(crate) expires: Option<DateTime<Utc>>,
}

impl Waiting {
    fn id(&self) -> ExecutionId {
        self.execution.execution_id
    }
}

/// The runs that wait.
#[derive(Default)]
pub(crate) struct Queue {
    lists: Mutex<Lists>,
    /// Told when there may be something to start.
    pub(crate) changed: Notify,
}

impl Queue {
    /// Adds a run; one that is here already stays as it is.
    pub(crate) fn push(&self, waiting: Waiting) {
        self.lock().push(waiting);
        self.changed.notify_one();
    }

    /// Adds a run with which nothing is to be done before this instant.
    pub(crate) fn put_off(&self, mut waiting: Waiting, until: DateTime<Utc>) {
        let not_before = waiting.execution.not_before;
        waiting.execution.not_before = Some(not_before.map_or(until, |at| at.max(until)));
        waiting.expires = waiting.expires.map(|at| at.max(until));
        self.push(waiting);
    }

    /// Takes the run that is to be tried next. `settle`, `block` or `park` must
    /// follow.
    pub(crate) fn next(&self, now: DateTime<Utc>) -> Option<Waiting> {
        self.lock().next(now)
    }

    /// A run was tried and has started, or never will: the next in its line
    /// may be tried.
    pub(crate) fn settle(&self, scope: &Scope) {
        self.lock().set_free(scope, &State::Trying);
        self.changed.notify_one();
    }

    /// A run was tried, and another that shares its limit is in its way: it
    /// waits, and so do those behind it.
    pub(crate) fn block(&self, waiting: Waiting) {
        self.lock().put_back(waiting, State::Blocked);
    }

    /// A run was tried, and too many of its job's type go on: it waits, and so
    /// do those behind it.
    pub(crate) fn park(&self, waiting: Waiting, job_type: &str) {
        self.lock()
            .put_back(waiting, State::Parked(job_type.to_owned()));
    }

    /// A run of this scope has ended: those that waited for it are next.
    pub(crate) fn release(&self, scope: &Scope) {
        self.lock().set_free(scope, &State::Blocked);
        self.changed.notify_one();
    }

    /// A run of a job of this type has ended: one that waited for that is next.
    pub(crate) fn unpark(&self, job_type: &str) {
        self.lock().unpark(job_type);
        self.changed.notify_one();
    }

    /// When there is something to do next for which no one tells.
    pub(crate) fn wakes_at(&self) -> Option<DateTime<Utc>> {
        self.lock().wakes_at()
    }

    /// Takes out those that have waited for too long.
    pub(crate) fn take_expired(&self, now: DateTime<Utc>) -> Vec<Waiting> {
        let mut lists = self.lock();
        let expired: HashSet<ExecutionId> = lists.expired(now).collect();
        if expired.is_empty() {
            return Vec::new();
        }
        lists.take_out(|run| expired.contains(&run.execution_id))
    }

    /// Takes out all that fit.
    pub(crate) fn take_out(&self, fits: impl Fn(&Execution) -> bool) -> Vec<Waiting> {
        self.lock().take_out(fits)
    }

    /// Whether a run is here.
    pub(crate) fn holds(&self, id: ExecutionId) -> bool {
        self.lock().holds(id)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
