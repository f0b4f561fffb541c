//! Taking over jobs and runs of another system: all or nothing, once.

use jobcell_model::{
    ConnectionKind, ConnectionRecord, ConnectionSettings, JobId, JobRecord, JobRef, JobStatistics,
    RunState,
};
use jobcell_store::{
    CreateJobError, Fed, Import, ImportError, Imported, ImportedJob, ImportedRun, JobTriggers,
    PlannedFiring, RedbStore, Store,
};
use tokio::sync::mpsc;

use crate::support::{admission, at, finish, job, run_of};

fn ended(job: &JobRecord, status: RunState, second: i64) -> ImportedRun {
    let mut run = run_of(job);
    run.start_time = at(second);
    let finish = finish(&run, status, b"wrote");
    ImportedRun {
        execution: finish.execution,
        output: finish.output,
    }
}

/// Takes over these, and says that it was all, or goes away without.
async fn import(
    store: &RedbStore,
    jobs: &[&JobRecord],
    runs: &[&ImportedRun],
    end: bool,
) -> Result<Imported, ImportError> {
    let (to, fed) = mpsc::channel(1);
    let jobs = jobs.iter().map(|job| ImportedJob {
        job: (*job).clone(),
        triggers: JobTriggers::default(),
    });
    let jobs = jobs.collect();
    let feed = async move {
        for run in runs {
            let run = Fed::Run(Box::new((*run).clone()));
            if to.send(run).await.is_err() {
                return;
            }
        }
        if end {
            drop(to.send(Fed::End).await);
        }
    };
    let (imported, ()) = tokio::join!(
        store.import(Import {
            connections: Vec::new(),
            jobs,
            runs: fed,
        }),
        feed
    );
    imported
}

async fn figures(store: &RedbStore, job: &JobRecord) -> JobStatistics {
    let stored = store.job(&JobRef::Id(job.job_id)).await.unwrap();
    stored.unwrap().statistics
}

async fn is_empty(store: &RedbStore) -> bool {
    let (jobs, _) = store.job_counts().await.unwrap();
    jobs == 0 && store.verify().unwrap().is_empty()
}

#[tokio::test]
async fn figures_follow_from_the_runs_in_whatever_order_they_come() {
    let store = RedbStore::in_memory().unwrap();
    let (one, other) = (job("one"), job("other"));
    let good = ended(&one, RunState::Success, 20);
    let bad = ended(&one, RunState::Failed, 10);
    let skipped = ended(&one, RunState::Skipped, 30);
    let runs = [&good, &bad, &skipped];
    let imported = import(&store, &[&one, &other], &runs, true).await.unwrap();
    assert_eq!(imported.jobs, [one.job_id, other.job_id]);
    assert_eq!((imported.runs, imported.runs_present), (3, 0));
    let figures = figures(&store, &one).await;
    assert_eq!(figures.total_executions, 2);
    assert_eq!(
        (figures.successful_executions, figures.failed_executions),
        (1, 1)
    );
    assert_eq!(figures.average_duration_seconds(), 2.5);
    assert_eq!(figures.last_execution_id, Some(good.execution.execution_id));
    assert_eq!(figures.last_execution_status, Some(RunState::Success));
    let id = bad.execution.execution_id;
    assert_eq!(store.execution(id).await.unwrap(), Some(bad.execution));
    assert_eq!(store.output(id).await.unwrap(), Some(bad.output));
    assert_eq!(store.verify().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn the_same_again_writes_nothing_and_more_runs_are_added() {
    let store = RedbStore::in_memory().unwrap();
    let one = job("one");
    let first = ended(&one, RunState::Success, 10);
    import(&store, &[&one], &[&first], true).await.unwrap();
    let commits = store.commit_metrics().commits;
    let again = import(&store, &[&one], &[&first], true).await.unwrap();
    assert_eq!(again.jobs, Vec::<JobId>::new());
    assert_eq!((again.runs, again.runs_present), (0, 1));
    assert_eq!(store.commit_metrics().commits, commits);
    let second = ended(&one, RunState::Failed, 5);
    let more = import(&store, &[&one], &[&first, &second], true)
        .await
        .unwrap();
    assert_eq!((more.runs, more.runs_present), (1, 1));
    let figures = figures(&store, &one).await;
    assert_eq!(figures.total_executions, 2);
    assert_eq!(
        figures.last_execution_id,
        Some(first.execution.execution_id)
    );
    assert_eq!(store.verify().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn runs_that_break_off_undo_everything() {
    let store = RedbStore::in_memory().unwrap();
    let one = job("one");
    let run = ended(&one, RunState::Success, 10);
    let failed = import(&store, &[&one], &[&run], false).await;
    assert!(matches!(failed, Err(ImportError::Unfinished)), "{failed:?}");
    assert_eq!(
        store.execution(run.execution.execution_id).await.unwrap(),
        None
    );
    assert!(is_empty(&store).await);
    import(&store, &[&one], &[&run], true).await.unwrap();
}

#[tokio::test]
async fn a_run_that_goes_on_or_a_key_that_is_taken_undoes_everything() {
    let store = RedbStore::in_memory().unwrap();
    let (one, rival) = (job("one"), job("one"));
    let mut open = ended(&one, RunState::Success, 10);
    open.execution.status = RunState::Running;
    let failed = import(&store, &[&one], &[&open], true).await;
    assert!(
        matches!(failed, Err(ImportError::NotEnded { .. })),
        "{failed:?}"
    );
    let failed = import(&store, &[&one, &rival], &[], true).await;
    let taken = matches!(
        failed,
        Err(ImportError::Job(CreateJobError::KeyTaken { .. }))
    );
    assert!(taken, "{failed:?}");
    assert!(is_empty(&store).await);
}

#[tokio::test]
async fn a_write_beside_a_failed_import_is_carried_out() {
    let store = RedbStore::in_memory().unwrap();
    let (one, beside) = (job("one"), job("beside"));
    let create = store.create_job(beside.clone(), JobTriggers::default());
    let jobs = [&one];
    let broken = import(&store, &jobs, &[], false);
    let (failed, created) = tokio::join!(broken, create);
    assert!(matches!(failed, Err(ImportError::Unfinished)), "{failed:?}");
    created.unwrap();
    assert_eq!(store.job_counts().await.unwrap(), (1, 1));
    assert_eq!(store.verify().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_job_that_comes_back_has_the_runs_that_it_left() {
    let store = RedbStore::in_memory().unwrap();
    let one = job("one");
    store
        .create_job(one.clone(), JobTriggers::default())
        .await
        .unwrap();
    let run = run_of(&one);
    store.admit_run(admission(&run, 1)).await.unwrap();
    store
        .finish_run(finish(&run, RunState::Success, b""))
        .await
        .unwrap();
    let before = figures(&store, &one).await;
    store.delete_job(one.job_id).await.unwrap();
    import(&store, &[&one], &[], true).await.unwrap();
    assert_eq!(figures(&store, &one).await, before);
    assert_eq!(store.verify().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_taken_over_fires_when_it_is_to() {
    let store = RedbStore::in_memory().unwrap();
    let one = job("one");
    let planned = PlannedFiring {
        nominal: at(60),
        due: at(60),
    };
    let (to, runs) = mpsc::channel(1);
    to.send(Fed::End).await.unwrap();
    let triggers = JobTriggers {
        next: Some(planned),
        after: None,
    };
    let jobs = vec![ImportedJob {
        job: one.clone(),
        triggers,
    }];
    let connection = ConnectionRecord {
        name: "erp".to_owned(),
        settings: ConnectionSettings::new(ConnectionKind::Sqlserver),
        secret: None,
        created: at(0),
        modified: at(0),
        created_by: "v1".to_owned(),
        revision: 1,
    };
    let import = |jobs, runs| Import {
        connections: vec![connection.clone()],
        jobs,
        runs,
    };
    let imported = store.import(import(jobs, runs)).await.unwrap();
    assert_eq!(imported.connections, ["erp"]);
    let (to, runs) = mpsc::channel(1);
    to.send(Fed::End).await.unwrap();
    let again = store.import(import(Vec::new(), runs)).await.unwrap();
    assert_eq!(again, Imported::default());
    let stored = store.connection("erp").await.unwrap();
    assert_eq!(stored.as_ref(), Some(&connection));
    let due = store.due_firings(at(61), 10).await.unwrap();
    assert_eq!(due.first().map(|due| due.job_id), Some(one.job_id));
    assert_eq!(store.verify().unwrap(), Vec::<String>::new());
}
