//! `jobcell doctor`: what this machine has for jobs, and what is missing.
//! Changes nothing.

use std::time::Duration;

use jobcell_host_process::{Child, Found, Launch, ProcessCapability, Program, Sink};
use jobcell_host_sql::ConnectionInfo;
use jobcell_model::OutputStream;
use jobcell_plugin_host::{EffectGate, RunLimits, RunScope};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::args::{Doctor, Format};
use crate::compose::{self, DataFolder};
use crate::config::Config;
use crate::databases;
use crate::exit::{Exit, Failure};
use crate::out::say;

/// How long a tool may take to say its version.
const PATIENCE: Duration = Duration::from_secs(10);
/// How tools that are granted from the start are asked for their version. What
/// an admin named is not run for it, whatever its role: nobody knows what it
/// would do, and as whom.
const ASKED: [(&str, &[&str]); 4] = [
    ("powershell", &["-NoLogo", "-Version"]),
    ("bash", &["--version"]),
    ("python3", &["--version"]),
    ("cmd", &["/d", "/c", "ver"]),
];

#[derive(Serialize)]
struct Report {
    version: &'static str,
    data: String,
    processes: String,
    /// Why no process can be started here.
    system_problem: Option<String>,
    tools: Vec<Tool>,
    connections: Vec<Connection>,
}

/// A connection that is configured or stored.
#[derive(Serialize)]
struct Connection {
    name: String,
    dialect: &'static str,
    read_only: bool,
    problem: Option<String>,
}

#[derive(Serialize)]
struct Tool {
    role: String,
    /// Whether the configuration names it.
    configured: bool,
    path: Option<String>,
    version: Option<String>,
    problem: Option<String>,
}

/// Looks, and says what it saw. Fails when something that the configuration
/// names can't be used.
pub(crate) fn run(options: &Doctor, config: &Config) -> Result<Exit, Failure> {
    let data = DataFolder::choose(options.data.folder.clone(), config)?;
    let process = compose::process_capability(config, &data);
    let runtime = compose::runtime()?;
    let found = process.tools();
    let tools: Vec<Tool> = found
        .into_iter()
        .map(|found| runtime.block_on(tool(&process, found)))
        .collect();
    let connections = runtime.block_on(connections(config, &data));
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        data: data.path().display().to_string(),
        processes: process.containment(),
        system_problem: jobcell_host_process::system_lacks(),
        tools,
        connections,
    };
    match options.format {
        Format::Text => print(&report),
        Format::Json => say!("{:#}", serde_json::json!(report)),
    }
    let broken = |tool: &Tool| tool.configured && tool.problem.is_some();
    let lost = |connection: &Connection| connection.problem.is_some();
    let all_well = report.system_problem.is_none()
        && !report.tools.iter().any(broken)
        && !report.connections.iter().any(lost);
    Ok(if !all_well {
        Exit::Unavailable
    } else {
        Exit::Success
    })
}

fn print(report: &Report) {
    say!("jobcell {}", report.version);
    say!("data folder: {}", report.data);
    say!("processes are held together by {}", report.processes);
    match &report.system_problem {
        None => say!("system: has all that processes are started with"),
        Some(problem) => say!("system: FAILS: {problem}"),
    }
    say!("tools:");
    for tool in &report.tools {
        let role = &tool.role;
        match (&tool.path, &tool.problem) {
            (Some(path), None) => {
                let version = tool.version.as_deref().unwrap_or("version not asked for");
                say!("  {role}: {path} ({version})");
            }
            (_, problem) => {
                let problem = problem.as_deref().unwrap_or("not found");
                say!("  {role}: MISSING: {problem}");
            }
        }
    }
    if !report.connections.is_empty() {
        say!("connections:");
    }
    for connection in &report.connections {
        let Connection { name, dialect, .. } = connection;
        match &connection.problem {
            None => say!("  {name}: {dialect}, answers"),
            Some(problem) => say!("  {name}: {dialect}, FAILS: {problem}"),
        }
    }
}

/// Opens every connection that is configured or stored, all at once.
async fn connections(config: &Config, data: &DataFolder) -> Vec<Connection> {
    let sql = databases::configured(config, data);
    databases::lend_stored(config, data, &sql).await;
    let mut checks = JoinSet::new();
    // The server's own is made when it is first used.
    let named = |info: &ConnectionInfo| {
        info.name != databases::DEFAULT || config.connections.contains_key(&info.name)
    };
    for info in sql.connections().into_iter().filter(named) {
        let sql = sql.clone();
        checks.spawn(async move {
            let problem = sql.check(&info.name, PATIENCE).await.err();
            Connection {
                problem: problem.map(|error| error.to_string()),
                name: info.name,
                dialect: info.dialect,
                read_only: info.read_only,
            }
        });
    }
    let mut checked = checks.join_all().await;
    checked.sort_by(|one, other| one.name.cmp(&other.name));
    sql.close().await;
    checked
}

async fn tool(process: &ProcessCapability, found: Found) -> Tool {
    let asked = ASKED.iter().find(|(role, _)| *role == found.role);
    let asked = asked.filter(|_| !found.configured);
    let (path, problem) = match found.program {
        Ok(path) => (Some(path), None),
        Err(problem) => (None, Some(problem)),
    };
    let version = match (&path, asked) {
        (Some(path), Some((_, arguments))) => version(process, path, arguments).await,
        _ => None,
    };
    Tool {
        role: found.role,
        configured: found.configured,
        path: path.map(|path| path.display().to_string()),
        version,
        problem,
    }
}

/// The first line that a tool prints when it is asked for its version.
async fn version(
    process: &ProcessCapability,
    path: &std::path::Path,
    arguments: &[&str],
) -> Option<String> {
    let program = Program::open(path, None).ok()?;
    let scope = RunScope::new(
        vec![("execution-id".to_owned(), "doctor".to_owned())],
        RunLimits::default(),
        PATIENCE,
        EffectGate::open(),
        None,
    );
    let mut launch = Launch::new(program, std::env::temp_dir());
    launch.arguments = arguments.iter().map(Into::into).collect();
    launch.environment = compose::passed_on()
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect();
    launch.stdout = Sink::Pipe;
    launch.stderr = Sink::Discard;
    let ask = async {
        let mut child = Child::start(&launch, &process.place(&scope)).await.ok()?;
        let mut said = Vec::new();
        while let Ok(Some(piece)) = child.read(OutputStream::Stdout, 4096).await {
            said.extend(piece);
            if said.len() > 4096 {
                break;
            }
        }
        child.kill().await;
        Some(said)
    };
    let said = tokio::time::timeout(PATIENCE, ask).await.ok()??;
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(100).collect())
}
