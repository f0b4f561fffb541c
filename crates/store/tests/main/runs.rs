//! Admitting and finishing runs, and what is counted of them.

use jobcell_model::{Execution, ExecutionId, JobRecord, JobRef, JobStatistics, RunState};
use jobcell_store::{AdmitError, FinishError, JobTriggers, RedbStore, RunAdmission, Store};

use crate::support::{admission, at, finish, job, run_of};

async fn store_with(job: &JobRecord) -> RedbStore {
    let store = RedbStore::in_memory().unwrap();
    store
        .create_job(job.clone(), JobTriggers::default())
        .await
        .unwrap();
    store
}

async fn figures(store: &RedbStore, job: &JobRecord) -> JobStatistics {
    let stored = store.job(&JobRef::Id(job.job_id)).await.unwrap();
    stored.unwrap().statistics
}

#[tokio::test]
async fn as_many_runs_start_as_the_limit_says_and_the_oldest_is_named() {
    // A limit of 0 is no way to disable a job.
    for (limit, allowed) in [(0, 1), (1, 1), (2, 2), (3, 3)] {
        let backup = job("backup");
        let store = store_with(&backup).await;
        let other = job("other");
        store
            .create_job(other.clone(), JobTriggers::default())
            .await
            .unwrap();
        let other_run = admission(&run_of(&other), 1);
        store.admit_run(other_run).await.unwrap();
        let runs: Vec<Execution> = (0..allowed).map(|_| run_of(&backup)).collect();
        for run in &runs {
            store.admit_run(admission(run, limit)).await.unwrap();
        }
        let refused = run_of(&backup);
        let reply = store.admit_run(admission(&refused, limit)).await;
        assert!(
            matches!(reply, Err(AdmitError::Busy { execution_id })
                if execution_id == runs[0].execution_id),
            "limit {limit}: {reply:?}"
        );
        let row = store.execution(refused.execution_id).await.unwrap();
        assert_eq!(row, None, "limit {limit}");

        let end = finish(&runs[0], RunState::Success, b"");
        store.finish_run(end).await.unwrap();
        store.admit_run(admission(&refused, limit)).await.unwrap();
        assert_eq!(store.verify().unwrap(), [""; 0]);
    }
}

#[tokio::test]
async fn without_a_limit_any_number_goes_on() {
    let backup = job("backup");
    let store = store_with(&backup).await;
    for _ in 0..20 {
        let execution = run_of(&backup);
        let run = RunAdmission {
            execution,
            limit: None,
        };
        store.admit_run(run).await.unwrap();
    }
    assert_eq!(store.open_executions().await.unwrap().len(), 20);
}

#[tokio::test]
async fn a_run_of_a_changed_or_missing_job_does_not_start() {
    let backup = job("backup");
    let store = store_with(&backup).await;
    let run = run_of(&backup);
    let changed = JobRecord {
        revision: 2,
        ..backup.clone()
    };
    store
        .replace_job(changed, 1, JobTriggers::default())
        .await
        .unwrap();
    let reply = store.admit_run(admission(&run, 1)).await;
    assert!(
        matches!(reply, Err(AdmitError::Changed { revision: 2 })),
        "{reply:?}"
    );
    store.delete_job(backup.job_id).await.unwrap();
    let reply = store.admit_run(admission(&run, 1)).await;
    assert!(
        matches!(reply, Err(AdmitError::NotFound { job_id }) if job_id == backup.job_id),
        "{reply:?}"
    );
    assert_eq!(store.execution(run.execution_id).await.unwrap(), None);
    assert_eq!(store.open_executions().await.unwrap(), []);
}

#[tokio::test]
async fn an_end_records_row_output_figures_and_closes_the_run_in_one_commit() {
    let backup = job("backup");
    let store = store_with(&backup).await;
    let run = run_of(&backup);
    store.admit_run(admission(&run, 1)).await.unwrap();
    assert_eq!(store.output(run.execution_id).await.unwrap(), None);
    let before = store.commit_metrics();

    let end = finish(&run, RunState::Success, b"done");
    store.finish_run(end.clone()).await.unwrap();
    let after = store.commit_metrics();
    assert_eq!(after.commits, before.commits + 1);
    assert_eq!(after.writes, before.writes + 1);
    let row = store.execution(run.execution_id).await.unwrap();
    assert_eq!(row, Some(end.execution));
    let output = store.output(run.execution_id).await.unwrap();
    assert_eq!(output, Some(end.output));
    assert_eq!(store.open_executions().await.unwrap(), []);
    assert_eq!(figures(&store, &backup).await.total_executions, 1);
}

#[tokio::test]
async fn figures_add_up_over_every_kind_of_end() {
    let ends = [
        (RunState::Success, (1, 1, 0)),
        (RunState::Failed, (2, 1, 1)),
        (RunState::Timeout, (3, 1, 2)),
        (RunState::Cancelled, (4, 1, 3)),
        (RunState::Interrupted, (5, 1, 4)),
        (RunState::Success, (6, 2, 4)),
    ];
    let backup = job("backup");
    let store = store_with(&backup).await;
    for (number, (state, counted)) in (0..).zip(ends) {
        let mut run = run_of(&backup);
        run.start_time = at(100 + number);
        store.admit_run(admission(&run, 1)).await.unwrap();
        let mut end = finish(&run, state, b"");
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let seconds = number as f64;
        end.execution.duration_seconds = Some(seconds);
        store.finish_run(end).await.unwrap();
        let got = figures(&store, &backup).await;
        let counts = (
            got.total_executions,
            got.successful_executions,
            got.failed_executions,
        );
        assert_eq!(counts, counted, "after {state:?}");
        assert_eq!(got.last_execution_id, Some(run.execution_id));
        assert_eq!(got.last_execution_status, Some(state));
        assert_eq!(got.last_execution_time, Some(run.start_time));
    }
    let got = figures(&store, &backup).await;
    assert!((got.total_duration_seconds - 15.0).abs() < 1e-9);
    assert!((got.average_duration_seconds() - 2.5).abs() < 1e-9);
    assert_eq!(store.verify().unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_skipped_run_counts_for_nothing() {
    let backup = job("backup");
    let store = store_with(&backup).await;
    let run = run_of(&backup);
    store.admit_run(admission(&run, 1)).await.unwrap();
    let end = finish(&run, RunState::Skipped, b"");
    store.finish_run(end).await.unwrap();
    assert_eq!(figures(&store, &backup).await, JobStatistics::default());
    assert_eq!(store.verify().unwrap(), [""; 0]);
}

#[tokio::test]
async fn another_end_of_an_ended_run_is_refused() {
    let backup = job("backup");
    let store = store_with(&backup).await;
    let run = run_of(&backup);
    store.admit_run(admission(&run, 1)).await.unwrap();
    let end = finish(&run, RunState::Success, b"first");
    store.finish_run(end.clone()).await.unwrap();
    let second = finish(&run, RunState::Interrupted, b"second");
    let reply = store.finish_run(second).await;
    assert!(
        matches!(reply, Err(FinishError::NotOpen { execution_id })
            if execution_id == run.execution_id),
        "{reply:?}"
    );
    let row = store.execution(run.execution_id).await.unwrap();
    assert_eq!(row, Some(end.execution));
    let output = store.output(run.execution_id).await.unwrap();
    assert_eq!(output, Some(end.output));
    assert_eq!(figures(&store, &backup).await.total_executions, 1);
}

/// Whoever got a failure for an end may have had it recorded all the same, and
/// gives it again.
#[tokio::test]
async fn the_same_end_given_again_is_the_one_recorded() {
    let backup = job("backup");
    let store = store_with(&backup).await;
    let run = run_of(&backup);
    store.admit_run(admission(&run, 1)).await.unwrap();
    let end = finish(&run, RunState::Success, b"once");
    for _ in 0..3 {
        store.finish_run(end.clone()).await.unwrap();
    }
    assert_eq!(figures(&store, &backup).await.total_executions, 1);
    assert_eq!(store.verify().unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_run_that_was_never_admitted_does_not_end() {
    let backup = job("backup");
    let store = store_with(&backup).await;
    let run = run_of(&backup);
    let reply = store
        .finish_run(finish(&run, RunState::Success, b"x"))
        .await;
    assert!(
        matches!(reply, Err(FinishError::NotOpen { .. })),
        "{reply:?}"
    );
    assert_eq!(store.execution(run.execution_id).await.unwrap(), None);
    assert_eq!(store.output(run.execution_id).await.unwrap(), None);
    assert_eq!(figures(&store, &backup).await, JobStatistics::default());
}

#[tokio::test]
async fn runs_that_go_on_are_listed_oldest_first_over_all_jobs() {
    let (first, second) = (job("first"), job("second"));
    let store = store_with(&first).await;
    store
        .create_job(second.clone(), JobTriggers::default())
        .await
        .unwrap();
    let runs = [
        run_of(&second),
        run_of(&first),
        run_of(&second),
        run_of(&first),
    ];
    for run in &runs {
        store.admit_run(admission(run, 9)).await.unwrap();
    }
    assert_eq!(store.open_executions().await.unwrap(), runs);
    let end = finish(&runs[1], RunState::Success, b"");
    store.finish_run(end).await.unwrap();
    let open = store.open_executions().await.unwrap();
    let left = [0, 2, 3].map(|index| runs[index].clone());
    assert_eq!(open, left);
    let nothing = store.execution(ExecutionId::generate()).await.unwrap();
    assert_eq!(nothing, None);
}

#[tokio::test]
async fn what_leads_to_a_process_is_added_to_a_run_that_goes_on_and_to_no_other() {
    let backup = job("backup");
    let store = store_with(&backup).await;
    let run = run_of(&backup);
    let id = run.execution_id;
    let add = async |trace: &str| store.add_trace(id, trace.to_owned()).await;
    let early = add("process:1").await;
    assert!(
        matches!(early, Err(FinishError::NotOpen { .. })),
        "{early:?}"
    );
    store.admit_run(admission(&run, 1)).await.unwrap();
    for trace in ["process:1", "process:2", "process:1"] {
        add(trace).await.unwrap();
    }
    let open = store.open_executions().await.unwrap();
    assert_eq!(open[0].processes.traces, ["process:1", "process:2"]);
    let end = finish(&run, RunState::Success, b"");
    store.finish_run(end).await.unwrap();
    let late = add("process:3").await;
    assert!(matches!(late, Err(FinishError::NotOpen { .. })), "{late:?}");
    let row = store.execution(id).await.unwrap().unwrap();
    assert_eq!(row.processes.traces, [""; 0]);
    assert_eq!(store.verify().unwrap(), [""; 0]);
}
