//! Watching a run from wherever a reader is to its end, whether it waits, goes
//! on or has ended. A reader has nothing of its own but a place: it looks at
//! what the run keeps anyway. Never slows a run, never polls.

use std::pin::pin;
use std::sync::Arc;

use jobcell_model::{Execution, ExecutionId, RunOutput, RunState};
use jobcell_plugin_host::output::{Place, Seen};
use jobcell_store::StorageError;
use tokio::sync::Notify;

use crate::kept::Kept;
use crate::live::LiveRun;
use crate::{Engine, Shared};

/// What somebody who watches a run is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Watched {
    /// What it wrote or did.
    Seen(Seen),
    /// That it has ended: its row and what was kept of its output. The last.
    Ended(Box<Execution>, Option<RunOutput>),
}

/// One who watches a run. Dropped, nothing is left of it.
pub struct Watch {
    listener: Listener,
    place: Place,
    state: State,
}

enum State {
    /// It waits for its start, or it is to be looked up where the run stands.
    Unsure,
    GoesOn(LiveRun),
    Kept(Box<Kept>),
    Over,
}

/// Where a run stands.
enum Stand {
    GoesOn(LiveRun),
    Ended(Box<Execution>),
    /// It has neither started nor ended.
    Waits,
    /// Nobody here will say how it ends.
    Lost,
}

/// Hears of a run's start and end, until it is dropped.
struct Listener {
    shared: Arc<Shared>,
    id: ExecutionId,
    bell: Arc<Notify>,
}

impl Engine {
    /// Watches a run from its first byte on; none when there is no such run. A
    /// shutdown ends it, whatever becomes of the run.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn watch(&self, id: ExecutionId) -> Result<Option<Watch>, StorageError> {
        if self.0.store.execution(id).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(Watch {
            listener: Listener {
                bell: self.0.live.bell(id),
                shared: Arc::clone(&self.0),
                id,
            },
            place: Place::default(),
            state: State::Unsure,
        }))
    }

    /// How many watch runs.
    #[must_use]
    pub fn watching(&self) -> usize {
        self.0.live.readers()
    }
}

impl Watch {
    /// Waits for what comes next. None after the end, at a shutdown, and when the
    /// end could not be recorded. Dropping this loses nothing.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn next(&mut self) -> Result<Option<Watched>, StorageError> {
        let stop = self.listener.shared.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                self.state = State::Over;
                Ok(None)
            }
            next = self.after_place() => next,
        }
    }

    async fn after_place(&mut self) -> Result<Option<Watched>, StorageError> {
        loop {
            match &mut self.state {
                State::Unsure => self.state = self.listener.wait().await?,
                State::GoesOn(run) => {
                    if let Some(seen) = self.listener.read(run, &mut self.place).await {
                        return Ok(Some(Watched::Seen(seen)));
                    }
                    self.state = match self.listener.stand().await? {
                        Stand::Ended(execution) => self.listener.kept(*execution).await?,
                        // The bell was still rung for its start.
                        Stand::GoesOn(run) => State::GoesOn(run),
                        Stand::Waits | Stand::Lost => State::Over,
                    };
                }
                State::Kept(kept) => {
                    if let Some(seen) = kept.next(&mut self.place) {
                        return Ok(Some(Watched::Seen(seen)));
                    }
                    return Ok(self.end());
                }
                State::Over => return Ok(None),
            }
        }
    }

    fn end(&mut self) -> Option<Watched> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Kept(kept) => Some(Watched::Ended(Box::new(kept.execution), kept.output)),
            _ => None,
        }
    }
}

impl Listener {
    /// Waits until the run goes on, has ended, or nobody will say how it ends.
    async fn wait(&self) -> Result<State, StorageError> {
        loop {
            let mut rung = pin!(self.bell.notified());
            // What is rung for while it is looked up counts.
            rung.as_mut().enable();
            match self.stand().await? {
                Stand::GoesOn(run) => return Ok(State::GoesOn(run)),
                Stand::Ended(execution) => return self.kept(*execution).await,
                Stand::Waits => rung.await,
                Stand::Lost => return Ok(State::Over),
            }
        }
    }

    async fn stand(&self) -> Result<Stand, StorageError> {
        let Self { shared, id, .. } = self;
        let listed = || shared.live.get(*id);
        if let Some(run) = listed().filter(LiveRun::has_started) {
            return Ok(Stand::GoesOn(run));
        }
        // Its end is durable before it leaves the list: so it is looked for once
        // more when the row says that it goes on and the list does not.
        for _ in 0..2 {
            match shared.store.execution(*id).await? {
                None => return Ok(Stand::Lost),
                Some(run) if run.status.is_final() => return Ok(Stand::Ended(Box::new(run))),
                Some(run) if run.status == RunState::Pending => return Ok(Stand::Waits),
                Some(_) if listed().is_some() => return Ok(Stand::Waits),
                Some(_) => {}
            }
        }
        Ok(Stand::Lost)
    }

    /// What a run that goes on writes after a place; none when it may have ended.
    async fn read(&self, run: &LiveRun, place: &mut Place) -> Option<Seen> {
        let mut rung = pin!(self.bell.notified());
        rung.as_mut().enable();
        self.shared.live.get(self.id)?;
        let written = async {
            match run.output().await {
                Some(output) => output.next(place).await,
                None => None,
            }
        };
        tokio::select! {
            biased;
            Some(seen) = written => Some(seen),
            () = rung => None,
        }
    }

    /// A run that has ended, with what was kept of its output.
    async fn kept(&self, execution: Execution) -> Result<State, StorageError> {
        let output = self.shared.store.output(self.id).await?;
        Ok(State::Kept(Box::new(Kept::new(execution, output))))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.live.silence(self.id);
    }
}
