//! Writes that arrive during a commit share the next one.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use super::disk::Disk;
use super::support::{admission, job, run_of};
use crate::JobTriggers;
use crate::{AdmitError, RedbStore, Store, StoreOptions};

type Writing<'a> = Pin<Box<dyn Future<Output = Result<(), AdmitError>> + Send + 'a>>;

/// Gives a write to the writer without waiting for its answer.
fn begin<'a>(writing: impl Future<Output = Result<(), AdmitError>> + Send + 'a) -> Writing<'a> {
    let mut writing: Writing<'a> = Box::pin(writing);
    let answered = writing
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready();
    assert!(!answered, "answered before its commit");
    writing
}

#[tokio::test]
async fn writes_that_arrive_during_a_commit_share_the_next() {
    let disk = Disk::new();
    let store = disk.open(&StoreOptions::default());
    let backup = job("backup");
    store
        .create_job(backup.clone(), JobTriggers::default())
        .await
        .unwrap();
    let before = store.commit_metrics();

    disk.hold();
    let run = || admission(&run_of(&backup), 100);
    let mut writings = vec![begin(store.admit_run(run()))];
    disk.wait_until_held();
    writings.extend((0..63).map(|_| begin(store.admit_run(run()))));
    disk.release();
    for writing in writings {
        writing.await.unwrap();
    }
    let after = store.commit_metrics();
    assert_eq!(after.commits - before.commits, 2);
    assert_eq!(after.writes - before.writes, 64);
    assert_eq!(after.largest, 63);
    assert_eq!(store.open_executions().await.unwrap().len(), 64);
    assert_eq!(store.verify().unwrap(), [""; 0]);
}

#[tokio::test]
async fn one_that_is_refused_costs_the_others_nothing() {
    let disk = Disk::new();
    let store = disk.open(&StoreOptions::default());
    let backup = job("backup");
    store
        .create_job(backup.clone(), JobTriggers::default())
        .await
        .unwrap();
    let runs: Vec<_> = (0..5).map(|_| run_of(&backup)).collect();

    disk.hold();
    let first = begin(store.admit_run(admission(&runs[0], 3)));
    disk.wait_until_held();
    let others: Vec<_> = runs[1..]
        .iter()
        .map(|run| begin(store.admit_run(admission(run, 3))))
        .collect();
    disk.release();
    first.await.unwrap();
    let mut replies = Vec::new();
    for other in others {
        replies.push(other.await.is_ok());
    }
    assert_eq!(replies, [true, true, false, false]);
    assert_eq!(store.open_executions().await.unwrap(), runs[..3]);
    assert_eq!(store.verify().unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_writer_that_went_away_changes_nothing_for_the_store() {
    let disk = Disk::new();
    let store = disk.open(&StoreOptions::default());
    let backup = job("backup");
    store
        .create_job(backup.clone(), JobTriggers::default())
        .await
        .unwrap();
    let (first, second) = (run_of(&backup), run_of(&backup));
    disk.hold();
    let waiting = begin(store.admit_run(admission(&first, 2)));
    disk.wait_until_held();
    let impatient = begin(store.admit_run(admission(&second, 2)));
    drop(impatient);
    disk.release();
    waiting.await.unwrap();
    // Its write was given to the writer, so it stands.
    store.close().await;
    let store = disk.open(&StoreOptions::default());
    assert_eq!(store.open_executions().await.unwrap(), [first, second]);
}

#[tokio::test]
async fn closing_waits_for_the_writes_that_were_given() {
    let disk = Disk::new();
    let store = disk.open(&StoreOptions::default());
    let backup = job("backup");
    store
        .create_job(backup.clone(), JobTriggers::default())
        .await
        .unwrap();
    disk.hold();
    let runs: Vec<_> = (0..3).map(|_| run_of(&backup)).collect();
    let writings: Vec<_> = runs
        .iter()
        .map(|run| begin(store.admit_run(admission(run, 9))))
        .collect();
    disk.wait_until_held();
    tokio::join!(store.close(), async { disk.release() });
    for writing in writings {
        writing.await.unwrap();
    }
    reopened_has(&disk.open(&StoreOptions::default()), runs.len()).await;
}

async fn reopened_has(store: &RedbStore, count: usize) {
    assert_eq!(store.open_executions().await.unwrap().len(), count);
    assert_eq!(store.verify().unwrap(), [""; 0]);
}
