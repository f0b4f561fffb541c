//! Cgroups that are empty again. To make and remove one costs a tenth of what it
//! costs to start a process, so the next process has one that is there, if nothing
//! in it holds the process up or counts for it. Never holds one that anybody uses.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::dir::Dir;

/// So many wait for the next process; each holds five descriptors.
const MOST_UNUSED: usize = 32;

/// So long a look at one is believed: runs that follow each other at once need no
/// more, and whoever has our rights could freeze it meanwhile.
pub(super) const HOLDS: Duration = Duration::from_millis(10);

/// Empty cgroups, removed when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Unused>>);

/// A cgroup that nobody is in.
#[derive(Debug)]
pub(super) struct Unused {
    pub(super) dir: Arc<Dir>,
    /// Processor time of all that were in it, in microseconds.
    pub(super) cpu_us: u64,
    /// When it was last seen to be as it was made.
    pub(super) like_new: Option<Instant>,
}

impl Unused {
    /// One whose last process has just ended, or that was just made.
    pub(super) const fn new(dir: Arc<Dir>, cpu_us: u64) -> Self {
        Self {
            dir,
            cpu_us,
            like_new: None,
        }
    }

    /// Whether it is as it was made. Whoever has our rights may have changed it.
    fn is_like_new(&self) -> bool {
        let seen = self.like_new.is_some_and(|seen| seen.elapsed() < HOLDS);
        seen || self.dir.is_like_new()
    }
}

impl Pool {
    /// One that is as good as new.
    pub(super) fn take(&self) -> Option<Unused> {
        loop {
            let unused = self.lock().pop()?;
            if unused.is_like_new() {
                return Some(unused);
            }
            unused.dir.remove();
        }
    }

    /// Keeps one for later, or removes it.
    pub(super) fn give(&self, unused: Unused) {
        let mut all = self.lock();
        if all.len() < MOST_UNUSED {
            return all.push(unused);
        }
        drop(all);
        unused.dir.remove();
    }

    /// Looks at the one that is taken next, for whoever takes it soon.
    pub(super) fn check_next(&self) {
        let next = self
            .lock()
            .last()
            .map(|next| (Arc::clone(&next.dir), next.cpu_us));
        let Some((dir, cpu_us)) = next else { return };
        // Others need not wait for what the kernel has to say, and may take it. Whoever
        // has had it meanwhile has spent some time.
        let is_like_new = dir.is_like_new();
        let mut all = self.lock();
        let is_it = |one: &Unused| Arc::ptr_eq(&one.dir, &dir) && one.cpu_us == cpu_us;
        let Some(place) = all.iter().rposition(is_it) else {
            return;
        };
        if is_like_new {
            all[place].like_new = Some(Instant::now());
        } else {
            all.remove(place);
            drop(all);
            dir.remove();
        }
    }

    /// Removes all of them.
    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut *self.lock());
        all.iter().for_each(|unused| unused.dir.remove());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Unused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.clear();
    }
}
