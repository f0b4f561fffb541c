//! Advances the engine's epoch from a thread of its own, while plugins compute.
//! Never looks at a run; each run's own callback decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::Engine;

/// So many ticks it goes on after the last call: runs that follow each other
/// need not wake it one by one.
const MOST_IDLE: u32 = 10;

#[derive(Default)]
struct Shared {
    computing: AtomicUsize,
    parked: AtomicBool,
    ended: AtomicBool,
}

/// The thread that ticks. Dropping it ends the thread.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Says that a plugin computes.
pub(crate) struct Ticking<'a>(&'a Ticker);

impl Ticker {
    /// Starts the thread.
    pub(crate) fn start(engine: Engine, tick: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || {
                let mut idle = 0;
                loop {
                    seen.wait_for_work(&mut idle);
                    if seen.ended.load(Ordering::SeqCst) {
                        return;
                    }
                    // Sleeping comes first: a short call is over before the tick
                    // and never yields, and many of them cost one wake-up a tick.
                    std::thread::sleep(tick);
                    engine.increment_epoch();
                }
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Ticks as long as what it returns lives.
    pub(crate) fn tick(&self) -> Ticking<'_> {
        if self.shared.computing.fetch_add(1, Ordering::SeqCst) == 0 {
            self.wake();
        }
        Ticking(self)
    }

    fn wake(&self) {
        if self.shared.parked.swap(false, Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
    }
}

impl Shared {
    /// Returns at once while plugins compute and a few ticks after that, else when
    /// one begins to: an idle server, or one whose runs all wait, is to use no
    /// processor time.
    fn wait_for_work(&self, idle: &mut u32) {
        if self.computing.load(Ordering::SeqCst) > 0 {
            *idle = 0;
            return;
        }
        *idle += 1;
        if *idle <= MOST_IDLE {
            return;
        }
        *idle = 0;
        // Whoever begins to compute after this store sees it and unparks; who
        // began before it is seen by the load. So no wake-up is lost.
        self.parked.store(true, Ordering::SeqCst);
        if self.computing.load(Ordering::SeqCst) > 0 {
            self.parked.store(false, Ordering::SeqCst);
            return;
        }
        while self.parked.load(Ordering::SeqCst) && !self.ended.load(Ordering::SeqCst) {
            std::thread::park();
        }
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.shared.computing.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A ticker that panicked has nothing more to say.
            drop(thread.join());
        }
    }
}
