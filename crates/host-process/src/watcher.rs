//! Looks at the processes of all runs now and then, on a thread of its own that
//! the system prefers where it lets us: a fork bomb takes every turn that
//! others could have. That thread never waits for a process; what can't be seen
//! without that is left to a second one.

use std::collections::BinaryHeap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::meter::Meter;

/// After how long a process is looked at first. Each further pause is longer.
const FIRST_LOOK: Duration = Duration::from_millis(5);
/// The longest pause where memory or processor time is bounded.
const OFTEN: Duration = Duration::from_millis(100);
/// The longest pause elsewhere.
const SELDOM: Duration = Duration::from_millis(500);

/// Those who look, for all runs.
#[derive(Debug)]
pub(crate) struct Watchers {
    bounds: Watcher,
    /// Sees how long those ran whose end others have taken.
    ended: Watcher,
}

/// A thread, started when it is first needed, ended with its owner.
#[derive(Debug)]
struct Watcher {
    task: Task,
    shared: Arc<Shared>,
    started: Mutex<bool>,
}

/// What a thread does.
#[derive(Debug, Clone, Copy)]
struct Task {
    name: &'static str,
    preferred: bool,
    /// Looks once at a process, and says whether there is more to see.
    look: fn(&Meter, usize) -> bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    new: Vec<Watched>,
    /// Until when the thread sleeps; none while it waits for work.
    sleeps_until: Option<Instant>,
    closed: bool,
}

/// One process of one run.
#[derive(Debug)]
struct Watched {
    due: Instant,
    pause: Duration,
    meter: Weak<Meter>,
    child: usize,
}

impl Default for Watchers {
    fn default() -> Self {
        Self {
            bounds: Watcher::new(Task {
                name: "watcher",
                preferred: true,
                look: Meter::look,
            }),
            ended: Watcher::new(Task {
                name: "cpu-watcher",
                preferred: false,
                look: Meter::look_at_ended,
            }),
        }
    }
}

impl Watchers {
    /// Starts what looks at processes, the second thread only where one is not
    /// enough. A failure is tried again by the next process.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(&self, also_ended: bool) -> io::Result<()> {
        self.bounds.start()?;
        if also_ended {
            self.ended.start()?;
        }
        Ok(())
    }

    /// Has a process looked at until it ends or passes a bound. The threads were
    /// started before.
    pub(crate) fn watch(&self, meter: &Arc<Meter>, child: usize, also_ended: bool) {
        self.bounds.watch(meter, child);
        if also_ended {
            self.ended.watch(meter, child);
        }
    }
}

impl Watcher {
    fn new(task: Task) -> Self {
        Self {
            task,
            shared: Arc::default(),
            started: Mutex::default(),
        }
    }

    fn watch(&self, meter: &Arc<Meter>, child: usize) {
        let due = Instant::now() + FIRST_LOOK;
        let mut state = self.shared.lock();
        state.new.push(Watched {
            due,
            pause: FIRST_LOOK,
            meter: Arc::downgrade(meter),
            child,
        });
        // Most processes end before anybody looks: a thread that wakes soon
        // enough is left asleep.
        if state.sleeps_until.is_none_or(|until| until > due) {
            state.sleeps_until = Some(due);
            drop(state);
            self.shared.changed.notify_one();
        }
    }

    fn start(&self) -> io::Result<()> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if !*started {
            let shared = Arc::clone(&self.shared);
            let task = self.task;
            let thread = std::thread::Builder::new().name(task.name.to_owned());
            thread.spawn(move || look(&shared, task))?;
            *started = true;
        }
        Ok(())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until something is due, and takes in what is new; false at the end.
    fn next(&self, due: &mut BinaryHeap<Watched>) -> bool {
        let mut state = self.lock();
        let mut was_idle = false;
        loop {
            due.extend(state.new.drain(..));
            if state.closed {
                return false;
            }
            let now = Instant::now();
            if due.peek().is_some_and(|watched| watched.due <= now) {
                return true;
            }
            // Whose run is over is not worth a wake-up.
            due.retain(|watched| watched.meter.strong_count() > 0);
            let next = due.peek().map(|watched| watched.due);
            // Who is idle wakes once more, so that of runs that follow each other
            // only the first has to wake it.
            let first = next.or_else(|| (!was_idle).then(|| now + FIRST_LOOK));
            was_idle = next.is_none();
            state.sleeps_until = first;
            state = match first {
                Some(first) => {
                    let slept = self.changed.wait_timeout(state, first - now);
                    slept.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let woken = self.changed.wait(state);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }
}

/// The whole life of the thread.
fn look(shared: &Shared, task: Task) {
    if task.preferred {
        crate::system::prefer_this_thread();
    }
    let mut due = BinaryHeap::new();
    while shared.next(&mut due) {
        let Some(mut watched) = due.pop() else {
            continue;
        };
        let Some(meter) = watched.meter.upgrade() else {
            continue;
        };
        if (task.look)(&meter, watched.child) {
            let tight = meter.caps().are_tight();
            let longest = if tight { OFTEN } else { SELDOM };
            watched.pause = (watched.pause * 3 / 2).min(longest);
            watched.due = Instant::now() + watched.pause;
            due.push(watched);
        }
    }
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Watched {}

impl PartialOrd for Watched {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The next one due is the greatest.
impl Ord for Watched {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.due.cmp(&self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Caps;

    #[test]
    fn what_is_due_first_comes_first() {
        let now = Instant::now();
        let meter = Arc::new(Meter::new(Caps::default()));
        let watched = |after: u64| Watched {
            due: now + Duration::from_millis(after),
            pause: FIRST_LOOK,
            meter: Arc::downgrade(&meter),
            child: 0,
        };
        let mut due: BinaryHeap<Watched> = [30, 10, 20].map(watched).into();
        let order = std::iter::from_fn(|| due.pop()).map(|one| (one.due - now).as_millis());
        assert_eq!(order.collect::<Vec<_>>(), [10, 20, 30]);
    }

    #[test]
    fn the_threads_end_with_their_owner() {
        let watchers = Watchers::default();
        let meter = Arc::new(Meter::new(Caps::default()));
        assert!(watchers.start(true).is_ok());
        watchers.watch(&meter, 0, true);
        let shared = [&watchers.bounds, &watchers.ended].map(|one| Arc::downgrade(&one.shared));
        drop(watchers);
        let deadline = Instant::now() + Duration::from_secs(20);
        while shared.iter().any(|one| one.strong_count() > 0) {
            assert!(Instant::now() < deadline, "it goes on");
            std::thread::yield_now();
        }
    }
}
