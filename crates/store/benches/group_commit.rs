//! How runs share commits: pairs of a start and an end by one and by many
//! clients, beside the floor of a bare commit. Judges nothing.
//!
//! `cargo bench -p jobcell-store`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints its figures and may panic"
)]

#[path = "../tests/main/support.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jobcell_model::{JobRecord, RunState};
use jobcell_store::{JobTriggers, RedbStore, Store, StoreOptions};
use redb::{Database, TableDefinition};

const FLOOR: usize = 2000;
const LOAD: Duration = Duration::from_secs(3);
const CLIENTS: [usize; 4] = [1, 4, 16, 64];
const ROW: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");

fn main() {
    let folder = tempfile::tempdir().unwrap();
    println!("| what | rate | p50 | p99 | commits | writes in a commit |");
    println!("|---|---|---|---|---|---|");
    let floor = bare_commits(folder.path());
    println!("| bare commit of one row | – | {floor} | – | – |");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for clients in CLIENTS {
        let path = folder.path().join(format!("store-{clients}.redb"));
        println!("{}", runtime.block_on(pairs(&path, clients)));
    }
}

/// One durable commit after the other, with nothing of this crate in it.
fn bare_commits(folder: &Path) -> String {
    let database = Database::create(folder.join("floor.redb")).unwrap();
    let row = [7; 500];
    let mut times = Vec::with_capacity(FLOOR);
    for key in 0..FLOOR as u64 {
        let start = Instant::now();
        let write = database.begin_write().unwrap();
        let mut table = write.open_table(ROW).unwrap();
        table.insert(key, row.as_slice()).unwrap();
        drop(table);
        write.commit().unwrap();
        times.push(start.elapsed());
    }
    percentiles(times)
}

/// Runs that start and end, by so many clients side by side.
async fn pairs(path: &Path, clients: usize) -> String {
    let store = Arc::new(RedbStore::open(path, StoreOptions::default()).unwrap());
    let job = support::job("bench");
    store
        .create_job(job.clone(), JobTriggers::default())
        .await
        .unwrap();
    let before = store.commit_metrics();
    let start = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| tokio::spawn(client(Arc::clone(&store), job.clone(), start)))
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let seconds = start.elapsed().as_secs_f64();
    let after = store.commit_metrics();
    store.close().await;
    let (commits, writes) = (after.commits - before.commits, after.writes - before.writes);
    format!(
        "| start and end, {clients} clients | {:.0} runs/s | {} | {commits} | {:.1} |",
        per(times.len() as u64, seconds),
        percentiles(times),
        per(writes, per(commits, 1.0)),
    )
}

async fn client(store: Arc<RedbStore>, job: JobRecord, start: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    while start.elapsed() < LOAD {
        let run = support::run_of(&job);
        let end = support::finish(&run, RunState::Success, b"one line of output\n");
        let started = Instant::now();
        store
            .admit_run(support::admission(&run, u32::MAX))
            .await
            .unwrap();
        store.finish_run(end).await.unwrap();
        times.push(started.elapsed());
    }
    times
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn per(count: u64, of: f64) -> f64 {
    count as f64 / of
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
    format!("{:.0} µs | {:.0} µs", at(50), at(99))
}
