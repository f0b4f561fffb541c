//! The engine's part of an orderly end: no new runs, a grace period for those
//! that go on, then their end. Never closes the store; who opened it does.

use std::time::Duration;

use crate::Engine;
use crate::live::CancelCause;

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Runs that had to be ended.
    pub interrupted: usize,
}

impl Engine {
    /// Lets no more runs start, and ends what watches them.
    pub fn close(&self) {
        self.0.stop.cancel();
        self.0.live.close();
        self.0.tasks.close();
    }

    /// Waits until all runs have ended. What goes on after `grace` is ended
    /// and recorded as interrupted.
    pub async fn drain(&self, grace: Duration) -> Drained {
        self.close();
        let interrupted = match tokio::time::timeout(grace, self.0.tasks.wait()).await {
            Ok(()) => 0,
            Err(_) => {
                let count = self.0.live.cancel_all(&CancelCause::Shutdown);
                self.0.tasks.wait().await;
                count
            }
        };
        Drained { interrupted }
    }
}
