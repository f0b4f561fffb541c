//! Nothing acts before its record is durable.

use std::sync::atomic::Ordering;

use jobcell_engine::StartError;
use jobcell_model::RunState;
use jobcell_store::{StorageError, Store};

use crate::support::{PATIENCE, by_hand, create, engine};
use crate::test_store::TestStore;

#[tokio::test]
async fn a_run_whose_start_can_not_be_recorded_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = TestStore::new(folder.path());
    let engine = engine(store.clone(), folder.path()).await;
    let query = "CREATE TABLE IF NOT EXISTS t (x);\nINSERT INTO t VALUES (1);\nSELECT count(*) AS n FROM t;";
    let job = create(&engine, query, "").await;

    store.full.store(true, Ordering::SeqCst);
    let refused = engine.start_run(&job, by_hand()).await.err().unwrap();
    assert!(
        matches!(refused, StartError::Storage(StorageError::Full)),
        "{refused}"
    );
    assert!(store.open_executions().await.unwrap().is_empty());

    // What the refused run had done would be counted by this one.
    store.full.store(false, Ordering::SeqCst);
    let started = engine.start_run(&job, by_hand()).await.unwrap();
    let outcome = tokio::time::timeout(PATIENCE, started.finished())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(outcome.execution.status, RunState::Success);
    assert!(
        outcome.output.text().contains("| 1 |"),
        "{}",
        outcome.output.text()
    );
}

#[tokio::test]
async fn an_end_that_can_not_be_recorded_is_recorded_later_and_blocks_nobody_after() {
    let folder = tempfile::tempdir().unwrap();
    let store = TestStore::new(folder.path());
    let engine = engine(store.clone(), folder.path()).await;
    let job = create(&engine, "SELECT 1", "").await;
    store.failing_ends.store(4, Ordering::SeqCst);
    let started = engine.start_run(&job, by_hand()).await.unwrap();
    let outcome = tokio::time::timeout(PATIENCE, started.finished())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(outcome.execution.status, RunState::Success);
    assert!(store.open_executions().await.unwrap().is_empty());
    let next = engine.start_run(&job, by_hand()).await.unwrap();
    next.finished().await.unwrap();
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_storage_that_fails_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let store = TestStore::new(folder.path());
    let engine = engine(store.clone(), folder.path()).await;
    let job = create(&engine, "SELECT 1", "").await;
    store.failing_ends.store(u32::MAX, Ordering::SeqCst);
    let started = engine.start_run(&job, by_hand()).await.unwrap();
    let drained = engine.drain(std::time::Duration::ZERO);
    tokio::time::timeout(PATIENCE, drained).await.unwrap();
    let lost = started.finished().await.unwrap_err();
    assert!(lost.reason.contains("until the server ended"), "{lost}");
}
