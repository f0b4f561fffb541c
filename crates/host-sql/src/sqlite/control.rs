//! Stops a connection's thread from outside: while it computes and while it
//! waits for another writer. Never knows why it should stop.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;

/// Shared by a connection's thread and whoever holds its lease.
#[derive(Default)]
pub(crate) struct Control {
    state: Mutex<State>,
    changed: Condvar,
    interrupt: Mutex<Option<InterruptHandle>>,
}

#[derive(Default)]
struct State {
    stopped: bool,
    busy_until: Option<Instant>,
}

impl Control {
    /// Makes the next command start unstopped. Only the lease's holder calls
    /// this, and only while no command is under way.
    pub(crate) fn arm(&self) {
        self.state().stopped = false;
    }

    /// Stops what the thread does now. An interrupt that comes before SQLite
    /// has begun is lost, so whoever waits calls this again and again.
    pub(crate) fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
        let interrupt = self
            .interrupt
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(interrupt) = interrupt.as_ref() {
            interrupt.interrupt();
        }
    }

    pub(crate) fn stopped(&self) -> bool {
        self.state().stopped
    }

    /// Until when the thread may wait for another writer.
    pub(crate) fn wait_until(&self, deadline: Instant) {
        self.state().busy_until = Some(deadline);
    }

    pub(crate) fn attach(&self, interrupt: InterruptHandle) {
        *self
            .interrupt
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(interrupt);
    }

    /// SQLite's busy handler: waits a little; false when waiting is over.
    /// SQLite's own does not look at interrupts while it sleeps.
    pub(crate) fn wait_for_writer(&self, attempt: i32) -> bool {
        let pause = Duration::from_micros(100 << attempt.clamp(0, 6));
        let state = self.state();
        if state
            .busy_until
            .is_none_or(|deadline| Instant::now() >= deadline)
        {
            return false;
        }
        let waited = self
            .changed
            .wait_timeout_while(state, pause, |state| !state.stopped);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.stopped
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
