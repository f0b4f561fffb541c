//! Runs that wait, in memory and in order. Holds no truth: the store has their
//! rows, and says whether one may start. Never starts anything.
//!
//! Runs of one job are tried one after the other, so that they start in order:
//! while one of them is being tried, the others are set aside.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use jobcell_model::{Execution, ExecutionId, JobId};
use tokio::sync::Notify;

/// A run that waits.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) execution: Execution,
    /// Higher ones start first.
    pub(crate) priority: i32,
    /// It is skipped when it has not started by then.
    pub(crate) expires: Option<DateTime<Utc>>,
}

type Place = (Reverse<i32>, ExecutionId);

impl Waiting {
    fn id(&self) -> ExecutionId {
        self.execution.execution_id
    }

    fn place(&self) -> Place {
        (Reverse(self.priority), self.id())
    }
}

#[derive(Default)]
struct Lists {
    /// May start as soon as there is a worker.
    ready: BTreeMap<Place, Waiting>,
    /// Wait for a time.
    later: BTreeMap<(DateTime<Utc>, ExecutionId), Waiting>,
    /// Wait for another run of their job.
    blocked: HashMap<JobId, BTreeMap<Place, Waiting>>,
    /// Jobs of which one is being tried.
    trying: HashSet<JobId>,
    /// When those expire that do.
    expiry: BTreeSet<(DateTime<Utc>, ExecutionId)>,
}

/// The runs that wait.
#[derive(Default)]
pub(crate) struct Queue {
    lists: Mutex<Lists>,
    /// Told when there may be something to start.
    pub(crate) changed: Notify,
}

impl Queue {
    /// Adds a run.
    pub(crate) fn push(&self, waiting: Waiting) {
        let mut lists = self.lock();
        if let Some(at) = waiting.expires {
            lists.expiry.insert((at, waiting.id()));
        }
        match waiting.execution.not_before {
            Some(at) => lists.later.insert((at, waiting.id()), waiting),
            None => lists.ready.insert(waiting.place(), waiting),
        };
        drop(lists);
        self.changed.notify_one();
    }

    /// Adds a run with which nothing is to be done before this instant.
    pub(crate) fn put_off(&self, mut waiting: Waiting, until: DateTime<Utc>) {
        let not_before = waiting.execution.not_before;
        waiting.execution.not_before = Some(not_before.map_or(until, |at| at.max(until)));
        waiting.expires = waiting.expires.map(|at| at.max(until));
        self.push(waiting);
    }

    /// Takes the run that is to be tried next. `settle` must follow.
    pub(crate) fn next(&self, now: DateTime<Utc>) -> Option<Waiting> {
        let mut lists = self.lock();
        while let Some(entry) = lists.later.first_entry()
            && entry.key().0 <= now
        {
            let waiting = entry.remove();
            lists.ready.insert(waiting.place(), waiting);
        }
        while let Some((place, waiting)) = lists.ready.pop_first() {
            let job_id = waiting.execution.job_id;
            let behind = lists.blocked.contains_key(&job_id);
            if !behind && lists.trying.insert(job_id) {
                lists.forget_expiry(&waiting);
                return Some(waiting);
            }
            lists
                .blocked
                .entry(job_id)
                .or_default()
                .insert(place, waiting);
        }
        None
    }

    /// A run was tried and has started, or never will: others of its job are next.
    pub(crate) fn settle(&self, job_id: JobId) {
        let mut lists = self.lock();
        lists.trying.remove(&job_id);
        lists.release(job_id);
        drop(lists);
        self.changed.notify_one();
    }

    /// A run was tried, and another of its job is in its way: it waits, and so
    /// do those behind it.
    pub(crate) fn block(&self, waiting: Waiting) {
        let job_id = waiting.execution.job_id;
        let mut lists = self.lock();
        lists.trying.remove(&job_id);
        if let Some(at) = waiting.expires {
            lists.expiry.insert((at, waiting.id()));
        }
        lists
            .blocked
            .entry(job_id)
            .or_default()
            .insert(waiting.place(), waiting);
    }

    /// A run of the job has ended: those that waited for it are next.
    pub(crate) fn release(&self, job_id: JobId) {
        self.lock().release(job_id);
        self.changed.notify_one();
    }

    /// When there is something to do next for which no one tells.
    pub(crate) fn wakes_at(&self) -> Option<DateTime<Utc>> {
        let lists = self.lock();
        let later = lists.later.keys().next().map(|(at, _)| *at);
        let expiry = lists.expiry.first().map(|(at, _)| *at);
        later.into_iter().chain(expiry).min()
    }

    /// Takes out those that have waited for too long.
    pub(crate) fn take_expired(&self, now: DateTime<Utc>) -> Vec<Waiting> {
        let mut expired = HashSet::new();
        let mut lists = self.lock();
        while let Some((at, id)) = lists.expiry.first().copied()
            && at < now
        {
            lists.expiry.pop_first();
            expired.insert(id);
        }
        if expired.is_empty() {
            return Vec::new();
        }
        lists.take_out(|run| expired.contains(&run.execution_id))
    }

    /// Takes out all that fit.
    pub(crate) fn take_out(&self, fits: impl Fn(&Execution) -> bool) -> Vec<Waiting> {
        self.lock().take_out(fits)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        let lists = self.lock();
        let blocked: usize = lists.blocked.values().map(BTreeMap::len).sum();
        lists.ready.len() + lists.later.len() + blocked
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lists {
    fn release(&mut self, job_id: JobId) {
        for (place, waiting) in self.blocked.remove(&job_id).unwrap_or_default() {
            self.ready.insert(place, waiting);
        }
    }

    fn forget_expiry(&mut self, waiting: &Waiting) {
        if let Some(at) = waiting.expires {
            self.expiry.remove(&(at, waiting.id()));
        }
    }

    fn take_out(&mut self, fits: impl Fn(&Execution) -> bool) -> Vec<Waiting> {
        let mut out = Vec::new();
        let mut keep = |waiting: &Waiting| {
            let fits = fits(&waiting.execution);
            if fits {
                out.push(waiting.clone());
            }
            !fits
        };
        self.ready.retain(|_, waiting| keep(waiting));
        self.later.retain(|_, waiting| keep(waiting));
        for list in self.blocked.values_mut() {
            list.retain(|_, waiting| keep(waiting));
        }
        self.blocked.retain(|_, list| !list.is_empty());
        for waiting in &out {
            self.forget_expiry(waiting);
        }
        out
    }
}
