//! Prints the speed table: each row beside its floor, measured in the same run.
//! Judges nothing; figures depend on the machine and its disk.
//!
//! `cargo bench -p jobcell --bench speed`, or with `-- schedule` or `-- process` the
//! rows about schedules or processes alone.
#![expect(clippy::unwrap_used, reason = "a bench may panic")]

mod clients;
mod compose;
mod due;
mod figures;
mod floors;
mod idle;
mod stored;

use std::path::{Path, PathBuf};
use std::time::Duration;

use figures::{Row, Timings};

const PLUGIN_RUNS: usize = 4000;
const PROCESS_RUNS: usize = 4000;
const HTTP_RUNS: usize = 3000;
const LOAD: Duration = Duration::from_secs(4);

fn main() {
    // The servers that are measured run in processes of their own, as they do
    // in earnest, so that both the floor and the goal share the cores alike.
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("--echo-server") => return floors::echo_server(),
        Some("--job-server") => return compose::job_server(Path::new(&arguments[2])),
        _ => {}
    }
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut rows = Vec::new();
    let only = |what: &str| arguments.iter().any(|argument| argument == what);
    // On a worker, where runs are carried out in earnest.
    let place = folder.path().to_owned();
    let process = || runtime.block_on(runtime.spawn(process_row(place))).unwrap();
    if only("process") {
        rows.push(process());
        return figures::print(&rows);
    }
    if !only("schedule") {
        let mut alone = tokio::runtime::Builder::new_current_thread();
        let alone = alone.enable_all().build().unwrap();
        rows.push(alone.block_on(trivial_row(folder.path())));
        rows.push(process());
        rows.extend(runtime.block_on(http_rows(folder.path())));
        rows.extend(idle::rows(folder.path()));
    }
    rows.extend(runtime.block_on(schedule_rows(folder.path())));
    figures::print(&rows);
}

async fn schedule_rows(folder: &Path) -> Vec<Row> {
    let mut rows = due::rows(folder, 1000, "p99 ≤ 0.1 s").await;
    rows.extend(due::rows(folder, 10_000, "p99 ≤ 1 s").await);
    rows.extend(stored::rows(folder, 100_000).await);
    rows
}

async fn trivial_row(folder: &Path) -> Row {
    let host = compose::host(folder);
    let hostile = host
        .load("hostile", jobcell_bundle::hostile().component)
        .unwrap();
    let bare = floors::instances(&hostile, PLUGIN_RUNS).await;
    let trivial = compose::trivial_runs(&hostile, PLUGIN_RUNS).await;
    Row::ratio(
        "trivial run in a fresh instance",
        &trivial,
        &bare,
        "bare instantiate, drop",
        4.0,
    )
}

async fn process_row(folder: PathBuf) -> Row {
    let host = compose::host(&folder);
    let (process, spawn) = compose::process_runs(&host, &folder, PROCESS_RUNS).await;
    Row::ratio(
        "process run through the plugin",
        &process,
        &spawn,
        "bare spawn, wait",
        1.1,
    )
}

async fn http_rows(folder: &Path) -> Vec<Row> {
    let echo = clients::Child::start(&["--echo-server"]);
    let server = clients::Child::start(&["--job-server", folder.join("data").to_str().unwrap()]);
    let job = clients::create_sql_job(&server.address).await;
    let mut rows = Vec::new();

    let commits = floors::two_commits(folder, HTTP_RUNS);
    let echoed = clients::one_by_one(&echo.address, "/echo", HTTP_RUNS).await;
    let runs = clients::one_by_one(&server.address, &job, HTTP_RUNS).await;
    let floor = Timings::sum_of_medians(&commits, &echoed);
    rows.push(Row::ratio(
        "SQL run over HTTP, 1 client",
        &runs,
        &floor,
        "2 commits + echo",
        1.5,
    ));
    for clients in [16, 64] {
        let before = server.commits().await;
        let echoed = clients::together(&echo.address, "/echo", clients, LOAD).await;
        let runs = clients::together(&server.address, &job, clients, LOAD).await;
        let after = server.commits().await;
        rows.push(Row::rate(
            &format!("SQL runs over HTTP, {clients} clients"),
            runs,
            echoed,
            0.08,
        ));
        rows.push(Row::sharing(clients, before, after));
    }
    rows
}
