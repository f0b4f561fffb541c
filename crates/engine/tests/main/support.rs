//! An engine to be used by one test.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jobcell_engine::{Engine, EngineConfig, JobTypes, ManualClock, NewJob, StartRequest};
use jobcell_host_sql::{ConnectionConfig, SqlCapability, SqlConfig};
use jobcell_model::{Execution, JobRef, Trigger};
use jobcell_plugin_host::{HostConfig, PluginHost};
use jobcell_store::Store;

use crate::test_store::TestStore;

/// How long any one thing may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The instant that the tests' clock shows at first.
pub(crate) fn noon() -> DateTime<Utc> {
    at("12:00:00")
}

/// A time of the tests' day.
pub(crate) fn at(time: &str) -> DateTime<Utc> {
    format!("2026-11-25T{time}Z").parse().unwrap()
}

/// An engine over this store at noon, with its databases in this folder.
pub(crate) async fn engine(store: Arc<TestStore>, folder: &Path) -> Engine {
    engine_at(store, folder, Arc::new(ManualClock::at(noon()))).await
}

/// The same with this clock.
pub(crate) async fn engine_at(
    store: Arc<TestStore>,
    folder: &Path,
    clock: Arc<ManualClock>,
) -> Engine {
    Engine::start(config(store, folder, clock)).await.unwrap()
}

/// What such an engine is made of.
pub(crate) fn config(
    store: Arc<dyn Store>,
    folder: &Path,
    clock: Arc<ManualClock>,
) -> EngineConfig {
    EngineConfig {
        server_info: "test".to_owned(),
        ..EngineConfig::new(store, clock, job_types(folder))
    }
}

/// The database of the jobs' default connection.
pub(crate) fn database(folder: &Path) -> PathBuf {
    folder.join("default.sqlite")
}

fn job_types(folder: &Path) -> JobTypes {
    let default = ConnectionConfig::Sqlite {
        path: database(folder),
        read_only: false,
    };
    let sql = SqlCapability::new(SqlConfig {
        connections: [("default".to_owned(), default)].into(),
    });
    let config = HostConfig {
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("images")),
        ..HostConfig::default()
    };
    let host = PluginHost::new(config, vec![Arc::new(sql)]).unwrap();
    let bundled = jobcell_bundle::job_types().iter();
    let sql = bundled.into_iter().find(|plugin| plugin.name == "sql");
    let plugin = host.load("sql", sql.unwrap().component).unwrap();
    JobTypes::new([plugin]).unwrap()
}

/// Stores an SQL job whose key is `job`.
pub(crate) async fn create(engine: &Engine, query: &str, keys: &str) -> JobRef {
    create_named(engine, "job", query, keys).await
}

/// Stores an SQL job.
pub(crate) async fn create_named(engine: &Engine, key: &str, query: &str, keys: &str) -> JobRef {
    let query = query.replace('\n', "\n  ");
    let yaml = format!("id: {key}\nname: Job\ntype: SQL\nquery: |\n  {query}\n{keys}");
    let new = NewJob {
        yaml,
        created_by: "test".to_owned(),
        ..NewJob::default()
    };
    engine.create_job(new).await.unwrap();
    JobRef::parse(key)
}

/// Asks for a run.
pub(crate) fn by_hand() -> StartRequest {
    StartRequest {
        trigger: Trigger::Manual,
        executed_by: "test".to_owned(),
    }
}

/// All runs of a job, oldest first.
pub(crate) async fn runs(store: &TestStore, job: &JobRef) -> Vec<Execution> {
    let job_id = store.job(job).await.unwrap().unwrap().record.job_id;
    let mut page = store.history(job_id, None, 1000).await.unwrap().items;
    page.reverse();
    page
}

/// Waits until the runs of a job are as wanted, and gives them.
pub(crate) async fn runs_when(
    store: &TestStore,
    job: &JobRef,
    wanted: impl Fn(&[Execution]) -> bool,
) -> Vec<Execution> {
    let waiting = async {
        loop {
            let runs = runs(store, job).await;
            if wanted(&runs) {
                return runs;
            }
            tokio::task::yield_now().await;
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(runs) => runs,
        Err(_) => {
            let runs = runs(store, job).await;
            let told = runs.iter().map(|run| (run.status, run.error_code.clone()));
            panic!("not as wanted: {:?}", told.collect::<Vec<_>>());
        }
    }
}
