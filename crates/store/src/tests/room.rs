//! Scarce room: new jobs and runs are refused, what goes on is finished.

use std::io::ErrorKind;
use std::sync::Arc;

use jobcell_model::{JobRecord, RunState};

use super::disk::{Disk, Fault};
use super::support::{admission, finish, job, run_of};
use crate::JobTriggers;
use crate::{
    AdmitError, CreateJobError, FinishError, RedbStore, StorageError, Store, StoreOptions,
};

async fn store_with(job: &JobRecord) -> (Arc<Disk>, RedbStore) {
    let disk = Disk::new();
    let store = disk.open(&StoreOptions {
        reserve_bytes: 1000,
        ..StoreOptions::default()
    });
    store
        .create_job(job.clone(), JobTriggers::default())
        .await
        .unwrap();
    (disk, store)
}

#[tokio::test]
async fn below_the_reserve_only_new_jobs_and_runs_are_refused() {
    let (kept, deleted) = (job("kept"), job("deleted"));
    let (disk, store) = store_with(&kept).await;
    store
        .create_job(deleted.clone(), JobTriggers::default())
        .await
        .unwrap();
    let (going_on, late) = (run_of(&kept), run_of(&kept));
    store.admit_run(admission(&going_on, 2)).await.unwrap();

    disk.set_free(999);
    let refused = store.admit_run(admission(&late, 2)).await;
    assert!(
        matches!(refused, Err(AdmitError::Storage(StorageError::Full))),
        "{refused:?}"
    );
    let refused = store.create_job(job("late"), JobTriggers::default()).await;
    assert!(
        matches!(refused, Err(CreateJobError::Storage(StorageError::Full))),
        "{refused:?}"
    );
    let end = finish(&going_on, RunState::Success, b"done");
    store.finish_run(end).await.unwrap();
    let disabled = JobRecord {
        enabled: false,
        revision: 2,
        ..kept.clone()
    };
    store
        .replace_job(disabled.clone(), 1, JobTriggers::default())
        .await
        .unwrap();
    assert!(store.delete_job(deleted.job_id).await.unwrap());

    disk.set_free(1000);
    store
        .admit_run(admission(&run_of(&disabled), 2))
        .await
        .unwrap();
    store
        .create_job(job("late"), JobTriggers::default())
        .await
        .unwrap();
    assert_eq!(store.execution(late.execution_id).await.unwrap(), None);
    assert_eq!(store.verify().unwrap(), [""; 0]);
}

#[tokio::test]
async fn on_a_full_disk_every_write_says_so_and_work_resumes() {
    let kept = job("kept");
    let (disk, store) = store_with(&kept).await;
    let (going_on, late) = (run_of(&kept), run_of(&kept));
    store.admit_run(admission(&going_on, 2)).await.unwrap();
    disk.fail(Fault {
        after: 0,
        reads: false,
        kind: ErrorKind::StorageFull,
        lasting: true,
    });
    let end = finish(&going_on, RunState::Success, b"done");
    for _ in 0..2 {
        let refused = store.admit_run(admission(&late, 2)).await;
        assert!(
            matches!(refused, Err(AdmitError::Storage(StorageError::Full))),
            "{refused:?}"
        );
        let refused = store.finish_run(end.clone()).await;
        assert!(
            matches!(refused, Err(FinishError::Storage(StorageError::Full))),
            "{refused:?}"
        );
    }
    disk.mend();
    assert_eq!(
        store.open_executions().await.unwrap(),
        std::slice::from_ref(&going_on)
    );
    store.finish_run(end).await.unwrap();
    store.admit_run(admission(&late, 2)).await.unwrap();
    assert_eq!(store.open_executions().await.unwrap(), [late]);
    assert_eq!(store.verify().unwrap(), [""; 0]);
}
