//! Many jobs that are due in the same second: how late they start, and whether
//! each starts once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jobcell_engine::{Engine, EngineConfig, JobTypes, NewJob, SystemClock};
use jobcell_model::{Execution, JobId, RunState};
use jobcell_store::{RedbStore, Store, StoreOptions};
use tokio::task::JoinSet;

use crate::compose;
use crate::figures::{Row, Timings};
use crate::idle::processor_time;

/// Jobs are stored side by side, so that they share commits.
const TOGETHER: usize = 256;

/// Lateness of this many SQL jobs that are due at once.
pub(crate) async fn rows(folder: &Path, jobs: usize, goal: &str) -> Vec<Row> {
    let folder = folder.join(format!("due-{jobs}"));
    std::fs::create_dir_all(&folder).unwrap();
    let host = compose::host(&folder);
    let plugins = jobcell_bundle::job_types().iter();
    let plugins = plugins.map(|bundled| host.load(bundled.name, bundled.component).unwrap());
    let store = RedbStore::open(&folder.join("jobcell.redb"), StoreOptions::default()).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let types = JobTypes::new(plugins).unwrap();
    let config = EngineConfig::new(Arc::clone(&store), Arc::new(SystemClock), types);
    let engine = Engine::start(config).await.unwrap();
    let lead = TimeDelta::milliseconds(2000 + i64::try_from(jobs).unwrap());
    let due = Utc::now() + lead;
    let due = DateTime::from_timestamp(due.timestamp() + 1, 0).unwrap();
    let stored = store_jobs(&engine, jobs, due).await;
    assert!(Utc::now() < due, "the jobs were not stored in time");
    let before = processor_time(std::process::id());
    wait_for_all(&store, due, jobs).await;
    let each = (processor_time(std::process::id()) - before) * 1e6 / jobs as f64;
    let (late, ended) = lateness(&store, &stored, due).await;
    engine.drain(Duration::from_secs(10)).await;
    store.close().await;
    let found = format!(
        "p50 {:.1?}, p99 {:.1?}, max {:.1?}",
        late.quantile(0.5),
        late.quantile(0.99),
        late.quantile(1.0)
    );
    vec![
        Row::plain(
            &format!("{jobs} jobs due in one second, start"),
            found,
            goal,
        ),
        Row::plain(
            &format!("the same, lost or doubled; all ended after {ended:.1?}"),
            format!("0 ({each:.0} µs of processor time each)"),
            "0",
        ),
    ]
}

async fn store_jobs(engine: &Engine, jobs: usize, due: DateTime<Utc>) -> Vec<JobId> {
    let (mut stored, mut going) = (Vec::with_capacity(jobs), JoinSet::new());
    let once_a_year = due.format("%-S %-M %-H %-d %-m *");
    for number in 0..jobs {
        let yaml = format!(
            "id: job-{number}\nname: Job {number}\ntype: SQL\nquery: SELECT 1\n\
             schedule: {{type: cron, expression: \"{once_a_year}\"}}\n"
        );
        let new = NewJob {
            yaml,
            ..NewJob::default()
        };
        let engine = engine.clone();
        going.spawn(async move { engine.create_job(new).await.unwrap().record.job_id });
        if going.len() >= TOGETHER {
            stored.push(going.join_next().await.unwrap().unwrap());
        }
    }
    stored.extend(going.join_all().await);
    stored
}

async fn wait_for_all(store: &Arc<dyn Store>, due: DateTime<Utc>, jobs: usize) {
    let deadline = due + TimeDelta::seconds(60);
    tokio::time::sleep((due - Utc::now()).to_std().unwrap_or_default()).await;
    loop {
        // Asking seldom leaves the store to those that are measured.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let claimed = store.due_firings(due, 1).await.unwrap().is_empty();
        let waiting = store.pending_executions().await.unwrap().len();
        let open = store.open_executions().await.unwrap().len();
        if claimed && waiting + open == 0 {
            return;
        }
        assert!(Utc::now() < deadline, "of {jobs} jobs {waiting} still wait");
    }
}

async fn lateness(
    store: &Arc<dyn Store>,
    jobs: &[JobId],
    due: DateTime<Utc>,
) -> (Timings, Duration) {
    let (mut late, mut last) = (Vec::with_capacity(jobs.len()), due);
    for job in jobs {
        let runs = store.history(*job, None, 10).await.unwrap().items;
        let [run]: &[Execution; 1] = runs.as_slice().try_into().expect("one run of each job");
        assert_eq!(run.status, RunState::Success, "{:?}", run.error_message);
        late.push((run.start_time - due).to_std().unwrap());
        last = last.max(run.end_time.unwrap());
    }
    (Timings::new(late), (last - due).to_std().unwrap())
}
