//! How runs end that do not end by themselves.

use std::time::Duration;

use jobcell_engine::StartError;
use jobcell_model::{JobRef, RunState};
use jobcell_store::Store;

use crate::support::{PATIENCE, by_hand, create, engine, noon};
use crate::test_store::TestStore;

const ENDLESS: &str =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";

#[tokio::test]
async fn a_run_past_its_time_says_how_long_that_was() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(TestStore::new(folder.path()), folder.path()).await;
    let job = create(&engine, ENDLESS, "timeout: 1\n").await;
    let started = engine.start_run(&job, by_hand()).await.unwrap();
    let outcome = tokio::time::timeout(PATIENCE, started.finished())
        .await
        .unwrap()
        .unwrap();
    let run = outcome.execution;
    assert_eq!(run.status, RunState::Timeout);
    assert_eq!(run.error_code.as_deref(), Some("timeout"));
    let said = run.error_message.unwrap();
    assert!(said.contains("`timeout` of 1 s"), "{said}");
    // The wall clock stood still all the while; the duration did not.
    assert_eq!((run.start_time, run.end_time), (noon(), Some(noon())));
    assert!(run.duration_seconds.unwrap() >= 1.0);
}

#[tokio::test]
async fn a_shutdown_interrupts_what_outlasts_its_grace_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = TestStore::new(folder.path());
    let engine = engine(store.clone(), folder.path()).await;
    let job = create(&engine, ENDLESS, "").await;
    let started = engine.start_run(&job, by_hand()).await.unwrap();
    let id = started.execution_id;
    let drained = tokio::time::timeout(PATIENCE, engine.drain(Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(drained.interrupted, 1);
    let run = store.execution(id).await.unwrap().unwrap();
    assert_eq!(run.status, RunState::Interrupted);
    let refused = engine.start_run(&job, by_hand()).await.err().unwrap();
    assert!(matches!(refused, StartError::ShuttingDown), "{refused}");
}

#[tokio::test]
async fn what_an_earlier_process_left_running_is_closed_as_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let store = TestStore::new(folder.path());
    let first = engine(store.clone(), folder.path()).await;
    let job = create(&first, ENDLESS, "concurrency: {policy: allow}\n").await;
    let started = first.start_run(&job, by_hand()).await.unwrap();
    // A second engine on the same store, as after a crash of the first.
    let second = engine(store.clone(), folder.path()).await;
    let run = store
        .execution(started.execution_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(run.status, RunState::Interrupted);
    assert!(run.error_message.unwrap().contains("the server ended"));
    assert!(store.open_executions().await.unwrap().is_empty());
    let job = second.job(&job).await.unwrap().unwrap();
    assert_eq!(job.statistics.failed_executions, 1);

    // The end that the first one comes to is one too many, and is not counted.
    first.drain(Duration::ZERO).await;
    let run = store.execution(started.execution_id).await.unwrap();
    let said = run.unwrap().error_message.unwrap();
    assert!(said.contains("the server ended"), "{said}");
    let job = second.job(&JobRef::parse("job")).await.unwrap().unwrap();
    assert_eq!(job.statistics.failed_executions, 1);
}
