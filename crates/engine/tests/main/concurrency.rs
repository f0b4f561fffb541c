//! What becomes of a firing whose job is running already.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jobcell_engine::{CancelError, Engine, ManualClock};
use jobcell_model::{Execution, JobRef, RunState};

use crate::support::{at, by_hand, create, engine_at, noon, runs_when};
use crate::test_store::TestStore;

const ENDLESS: &str =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";

struct Scene {
    _folder: tempfile::TempDir,
    store: Arc<TestStore>,
    clock: Arc<ManualClock>,
    engine: Engine,
    job: JobRef,
}

impl Scene {
    /// An endless job that fires every minute, at noon.
    async fn with(concurrency: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = TestStore::new(folder.path());
        let clock = Arc::new(ManualClock::at(noon()));
        let engine = engine_at(store.clone(), folder.path(), clock.clone()).await;
        let keys = format!(
            "schedule: {{type: cron, expression: \"* * * * *\"}}\nconcurrency: {concurrency}\n"
        );
        let job = create(&engine, ENDLESS, &keys).await;
        Self {
            _folder: folder,
            store,
            clock,
            engine,
            job,
        }
    }

    async fn when(&self, wanted: &[RunState]) -> Vec<Execution> {
        let as_wanted =
            |runs: &[Execution]| runs.iter().map(|run| run.status).eq(wanted.iter().copied());
        runs_when(&self.store, &self.job, as_wanted).await
    }
}

#[tokio::test]
async fn one_too_many_is_skipped_and_says_because_of_whom() {
    let scene = Scene::with("{policy: skip}").await;
    scene.clock.set(at("12:01:00"));
    let first = scene.when(&[RunState::Running]).await[0].execution_id;
    scene.clock.set(at("12:02:00"));
    let runs = scene.when(&[RunState::Running, RunState::Skipped]).await;
    assert_eq!(runs[1].blocked_by, Some(first));
    assert_eq!(runs[1].error_code.as_deref(), Some("concurrency_limit"));
    let said = runs[1].error_message.as_deref().unwrap();
    assert!(said.contains(&first.to_string()), "{said}");
    assert_eq!(runs[1].scheduled_time, Some(at("12:02:00")));
}

#[tokio::test]
async fn one_too_many_waits_its_turn_and_no_more_wait_than_may() {
    let scene = Scene::with("{policy: queue, queue: {max: 1}}").await;
    scene.clock.set(at("12:01:00"));
    let first = scene.when(&[RunState::Running]).await[0].execution_id;
    scene.clock.set(at("12:02:00"));
    scene.when(&[RunState::Running, RunState::Pending]).await;
    scene.clock.set(at("12:03:00"));
    let three = [RunState::Running, RunState::Pending, RunState::Skipped];
    let runs = scene.when(&three).await;
    assert_eq!(runs[2].error_code.as_deref(), Some("queue_full"));
    scene.engine.cancel_run(first, "the test").await.unwrap();
    let three = [RunState::Cancelled, RunState::Running, RunState::Skipped];
    let runs = scene.when(&three).await;
    assert_eq!(runs[1].scheduled_time, Some(at("12:02:00")));
}

#[tokio::test]
async fn what_waits_too_long_is_skipped() {
    let scene = Scene::with("{policy: queue, queue: {maxAge: 90s}}").await;
    scene.clock.set(at("12:01:00"));
    let first = scene.when(&[RunState::Running]).await[0].execution_id;
    scene.clock.set(at("12:02:00"));
    scene.when(&[RunState::Running, RunState::Pending]).await;
    scene.clock.set(at("12:03:45"));
    let three = [RunState::Running, RunState::Skipped, RunState::Pending];
    let runs = scene.when(&three).await;
    assert_eq!(runs[1].error_code.as_deref(), Some("queue_age"));
    scene.engine.cancel_run(first, "the test").await.unwrap();
    let three = [RunState::Cancelled, RunState::Skipped, RunState::Running];
    scene.when(&three).await;
}

#[tokio::test]
async fn a_new_one_takes_the_place_of_the_old() {
    let scene = Scene::with("{policy: replace}").await;
    scene.clock.set(at("12:01:00"));
    scene.when(&[RunState::Running]).await;
    scene.clock.set(at("12:02:00"));
    let runs = scene.when(&[RunState::Cancelled, RunState::Running]).await;
    assert_eq!(runs[0].error_code.as_deref(), Some("replaced"));
    let said = runs[0].error_message.as_deref().unwrap();
    assert!(said.contains(&runs[1].execution_id.to_string()), "{said}");
}

#[tokio::test]
async fn a_run_that_waits_can_be_cancelled_and_never_starts() {
    let scene = Scene::with("{policy: queue}").await;
    scene.engine.start_run(&scene.job, by_hand()).await.unwrap();
    scene.clock.set(at("12:01:00"));
    let runs = scene.when(&[RunState::Running, RunState::Pending]).await;
    let waits = runs[1].execution_id;
    scene.engine.cancel_run(waits, "the test").await.unwrap();
    let runs = scene.when(&[RunState::Running, RunState::Cancelled]).await;
    assert!(runs[1].duration_seconds.is_none());
    assert_eq!(scene.engine.waiting(), 0);
}

#[tokio::test]
async fn a_cancel_that_can_not_be_recorded_loses_no_run() {
    let scene = Scene::with("{policy: queue}").await;
    scene.engine.start_run(&scene.job, by_hand()).await.unwrap();
    scene.clock.set(at("12:01:00"));
    let runs = scene.when(&[RunState::Running, RunState::Pending]).await;
    let waits = runs[1].execution_id;
    // It has been tried and found its job busy, so that it is on the list.
    while scene.engine.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    scene.store.failing_ends.store(1, Ordering::SeqCst);
    let failed = scene.engine.cancel_run(waits, "the test").await;
    assert!(matches!(failed, Err(CancelError::Storage(_))), "{failed:?}");
    scene.engine.cancel_run(waits, "the test").await.unwrap();
    scene.when(&[RunState::Running, RunState::Cancelled]).await;
}
