//! Advances the engine's epoch from a thread of its own, while runs go on.
//! Never looks at a run; each run's own callback decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::Engine;

struct Shared {
    active: AtomicUsize,
    ended: AtomicBool,
}

/// The thread that ticks. Dropping it ends the thread.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Says that a run goes on.
pub(crate) struct Ticking<'a>(&'a Ticker);

impl Ticker {
    /// Starts the thread.
    pub(crate) fn start(engine: Engine, tick: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            active: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || {
                while !seen.ended.load(Ordering::Acquire) {
                    if seen.active.load(Ordering::Acquire) == 0 {
                        // Nothing computes, so nothing needs ticks: an idle server
                        // is to use no processor time. A lost wake-up is ruled out,
                        // since `unpark` before `park` makes `park` return at once.
                        std::thread::park();
                    } else {
                        engine.increment_epoch();
                        std::thread::sleep(tick);
                    }
                }
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Ticks as long as what it returns lives.
    pub(crate) fn tick(&self) -> Ticking<'_> {
        if self.shared.active.fetch_add(1, Ordering::AcqRel) == 0 {
            self.wake();
        }
        Ticking(self)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.shared.active.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A ticker that panicked has nothing more to say.
            drop(thread.join());
        }
    }
}
