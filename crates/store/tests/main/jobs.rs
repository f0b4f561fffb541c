//! Creating, replacing, deleting and finding jobs.

use jobcell_model::{JobId, JobRecord, JobRef, RunState};
use jobcell_store::{CreateJobError, JobTriggers, RedbStore, ReplaceJobError, Store};

use crate::support::{admission, finish, job, run_of};

async fn found(store: &RedbStore, reference: &str) -> Option<JobRecord> {
    let job = store.job(&JobRef::parse(reference)).await.unwrap();
    job.map(|job| job.record)
}

fn edited(before: &JobRecord, key: &str, enabled: bool) -> JobRecord {
    JobRecord {
        key: key.to_owned(),
        revision: before.revision + 1,
        enabled,
        ..before.clone()
    }
}

#[tokio::test]
async fn a_job_is_found_by_its_uuid_and_by_its_key_with_every_field() {
    let store = RedbStore::in_memory().unwrap();
    let backup = job("backup");
    store
        .create_job(backup.clone(), JobTriggers::default())
        .await
        .unwrap();
    store
        .create_job(job("other"), JobTriggers::default())
        .await
        .unwrap();
    assert_eq!(found(&store, "backup").await, Some(backup.clone()));
    let id = backup.job_id.to_string();
    assert_eq!(found(&store, &id).await, Some(backup.clone()));
    assert_eq!(found(&store, &id.to_uppercase()).await, Some(backup));
    assert_eq!(found(&store, "missing").await, None);
    assert_eq!(found(&store, &JobId::generate().to_string()).await, None);
}

#[tokio::test]
async fn a_uuid_names_the_job_with_that_id_before_one_with_that_key() {
    let store = RedbStore::in_memory().unwrap();
    let first = job("first");
    let impostor = job(&first.job_id.to_string());
    let lone = job(&JobId::generate().to_string());
    for job in [&first, &impostor, &lone] {
        store
            .create_job(job.clone(), JobTriggers::default())
            .await
            .unwrap();
    }
    assert_eq!(found(&store, &impostor.key).await, Some(first));
    assert_eq!(found(&store, &lone.key.clone()).await, Some(lone));
}

#[tokio::test]
async fn a_new_job_has_no_figures() {
    let store = RedbStore::in_memory().unwrap();
    let backup = job("backup");
    store
        .create_job(backup.clone(), JobTriggers::default())
        .await
        .unwrap();
    let stored = store.job(&JobRef::Id(backup.job_id)).await.unwrap();
    assert_eq!(stored.unwrap().statistics, Default::default());
}

#[tokio::test]
async fn a_key_belongs_to_one_job() {
    let store = RedbStore::in_memory().unwrap();
    let (first, second) = (job("backup"), job("cleanup"));
    store
        .create_job(first.clone(), JobTriggers::default())
        .await
        .unwrap();
    store
        .create_job(second.clone(), JobTriggers::default())
        .await
        .unwrap();

    let refused = store
        .create_job(job("backup"), JobTriggers::default())
        .await;
    assert!(
        matches!(&refused, Err(CreateJobError::KeyTaken { key, job_id })
            if key == "backup" && *job_id == first.job_id),
        "{refused:?}"
    );
    let renamed = edited(&second, "backup", true);
    let refused = store.replace_job(renamed, 1, JobTriggers::default()).await;
    assert!(
        matches!(&refused, Err(ReplaceJobError::KeyTaken { key, job_id })
            if key == "backup" && *job_id == first.job_id),
        "{refused:?}"
    );
    assert_eq!(found(&store, "cleanup").await, Some(second));
    assert_eq!(store.job_counts().await.unwrap(), (2, 2));
    assert_eq!(store.verify().unwrap(), [""; 0]);
}

#[tokio::test]
async fn an_id_in_use_is_not_given_another_key() {
    let store = RedbStore::in_memory().unwrap();
    let first = job("backup");
    store
        .create_job(first.clone(), JobTriggers::default())
        .await
        .unwrap();
    let refused = store
        .create_job(edited(&first, "other", true), JobTriggers::default())
        .await;
    assert!(
        matches!(&refused, Err(CreateJobError::KeyTaken { key, .. }) if key == "backup"),
        "{refused:?}"
    );
    assert_eq!(store.verify().unwrap(), [""; 0]);
}

#[tokio::test]
async fn replacing_needs_the_revision_that_was_read() {
    let store = RedbStore::in_memory().unwrap();
    let first = job("backup");
    store
        .create_job(first.clone(), JobTriggers::default())
        .await
        .unwrap();
    let second = edited(&first, "backup", false);
    store
        .replace_job(second.clone(), 1, JobTriggers::default())
        .await
        .unwrap();

    let late = store
        .replace_job(edited(&first, "late", true), 1, JobTriggers::default())
        .await;
    assert!(
        matches!(late, Err(ReplaceJobError::Changed { revision: 2 })),
        "{late:?}"
    );
    assert_eq!(found(&store, "backup").await, Some(second));
    let stranger = job("stranger");
    let missing = store
        .replace_job(stranger.clone(), 1, JobTriggers::default())
        .await;
    assert!(
        matches!(missing, Err(ReplaceJobError::NotFound { job_id }) if job_id == stranger.job_id),
        "{missing:?}"
    );
}

#[tokio::test]
async fn a_replaced_key_is_free_again_and_the_figures_stay() {
    let store = RedbStore::in_memory().unwrap();
    let first = job("old");
    store
        .create_job(first.clone(), JobTriggers::default())
        .await
        .unwrap();
    let run = run_of(&first);
    store.admit_run(admission(&run, 1)).await.unwrap();
    let end = finish(&run, RunState::Success, b"");
    store.finish_run(end).await.unwrap();

    let renamed = edited(&first, "new", true);
    store
        .replace_job(renamed, 1, JobTriggers::default())
        .await
        .unwrap();
    assert_eq!(found(&store, "old").await, None);
    store
        .create_job(job("old"), JobTriggers::default())
        .await
        .unwrap();
    let stored = store.job(&JobRef::parse("new")).await.unwrap().unwrap();
    assert_eq!(stored.statistics.total_executions, 1);
    assert_eq!(store.verify().unwrap(), [""; 0]);
}

#[tokio::test]
async fn counts_follow_enabling_disabling_and_deleting() {
    let store = RedbStore::in_memory().unwrap();
    assert_eq!(store.job_counts().await.unwrap(), (0, 0));
    let (first, second) = (job("first"), job("second"));
    store
        .create_job(first.clone(), JobTriggers::default())
        .await
        .unwrap();
    store
        .create_job(second.clone(), JobTriggers::default())
        .await
        .unwrap();
    assert_eq!(store.job_counts().await.unwrap(), (2, 2));
    let disabled = edited(&first, "first", false);
    store
        .replace_job(disabled.clone(), 1, JobTriggers::default())
        .await
        .unwrap();
    assert_eq!(store.job_counts().await.unwrap(), (2, 1));
    let enabled = edited(&disabled, "first", true);
    store
        .replace_job(enabled, 2, JobTriggers::default())
        .await
        .unwrap();
    assert_eq!(store.job_counts().await.unwrap(), (2, 2));
    assert!(store.delete_job(second.job_id).await.unwrap());
    assert_eq!(store.job_counts().await.unwrap(), (1, 1));
    assert!(!store.delete_job(second.job_id).await.unwrap());
    assert_eq!(store.verify().unwrap(), [""; 0]);
}

#[tokio::test]
async fn history_and_open_runs_survive_the_job() {
    let store = RedbStore::in_memory().unwrap();
    let backup = job("backup");
    store
        .create_job(backup.clone(), JobTriggers::default())
        .await
        .unwrap();
    let (first, second) = (run_of(&backup), run_of(&backup));
    store.admit_run(admission(&first, 2)).await.unwrap();
    store.admit_run(admission(&second, 2)).await.unwrap();
    let first_end = finish(&first, RunState::Success, b"kept");
    store.finish_run(first_end.clone()).await.unwrap();

    assert!(store.delete_job(backup.job_id).await.unwrap());
    assert_eq!(found(&store, "backup").await, None);
    let open = store.open_executions().await.unwrap();
    assert_eq!(open, std::slice::from_ref(&second));
    let second_end = finish(&second, RunState::Failed, b"");
    store.finish_run(second_end.clone()).await.unwrap();

    let history = store.history(backup.job_id, None, 10).await.unwrap();
    assert_eq!(
        history.items,
        [second_end.execution, first_end.execution.clone()]
    );
    let output = store.output(first.execution_id).await.unwrap();
    assert_eq!(output, Some(first_end.output));
    store
        .create_job(job("backup"), JobTriggers::default())
        .await
        .unwrap();
    assert_eq!(store.verify().unwrap(), [""; 0]);
}
