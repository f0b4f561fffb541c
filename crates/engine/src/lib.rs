//! Decides what runs and when, carries it out through plugins, and keeps the
//! record true whatever fails. Never speaks HTTP, never names a database file
//! or a process: stores, plugins and capabilities are handed in.

pub mod clock;
pub mod connections;
pub mod error;
pub mod job_types;

mod cache;
mod dispatch;
mod execute;
mod finish;
mod follow;
mod import;
mod jobs;
mod kept;
mod live;
mod planner;
mod prepare;
mod queue;
mod recover;
mod replan;
mod retry;
mod runs;
mod scope;
mod shutdown;
mod type_slots;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use jobcell_model::plan::Calendars;
use jobcell_store::{StorageError, Store};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{CancelError, DeleteJobError, RunLost, SaveJobError, StartError};
pub use import::{ForeignJob, ForeignText};
pub use job_types::{JobTypes, JobTypesError};
pub use jobcell_plugin_host::output::{Place, Seen};
pub use jobs::{CheckedJob, JobChange, NewJob};
pub use runs::{RunOutcome, StartRequest, StartedRun};
pub use shutdown::Drained;
pub use watch::{Watch, Watched};

/// What an engine is made of.
pub struct EngineConfig {
    /// Where jobs and history live.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The job types that can run.
    pub job_types: JobTypes,
    /// What a run may use unless its job asks for less.
    pub limits: jobcell_plugin_host::RunLimits,
    /// How many runs that were scheduled or waited may go on at once.
    pub workers: usize,
    /// How many runs of some job types may go on at once, by the types' names.
    pub runs_by_type: BTreeMap<String, usize>,
    /// The calendars that schedules may name.
    pub calendars: Calendars,
    /// Host name, system and version, kept with each run.
    pub server_info: String,
}

impl EngineConfig {
    /// What most need: the usual limits, 64 workers, no calendars.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, job_types: JobTypes) -> Self {
        Self {
            store,
            clock,
            job_types,
            limits: jobcell_plugin_host::RunLimits::default(),
            workers: 64,
            runs_by_type: BTreeMap::new(),
            calendars: Calendars::new(),
            server_info: String::new(),
        }
    }
}

struct Shared {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    job_types: JobTypes,
    limits: jobcell_plugin_host::RunLimits,
    server_info: String,
    prepared: cache::PreparedJobs,
    live: live::LiveRuns,
    queue: queue::Queue,
    workers: Arc<Semaphore>,
    type_slots: type_slots::TypeSlots,
    calendars: Calendars,
    /// By what next firings are computed.
    plan_basis: String,
    /// Told when a job fires at another time than before.
    replanned: Notify,
    /// Ends the planner and the dispatcher.
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A cheap handle to the engine.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

impl Engine {
    /// Makes an engine, closes what an earlier process left running, takes up
    /// what it left waiting, and begins to fire what is due.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn start(config: EngineConfig) -> Result<Self, StorageError> {
        let engine = Self::at_rest(config);
        recover::take_up_waiting(&engine.0).await?;
        recover::close_interrupted(&engine.0).await?;
        let shared = &engine.0;
        let stop = || shared.stop.clone();
        shared.tasks.spawn(planner::run(Arc::clone(shared), stop()));
        shared
            .tasks
            .spawn(dispatch::run(Arc::clone(shared), stop()));
        Ok(engine)
    }

    /// Makes an engine that fires nothing, closes nothing and takes nothing up:
    /// for who checks and stores jobs while no server runs.
    #[must_use]
    pub fn at_rest(config: EngineConfig) -> Self {
        Self(Arc::new(Shared {
            store: config.store,
            clock: config.clock,
            job_types: config.job_types,
            limits: config.limits,
            server_info: config.server_info,
            prepared: cache::PreparedJobs::default(),
            live: live::LiveRuns::default(),
            queue: queue::Queue::default(),
            workers: Arc::new(Semaphore::new(config.workers)),
            type_slots: type_slots::TypeSlots::new(&config.runs_by_type),
            plan_basis: replan::basis(&config.calendars),
            calendars: config.calendars,
            replanned: Notify::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }))
    }

    /// The store, for what only reads.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    /// The job types that can run.
    #[must_use]
    pub fn job_types(&self) -> &JobTypes {
        &self.0.job_types
    }
}
