//! A store, a clock and an engine over them, to be used by one test.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use jobcell_engine::{Engine, EngineConfig, ManualClock};
use jobcell_model::{Execution, JobRef, RunState};

use crate::support::{PATIENCE, by_hand, config, create_named, noon, runs_when};
use crate::test_store::TestStore;

/// A query that ends when somebody ends it.
pub(crate) const ENDLESS: &str =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";

pub(crate) struct Scene {
    folder: tempfile::TempDir,
    pub(crate) store: Arc<TestStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) engine: Engine,
}

impl Scene {
    /// At noon.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with an engine made otherwise.
    pub(crate) async fn with(change: impl FnOnce(&mut EngineConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = TestStore::new(folder.path());
        let clock = Arc::new(ManualClock::at(noon()));
        let engine = start(&store, folder.path(), &clock, change).await;
        Self {
            folder,
            store,
            clock,
            engine,
        }
    }

    /// The server ends, and another starts at this instant.
    pub(crate) async fn restart(
        self,
        at: DateTime<Utc>,
        change: impl FnOnce(&mut EngineConfig),
    ) -> Self {
        self.engine.drain(std::time::Duration::ZERO).await;
        let clock = Arc::new(ManualClock::at(at));
        let engine = start(&self.store, self.folder.path(), &clock, change).await;
        Self {
            clock,
            engine,
            ..self
        }
    }

    /// Stores a job that selects one.
    pub(crate) async fn job(&self, key: &str, keys: &str) -> JobRef {
        create_named(&self.engine, key, "SELECT 1", keys).await
    }

    /// Stores a job that ends when somebody ends it.
    pub(crate) async fn endless(&self, key: &str, keys: &str) -> JobRef {
        create_named(&self.engine, key, ENDLESS, keys).await
    }

    /// Runs a job to its end.
    pub(crate) async fn run(&self, job: &JobRef) -> Execution {
        let started = self.engine.start_run(job, by_hand()).await.unwrap();
        started.finished().await.unwrap().execution
    }

    /// Waits until the runs of a job, oldest first, stand so.
    pub(crate) async fn when(&self, job: &JobRef, wanted: &[RunState]) -> Vec<Execution> {
        let as_wanted =
            |runs: &[Execution]| runs.iter().map(|run| run.status).eq(wanted.iter().copied());
        runs_when(&self.store, job, as_wanted).await
    }

    /// Waits until so many runs stand in the queue. A row can be read a moment
    /// before its run stands there.
    pub(crate) async fn queued(&self, count: usize) {
        let queued = async {
            while self.engine.waiting() != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, queued).await.unwrap();
    }

    /// When a job fires next, as the store has it.
    pub(crate) async fn next(&self, job: &JobRef) -> Option<DateTime<Utc>> {
        let stored = self.engine.job(job).await.unwrap().unwrap();
        stored.next_scheduled_time
    }
}

async fn start(
    store: &Arc<TestStore>,
    folder: &Path,
    clock: &Arc<ManualClock>,
    change: impl FnOnce(&mut EngineConfig),
) -> Engine {
    let mut config = config(store.clone(), folder, clock.clone());
    change(&mut config);
    let before = store.looks();
    let engine = Engine::start(config).await.unwrap();
    // What is done once at a start is done by then, so that writes can be
    // counted.
    let looked = async {
        while store.looks() == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looked).await.unwrap();
    engine
}
