//! Measures how long a run computes: the time inside the polls of its future.
//! Waiting in a host function is not computing, so it never counts.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::ticker::Ticker;

/// Marks that no poll is going on.
const OUTSIDE: u64 = u64::MAX;

/// The computing time of one run so far. Read from within its own poll.
#[derive(Debug)]
pub(crate) struct Meter {
    base: Instant,
    spent: AtomicU64,
    poll_began: AtomicU64,
}

impl Meter {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            base: Instant::now(),
            spent: AtomicU64::new(0),
            poll_began: AtomicU64::new(OUTSIDE),
        })
    }

    /// All of it, the present poll included.
    pub(crate) fn used(&self) -> Duration {
        let began = self.poll_began.load(Ordering::Relaxed);
        let going_on = if began == OUTSIDE {
            0
        } else {
            self.now().saturating_sub(began)
        };
        Duration::from_nanos(self.spent.load(Ordering::Relaxed) + going_on)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(OUTSIDE - 1)
    }

    fn enter(&self) {
        self.poll_began.store(self.now(), Ordering::Relaxed);
    }

    fn leave(&self) {
        let began = self.poll_began.swap(OUTSIDE, Ordering::Relaxed);
        self.spent
            .fetch_add(self.now().saturating_sub(began), Ordering::Relaxed);
    }
}

/// A future whose polls are measured, and bounded by ticks while they last.
pub(crate) struct Metered<'a, F> {
    inner: Pin<Box<F>>,
    meter: Arc<Meter>,
    ticker: &'a Ticker,
}

impl<'a, F: Future> Metered<'a, F> {
    pub(crate) fn new(inner: F, meter: Arc<Meter>, ticker: &'a Ticker) -> Self {
        Self {
            inner: Box::pin(inner),
            meter,
            ticker,
        }
    }
}

impl<F: Future> Future for Metered<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _ticking = self.ticker.tick();
        self.meter.enter();
        let polled = self.inner.as_mut().poll(context);
        self.meter.leave();
        polled
    }
}
