//! The deadlines of runs. The runtime is woken whenever a timer is set that goes off
//! before all others, so the timer of a run that has ended is kept until another one
//! has: that of the next run goes off later. Never ends a run.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::Sleep;

/// The last timer that nobody needs any more.
#[derive(Default)]
pub(crate) struct Deadlines(Mutex<Option<Pin<Box<Sleep>>>>);

/// Is ready at the deadline of one run.
pub(crate) struct Deadline<'a> {
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the runtime knows of it.
    is_set: bool,
    all: &'a Deadlines,
}

impl Deadlines {
    /// That of a run, not set before it is waited for.
    pub(crate) fn at(&self, deadline: Instant) -> Deadline<'_> {
        Deadline {
            timer: Some(Box::pin(tokio::time::sleep_until(deadline.into()))),
            is_set: false,
            all: self,
        }
    }
}

impl Future for Deadline<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.is_set = true;
        match &mut self.timer {
            Some(timer) => timer.as_mut().poll(context),
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Deadline<'_> {
    fn drop(&mut self) {
        // One that went off is of no use. Whom the last one wakes in the end has ended
        // or does not mind.
        let is_of_use = |timer: &Pin<Box<Sleep>>| self.is_set && !timer.is_elapsed();
        if let Some(timer) = self.timer.take().filter(is_of_use) {
            let mut last = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
            let before = last.replace(timer);
            drop(last);
            drop(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn is_kept(deadlines: &Deadlines) -> bool {
        let last = deadlines.0.lock();
        last.is_ok_and(|last| last.is_some())
    }

    #[tokio::test]
    async fn the_last_timer_that_was_set_and_did_not_go_off_is_kept() {
        let deadlines = Deadlines::default();
        let late = Instant::now() + Duration::from_secs(60);
        drop(deadlines.at(late));
        assert!(!is_kept(&deadlines), "it was never set");
        deadlines.at(Instant::now()).await;
        assert!(!is_kept(&deadlines), "it went off");
        let waited = tokio::time::timeout(Duration::ZERO, deadlines.at(late)).await;
        assert!(waited.is_err());
        assert!(is_kept(&deadlines));
    }
}
