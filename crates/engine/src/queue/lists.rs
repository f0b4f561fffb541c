//! The lists behind the queue. Each line of runs that share a limit shows its
//! first run to the list that it is picked from.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use jobcell_model::{Execution, ExecutionId};

use super::Waiting;
use crate::scope::Scope;

/// By priority, then by age.
type Place = (Reverse<i32>, ExecutionId);

/// What the first run of a line waits for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing but a worker.
    #[default]
    Free,
    /// The answer to the run that was taken from the line.
    Trying,
    /// The end of a run that shares its limit.
    Blocked,
    /// The end of a run of this job type.
    Parked(String),
}

#[derive(Default)]
struct Line {
    state: State,
    waiting: BTreeMap<Place, Waiting>,
    /// Where its first run is shown.
    shown: Option<Place>,
}

#[derive(Default)]
pub(super) struct Lists {
    lines: HashMap<Scope, Line>,
    /// The first runs of free lines.
    ready: BTreeMap<Place, Scope>,
    /// The first runs of parked lines, by what they wait for.
    parked: HashMap<String, BTreeMap<Place, Scope>>,
    /// Runs that wait for a time.
    later: BTreeMap<(DateTime<Utc>, ExecutionId), Waiting>,
    /// When those expire that do.
    expiry: BTreeSet<(DateTime<Utc>, ExecutionId)>,
    /// All that are here.
    ids: HashSet<ExecutionId>,
}

fn place(waiting: &Waiting) -> Place {
    (Reverse(waiting.priority), waiting.id())
}

impl Lists {
    pub(super) fn push(&mut self, waiting: Waiting) {
        if !self.note(&waiting) {
            return;
        }
        match waiting.execution.not_before {
            Some(at) => drop(self.later.insert((at, waiting.id()), waiting)),
            None => self.line_up(waiting, None),
        }
    }

    /// Puts a run back that was taken, with what its line waits for now.
    pub(super) fn put_back(&mut self, waiting: Waiting, state: State) {
        self.note(&waiting);
        self.line_up(waiting, Some(state));
    }

    pub(super) fn next(&mut self, now: DateTime<Utc>) -> Option<Waiting> {
        while let Some(entry) = self.later.first_entry()
            && entry.key().0 <= now
        {
            let waiting = entry.remove();
            self.line_up(waiting, None);
        }
        let (place, scope) = self.ready.pop_first()?;
        let line = self.lines.get_mut(&scope)?;
        line.state = State::Trying;
        line.shown = None;
        let waiting = line.waiting.remove(&place)?;
        self.forget(&waiting);
        Some(waiting)
    }

    /// Frees a line, if it is in this state.
    pub(super) fn set_free(&mut self, scope: &Scope, from: &State) {
        if let Some(line) = self.lines.get_mut(scope)
            && line.state == *from
        {
            line.state = State::Free;
            self.show(scope);
        }
    }

    pub(super) fn unpark(&mut self, job_type: &str) {
        let first = self.parked.get_mut(job_type);
        let Some((_, scope)) = first.and_then(BTreeMap::pop_first) else {
            return;
        };
        if let Some(line) = self.lines.get_mut(&scope) {
            line.state = State::Free;
            line.shown = None;
            self.show(&scope);
        }
    }

    pub(super) fn wakes_at(&self) -> Option<DateTime<Utc>> {
        let later = self.later.keys().next().map(|(at, _)| *at);
        let expiry = self.expiry.first().map(|(at, _)| *at);
        later.into_iter().chain(expiry).min()
    }

    /// Those whose time is over.
    pub(super) fn expired(&self, now: DateTime<Utc>) -> impl Iterator<Item = ExecutionId> {
        let expired = self.expiry.iter().take_while(move |(at, _)| *at < now);
        expired.map(|(_, id)| *id)
    }

    pub(super) fn take_out(&mut self, fits: impl Fn(&Execution) -> bool) -> Vec<Waiting> {
        let mut out: Vec<Waiting> = self
            .later
            .extract_if(.., |_, waiting| fits(&waiting.execution))
            .map(|(_, waiting)| waiting)
            .collect();
        let mut changed = Vec::new();
        for (scope, line) in &mut self.lines {
            let before = out.len();
            let taken = line
                .waiting
                .extract_if(.., |_, waiting| fits(&waiting.execution));
            out.extend(taken.map(|(_, waiting)| waiting));
            if out.len() > before {
                changed.push(scope.clone());
            }
        }
        changed.iter().for_each(|scope| self.show(scope));
        out.iter().for_each(|waiting| self.forget(waiting));
        out
    }

    pub(super) fn holds(&self, id: ExecutionId) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Puts a run into its line.
    fn line_up(&mut self, waiting: Waiting, state: Option<State>) {
        let scope = Scope::of(&waiting.execution);
        let line = self.lines.entry(scope.clone()).or_default();
        if let Some(state) = state {
            line.state = state;
        }
        line.waiting.insert(place(&waiting), waiting);
        self.show(&scope);
    }

    /// Has the first run of a line, and no other, stand where it is picked from.
    fn show(&mut self, scope: &Scope) {
        let Some(line) = self.lines.get_mut(scope) else {
            return;
        };
        if let Some(old) = line.shown.take() {
            self.ready.remove(&old);
            for parked in self.parked.values_mut() {
                parked.remove(&old);
            }
        }
        let first = line.waiting.keys().next().copied();
        let list = match &line.state {
            State::Free => Some(&mut self.ready),
            State::Parked(job_type) => Some(self.parked.entry(job_type.clone()).or_default()),
            State::Trying | State::Blocked => None,
        };
        if let (Some(first), Some(list)) = (first, list) {
            list.insert(first, scope.clone());
            line.shown = Some(first);
        }
        // The line of a run that is being tried remembers that it is.
        if first.is_none() && line.state != State::Trying {
            self.lines.remove(scope);
        }
    }

    fn note(&mut self, waiting: &Waiting) -> bool {
        let new = self.ids.insert(waiting.id());
        if let Some(at) = waiting.expires.filter(|_| new) {
            self.expiry.insert((at, waiting.id()));
        }
        new
    }

    fn forget(&mut self, waiting: &Waiting) {
        self.ids.remove(&waiting.id());
        if let Some(at) = waiting.expires {
            self.expiry.remove(&(at, waiting.id()));
        }
    }
}
