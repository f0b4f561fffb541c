//! A store file of format 1, as version 0.1.0 wrote it, opens with every field
//! as it was. `UPDATE_FIXTURES=1` writes the file anew, which only a format
//! that was never released may need.

use std::fs;
use std::path::{Path, PathBuf};

use jobcell_model::{
    Durations, Execution, ExecutionId, JobId, JobRecord, JobRef, JobStatistics, OutputChunk,
    OutputStream, OutputSummary, RunOutput, RunState, StepResult, StepStatus, StoredJob, Trigger,
};
use jobcell_store::{Finish, JobTriggers, RedbStore, Store, StoreOptions};
use redb::Database;
use serde_json::json;

use crate::support::{admission, at, finish, job, run_of};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1.redb.zst")
}

fn job_id(number: u8) -> JobId {
    JobId::from_bytes([number; 16])
}

fn run_id(number: u8) -> ExecutionId {
    ExecutionId::from_bytes([number; 16])
}

/// All that is in the fixture.
struct Content {
    jobs: [JobRecord; 2],
    /// A run with each field filled, one with none, and one of a deleted job.
    ended: [Finish; 3],
    open: Execution,
}

fn content() -> Content {
    let full = JobRecord {
        job_id: job_id(1),
        revision: 3,
        ..job("backup")
    };
    let plain = JobRecord {
        job_id: job_id(2),
        description: String::new(),
        enabled: false,
        ..job("disabled")
    };
    let deleted = JobRecord {
        job_id: job_id(3),
        ..job("deleted")
    };
    let numbered = |job: &JobRecord, number| Execution {
        execution_id: run_id(number),
        ..run_of(job)
    };
    let mut empty = finish(&numbered(&full, 12), RunState::Skipped, b"");
    empty.output = RunOutput::default();
    let gone = finish(&numbered(&deleted, 13), RunState::Timeout, b"\xff\x00raw");
    Content {
        open: numbered(&full, 14),
        ended: [full_finish(numbered(&full, 11)), empty, gone],
        jobs: [full, plain],
    }
}

fn full_finish(run: Execution) -> Finish {
    let step = |name: &str, status, details| StepResult {
        name: name.to_owned(),
        kind: "select".to_owned(),
        status,
        start_time: at(11),
        duration_seconds: 0.5,
        details,
    };
    let details =
        json!({ "rows": 12, "ratio": -0.5, "columns": ["a", null, true], "deep": {"x": {}} });
    let execution = Execution {
        status: RunState::Failed,
        trigger: Trigger::Retry,
        scheduled_time: Some(at(9)),
        end_time: Some(at(14)),
        duration_seconds: Some(4.25),
        error_message: Some("the table `t` does not exist".to_owned()),
        error_code: Some("sql_error".to_owned()),
        return_code: Some(-7),
        step_results: vec![
            step("first", StepStatus::Success, details),
            step("second", StepStatus::Failed, json!({})),
            step("third", StepStatus::Skipped, json!(null)),
        ],
        memory_usage_mb: Some(48.5),
        cpu_time_seconds: Some(0.75),
        retry_count: 2,
        max_retries: 5,
        is_retry: true,
        parent_execution_id: Some(run_id(9)),
        output: OutputSummary {
            stdout_bytes: 40_000,
            stderr_bytes: 3,
            dropped_bytes: 77,
        },
        ..run
    };
    let chunk = |stream, dropped_before, bytes: &[u8]| OutputChunk {
        stream,
        at_ms: 5,
        dropped_before,
        bytes: bytes.to_vec(),
    };
    let chunks = vec![
        chunk(OutputStream::Log, 0, "größer".as_bytes()),
        chunk(OutputStream::Stdout, 77, &[b'x'; 40_000]),
        chunk(OutputStream::Stderr, 0, &[0xff, 0x00, 0x80]),
    ];
    Finish {
        execution,
        artifacts: Default::default(),
        output: RunOutput { chunks },
        then: Vec::new(),
    }
}

async fn write_fixture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let content = content();
    let store = RedbStore::open(&path, StoreOptions::default()).unwrap();
    let deleted = JobRecord {
        job_id: job_id(3),
        ..job("deleted")
    };
    for job in content.jobs.iter().chain([&deleted]) {
        store
            .create_job(job.clone(), JobTriggers::default())
            .await
            .unwrap();
    }
    for end in &content.ended {
        let started = Execution {
            status: RunState::Running,
            ..end.execution.clone()
        };
        store.admit_run(admission(&started, 1)).await.unwrap();
        store.finish_run(end.clone()).await.unwrap();
    }
    store.admit_run(admission(&content.open, 1)).await.unwrap();
    store.delete_job(deleted.job_id).await.unwrap();
    store.close().await;
    let mut database = Database::open(&path).unwrap();
    database.compact().unwrap();
    drop(database);
    let packed = zstd::encode_all(&*fs::read(&path).unwrap(), 19).unwrap();
    fs::write(fixture(), packed).unwrap();
}

async fn runs_are_as_written(store: &RedbStore, content: &Content) {
    for end in &content.ended {
        let id = end.execution.execution_id;
        let row = store.execution(id).await.unwrap();
        assert_eq!(row.as_ref(), Some(&end.execution));
        let output = store.output(id).await.unwrap();
        assert_eq!(output.as_ref(), Some(&end.output));
    }
    let open = store.open_executions().await.unwrap();
    assert_eq!(open, std::slice::from_ref(&content.open));
    let [full, empty, gone] = &content.ended;
    let history = store.history(job_id(1), None, 10).await.unwrap().items;
    let expected = [&content.open, &empty.execution, &full.execution];
    assert_eq!(history.iter().collect::<Vec<_>>(), expected);
    let history = store.history(job_id(3), None, 10).await.unwrap().items;
    assert_eq!(history, std::slice::from_ref(&gone.execution));
}

#[tokio::test]
async fn a_store_of_format_1_opens_with_every_field() {
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        write_fixture().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let packed = fs::read(fixture()).unwrap();
    fs::write(&path, zstd::decode_all(&*packed).unwrap()).unwrap();
    let store = RedbStore::open(&path, StoreOptions::default()).unwrap();
    assert_eq!(store.verify().unwrap(), [""; 0]);

    let content = content();
    let figures = JobStatistics {
        last_execution_id: Some(run_id(11)),
        last_execution_status: Some(RunState::Failed),
        last_execution_time: Some(at(10)),
        total_executions: 1,
        successful_executions: 0,
        failed_executions: 1,
        total_duration_seconds: 4.25,
        // The fixture is of a version that did not count by size.
        durations: Durations::default(),
    };
    let [full, plain] = content.jobs.clone();
    let expected = [
        StoredJob {
            record: plain,
            statistics: JobStatistics::default(),
            next_scheduled_time: None,
        },
        StoredJob {
            record: full,
            statistics: figures,
            next_scheduled_time: None,
        },
    ];
    assert_eq!(store.jobs(None, 10, false).await.unwrap().items, expected);
    let enabled = store.jobs(None, 10, true).await.unwrap().items;
    assert_eq!(enabled, expected[1..]);
    let by_key = store.job(&JobRef::parse("backup")).await.unwrap();
    assert_eq!(by_key.as_ref(), Some(&expected[1]));
    let deleted = store.job(&JobRef::parse("deleted")).await.unwrap();
    assert_eq!(deleted, None);
    runs_are_as_written(&store, &content).await;
}
