//! What time it is, and waiting for a time, injected. Nothing else in Jobcell
//! asks the system.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::watch;

/// Tells the wall-clock time.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> DateTime<Utc>;

    /// Waits until the clock shows this instant; for ever without one. Returns
    /// early when somebody sets the clock, so whoever calls it looks again.
    async fn sleep_until(&self, at: Option<DateTime<Utc>>);
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    async fn sleep_until(&self, at: Option<DateTime<Utc>>) {
        let Some(at) = at else {
            return std::future::pending().await;
        };
        if at <= self.now() {
            return;
        }
        if let Err(error) = system::wait(at).await {
            tracing::warn!(%error, "the system's timer can't be used; looking at the clock instead");
            system::look_again(at).await;
        }
    }
}

/// The kernel's timer on the wall clock: it goes on through a suspension, and
/// ends the wait when the clock is set.
#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::time::Duration;

    use chrono::{DateTime, Utc};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    pub(super) async fn wait(at: DateTime<Utc>) -> io::Result<()> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
        let never = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let time = Itimerspec {
            it_interval: never,
            it_value: Timespec {
                tv_sec: at.timestamp(),
                tv_nsec: at.timestamp_subsec_nanos().into(),
            },
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(&timer, flags, &time)?;
        // SAFETY: the descriptor was made a moment ago and is moved in here, so it
        // stays open and the same until the `AsyncFd` is dropped; an `OwnedFd`
        // always gives the same number.
        #[expect(unsafe_code, reason = "tokio can't know who owns a descriptor")]
        let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }?;
        // It is readable both when the time has come and when the clock was set.
        timer.readable().await.map(drop)
    }

    pub(super) async fn look_again(_: DateTime<Utc>) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Elsewhere the clock is looked at now and then.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::time::Duration;

    use chrono::{DateTime, Utc};

    /// How long a change of the clock may go unnoticed.
    const LONGEST: Duration = Duration::from_secs(10);

    pub(super) async fn wait(at: DateTime<Utc>) -> io::Result<()> {
        look_again(at).await;
        Ok(())
    }

    pub(super) async fn look_again(at: DateTime<Utc>) {
        let left = (at - Utc::now()).to_std().unwrap_or_default();
        tokio::time::sleep(left.min(LONGEST)).await;
    }
}

/// A clock that stands still until it is set; for simulations and tests.
#[derive(Debug)]
pub struct ManualClock(watch::Sender<DateTime<Utc>>);

impl ManualClock {
    /// A clock that shows this instant.
    #[must_use]
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(watch::Sender::new(now))
    }

    /// Sets it, forward or back.
    pub fn set(&self, now: DateTime<Utc>) {
        self.0.send_replace(now);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.borrow()
    }

    async fn sleep_until(&self, at: Option<DateTime<Utc>>) {
        let mut shown = self.0.subscribe();
        if at.is_some_and(|at| at <= *shown.borrow_and_update()) {
            return;
        }
        if shown.changed().await.is_err() {
            // Nobody can set it any more: the wait has no end.
            std::future::pending::<()>().await;
        }
    }
}
