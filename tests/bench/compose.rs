//! Jobcell's own parts, put together as the binary does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jobcell_engine::{Engine, EngineConfig, JobTypes, SystemClock};
use jobcell_host_process::{ProcessCapability, ProcessConfig, ToolGrant, Tools};
use jobcell_host_sql::{ConnectionConfig, SqlCapability, SqlConfig};
use jobcell_plugin_host::{
    EffectGate, HostConfig, Plugin, PluginHost, RunEnd, RunLimits, RunRequest,
};
use jobcell_store::{RedbStore, Store, StoreOptions};
use tokio_util::sync::CancellationToken;

use crate::figures::Timings;

/// A plugin host with all capabilities; the role `powershell` is `/bin/true`.
pub(crate) fn host(folder: &Path) -> PluginHost {
    let grant = ToolGrant {
        path: "/bin/true".into(),
        ..ToolGrant::default()
    };
    let tools = BTreeMap::from([("powershell".to_owned(), grant)]);
    let process = ProcessCapability::new(ProcessConfig {
        tools: Tools::search("".as_ref()).with_configured(tools),
        scratch_root: folder.join("scratch"),
        environment: Vec::new(),
        script_folders: Vec::new(),
    });
    let default = ConnectionConfig::Sqlite {
        path: folder.join("default.sqlite"),
        read_only: false,
    };
    let sql = SqlCapability::new(SqlConfig {
        connections: BTreeMap::from([("default".to_owned(), default)]),
    });
    std::fs::create_dir_all(folder.join("scratch")).unwrap();
    std::fs::create_dir_all(folder.join("images")).unwrap();
    let config = HostConfig {
        cache_dir: Some(folder.join("images")),
        ..HostConfig::default()
    };
    PluginHost::new(config, vec![Arc::new(process), Arc::new(sql)]).unwrap()
}

fn request(configuration: &serde_json::Value) -> RunRequest {
    RunRequest {
        configuration: configuration.to_string(),
        parameters: Vec::new(),
        attributes: Vec::new(),
        environment: BTreeMap::new(),
        timeout: Duration::from_secs(60),
        limits: RunLimits::default(),
        cancel: CancellationToken::new(),
        gate: EffectGate::open(),
        journal: None,
        observer: None,
    }
}

async fn run(plugin: &Plugin, configuration: &serde_json::Value) -> Duration {
    let request = request(configuration);
    let start = Instant::now();
    let report = plugin.run(request).await;
    let took = start.elapsed();
    assert!(
        matches!(report.end, RunEnd::Succeeded { .. }),
        "{:?}",
        report.end
    );
    took
}

/// Whole runs that do nothing, each with what is done after its report: its
/// instance is wiped, and the next one made. To be called where nobody but the
/// caller's thread could do that.
pub(crate) async fn trivial_runs(plugin: &Plugin, count: usize) -> Timings {
    let configuration = serde_json::json!({ "do": "nothing" });
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        run(plugin, &configuration).await;
        tokio::task::yield_now().await;
        all.push(start.elapsed());
    }
    Timings::new(all)
}

/// Whole runs of a script file by `/bin/true`, and their floor: turn by turn, so
/// that both meet the same machine.
pub(crate) async fn process_runs(
    host: &PluginHost,
    folder: &Path,
    count: usize,
) -> (Timings, Timings) {
    let script = folder.join("script.ps1");
    std::fs::write(&script, "").unwrap();
    let bundled = jobcell_bundle::job_types()
        .iter()
        .find(|plugin| plugin.name == "powershell");
    let plugin = host.load("powershell", bundled.unwrap().component).unwrap();
    let configuration = serde_json::json!({ "executionMode": "script", "scriptPath": script });
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..count {
        bare.push(crate::floors::spawn().await);
        ours.push(run(&plugin, &configuration).await);
        // What a run leaves to be done after its report is no part of the floor.
        crate::floors::spawn().await;
    }
    (Timings::new(ours), Timings::new(bare))
}

/// Serves jobs until it is killed.
#[tokio::main]
pub(crate) async fn job_server(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let host = host(folder);
    let plugins = jobcell_bundle::job_types().iter();
    let plugins = plugins.map(|bundled| host.load(bundled.name, bundled.component).unwrap());
    let store = RedbStore::open(&folder.join("jobcell.redb"), StoreOptions::default()).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let clock = Arc::new(SystemClock);
    let types = JobTypes::new(plugins).unwrap();
    let config = EngineConfig::new(Arc::clone(&store), clock, types);
    let engine = Engine::start(config).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let commits = move || async move {
        let metrics = store.commit_metrics();
        axum::Json(serde_json::json!({ "commits": metrics.commits, "writes": metrics.writes }))
    };
    let router = jobcell_api::router(engine, jobcell_api::ApiConfig::default())
        .route("/bench/commits", axum::routing::get(commits));
    crate::clients::announce(&listener);
    jobcell_api::serve(
        listener,
        router,
        CancellationToken::new(),
        Duration::from_secs(1),
    )
    .await
    .unwrap();
}
