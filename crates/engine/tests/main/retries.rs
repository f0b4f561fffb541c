//! Runs that failed are tried again as their job asks.

use std::sync::Arc;
use std::time::Duration;

use jobcell_engine::{CancelError, Engine, ManualClock};
use jobcell_model::{Execution, JobRef, RunState, Trigger};
use jobcell_store::Store;

use crate::support::{at, by_hand, create, engine_at, noon, runs_when};
use crate::test_store::TestStore;

const ENDLESS: &str =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";

struct Scene {
    folder: tempfile::TempDir,
    store: Arc<TestStore>,
    clock: Arc<ManualClock>,
    engine: Engine,
    job: JobRef,
}

impl Scene {
    async fn with(query: &str, keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = TestStore::new(folder.path());
        let clock = Arc::new(ManualClock::at(noon()));
        let engine = engine_at(store.clone(), folder.path(), clock.clone()).await;
        let job = create(&engine, query, keys).await;
        Self {
            folder,
            store,
            clock,
            engine,
            job,
        }
    }

    async fn run(&self) {
        let started = self.engine.start_run(&self.job, by_hand()).await.unwrap();
        started.finished().await.unwrap();
    }

    async fn when(&self, wanted: &[RunState]) -> Vec<Execution> {
        let as_wanted =
            |runs: &[Execution]| runs.iter().map(|run| run.status).eq(wanted.iter().copied());
        runs_when(&self.store, &self.job, as_wanted).await
    }
}

#[tokio::test]
async fn a_failed_run_is_tried_again_as_often_as_its_job_allows() {
    let policy = "retryPolicy: {maxRetries: 2, retryDelay: 30, backoff: exponential}\n";
    let scene = Scene::with("SELECT nonsense", policy).await;
    scene.run().await;
    let runs = scene.when(&[RunState::Failed, RunState::Pending]).await;
    assert_eq!(runs[1].not_before, Some(at("12:00:30")));
    scene.clock.set(at("12:00:30"));
    let three = [RunState::Failed, RunState::Failed, RunState::Pending];
    let runs = scene.when(&three).await;
    assert_eq!(runs[2].not_before, Some(at("12:01:30")), "twice the delay");
    scene.clock.set(at("12:01:30"));
    let runs = scene.when(&[RunState::Failed; 3]).await;
    let first = runs[0].execution_id;
    for (count, run) in runs.iter().enumerate() {
        assert_eq!(run.retry_count as usize, count);
        assert_eq!(run.is_retry, count > 0);
        assert_eq!(run.parent_execution_id, (count > 0).then_some(first));
        assert_eq!(run.trigger == Trigger::Retry, count > 0);
        assert_eq!(run.max_retries, 2);
    }
    assert_eq!(scene.engine.waiting(), 0, "the last one is the last");
    assert_eq!(scene.store.verify(), [""; 0]);
}

#[tokio::test]
async fn a_retry_survives_a_restart() {
    let policy = "retryPolicy: {maxRetries: 1, retryDelay: 600}\n";
    let mut scene = Scene::with("SELECT nonsense", policy).await;
    scene.run().await;
    scene.when(&[RunState::Failed, RunState::Pending]).await;
    scene.engine.drain(Duration::ZERO).await;
    let folder = scene.folder.path();
    scene.engine = engine_at(scene.store.clone(), folder, scene.clock.clone()).await;
    assert_eq!(scene.engine.waiting(), 1);
    scene.clock.set(at("12:10:00"));
    scene.when(&[RunState::Failed; 2]).await;
}

#[tokio::test]
async fn a_cancelled_run_is_not_tried_again() {
    let policy = "retryPolicy: {maxRetries: 3, retryDelay: 0}\n";
    let scene = Scene::with(ENDLESS, policy).await;
    let started = scene.engine.start_run(&scene.job, by_hand()).await.unwrap();
    let id = started.execution_id;
    scene.engine.cancel_run(id, "the test").await.unwrap();
    started.finished().await.unwrap();
    scene.when(&[RunState::Cancelled]).await;
    assert_eq!(scene.engine.waiting(), 0);
}

#[tokio::test]
async fn a_run_whose_end_is_recorded_can_not_be_cancelled_though_it_is_still_listed() {
    let scene = Scene::with("SELECT nonsense", "").await;
    scene.store.late_answers.send_replace(true);
    let started = scene.engine.start_run(&scene.job, by_hand()).await.unwrap();
    let id = started.execution_id;
    scene.when(&[RunState::Failed]).await;
    assert_eq!(scene.engine.running(), 1, "it is listed");
    let refused = scene.engine.cancel_run(id, "the test").await.unwrap_err();
    assert!(matches!(refused, CancelError::NotRunning(_)), "{refused}");
    scene.store.late_answers.send_replace(false);
    started.finished().await.unwrap();
}

#[tokio::test]
async fn a_retry_is_cancelled_while_the_end_that_brings_it_is_recorded() {
    let policy = "retryPolicy: {maxRetries: 1, retryDelay: 600}\n";
    let scene = Scene::with("SELECT nonsense", policy).await;
    scene.store.late_answers.send_replace(true);
    let started = scene.engine.start_run(&scene.job, by_hand()).await.unwrap();
    let id = started.execution_id;
    scene.when(&[RunState::Failed, RunState::Pending]).await;
    scene.engine.cancel_run(id, "the test").await.unwrap();
    scene.store.late_answers.send_replace(false);
    let runs = scene.when(&[RunState::Failed, RunState::Cancelled]).await;
    assert_eq!(runs[1].parent_execution_id, Some(id));
}

#[tokio::test]
async fn a_retry_is_cancelled_with_the_run_that_it_repeats() {
    let policy = "retryPolicy: {maxRetries: 3, retryDelay: 600}\n";
    let scene = Scene::with("SELECT nonsense", policy).await;
    scene.run().await;
    let runs = scene.when(&[RunState::Failed, RunState::Pending]).await;
    let first = runs[0].execution_id;
    scene.engine.cancel_run(first, "the test").await.unwrap();
    scene.when(&[RunState::Failed, RunState::Cancelled]).await;
    assert_eq!(scene.engine.waiting(), 0);
}

#[tokio::test]
async fn only_ends_that_the_job_names_are_tried_again() {
    let policy = "timeout: 1\nretryPolicy: {maxRetries: 1, retryDelay: 0, retryOn: [timeout]}\n";
    let scene = Scene::with("SELECT nonsense", policy).await;
    scene.run().await;
    scene.when(&[RunState::Failed]).await;
    assert_eq!(scene.engine.waiting(), 0);
    let slow = Scene::with(ENDLESS, policy).await;
    slow.run().await;
    slow.when(&[RunState::Timeout; 2]).await;
}

#[tokio::test]
async fn a_run_that_a_crash_cut_short_runs_again_where_the_job_asks() {
    let scene = Scene::with(ENDLESS, "onInterrupted: retry\n").await;
    scene.engine.start_run(&scene.job, by_hand()).await.unwrap();
    // A second engine on the same store, as after a crash of the first.
    let _second = engine_at(
        scene.store.clone(),
        scene.folder.path(),
        scene.clock.clone(),
    )
    .await;
    let runs = scene
        .when(&[RunState::Interrupted, RunState::Running])
        .await;
    assert_eq!(runs[1].parent_execution_id, Some(runs[0].execution_id));
    assert!(
        scene
            .store
            .execution(runs[1].execution_id)
            .await
            .unwrap()
            .is_some()
    );
}
