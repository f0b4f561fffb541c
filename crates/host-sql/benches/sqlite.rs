//! What a trivial statement costs between a run and SQLite: a session from the
//! pool, `SELECT 1`, the session's end. Prints one line for each number of
//! clients; floors are SQLite in place and a bare hop to a thread and back.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use jobcell_host_sql::SqliteOptions;
use jobcell_host_sql::sqlite::{Pool, Session};
use jobcell_plugin_host::{EffectGate, RunLimits, RunScope};
use tokio::sync::oneshot;

const ROUNDS: usize = 100_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    in_place();
    for clients in [1, 16, 64] {
        runtime.block_on(bare_hops(clients));
        runtime.block_on(sessions(clients, "SELECT 1"));
        runtime.block_on(sessions(
            clients,
            "SELECT id, name FROM things WHERE id = 500",
        ));
    }
    runtime.block_on(writes(1));
    runtime.block_on(writes(16));
}

fn in_place() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut statement = connection.prepare_cached("SELECT 1").unwrap();
        let one: i64 = statement.query_row([], |row| row.get(0)).unwrap();
        assert_eq!(one, 1);
        times.push(begun.elapsed());
    }
    report("floor: SQLite in place", 1, times, Duration::ZERO);
}

async fn bare_hops(clients: usize) {
    let begun = Instant::now();
    let tasks = (0..clients).map(|_| {
        let (sender, receiver) = mpsc::channel::<oneshot::Sender<()>>();
        std::thread::spawn(move || {
            while let Ok(reply) = receiver.recv() {
                let _ = reply.send(());
            }
        });
        tokio::spawn(async move {
            let mut times = Vec::new();
            for _ in 0..ROUNDS / clients {
                let begun = Instant::now();
                let (reply, answer) = oneshot::channel();
                sender.send(reply).unwrap();
                answer.await.unwrap();
                times.push(begun.elapsed());
            }
            times
        })
    });
    report(
        "floor: thread and back",
        clients,
        gather(tasks.collect()).await,
        begun.elapsed(),
    );
}

fn scope() -> RunScope {
    let timeout = Duration::from_secs(60);
    RunScope::new(
        Vec::new(),
        RunLimits::default(),
        timeout,
        EffectGate::open(),
        None,
    )
}

async fn run(pool: &Arc<Pool>, text: &str) {
    let mut session = Session::open(pool, &scope()).await.unwrap();
    let statement = session.prepare(text).await.unwrap();
    let mut cursor = session.execute(&statement, Vec::new()).await.unwrap();
    assert!(session.next_page(&mut cursor, 1000).await.unwrap().last);
    session.close_cursor(cursor).await.unwrap();
    session.close().await;
}

async fn prepared_pool(folder: &tempfile::TempDir) -> Arc<Pool> {
    let path = folder.path().join("bench.sqlite");
    let options = SqliteOptions {
        create: true,
        ..SqliteOptions::default()
    };
    let pool = Pool::new("bench", &path, false, &options);
    run(
        &pool,
        "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)",
    )
    .await;
    let rows = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000)
                INSERT INTO things SELECT x, 'thing ' || x FROM n";
    run(&pool, rows).await;
    pool
}

async fn sessions(clients: usize, text: &'static str) {
    let folder = tempfile::TempDir::new().unwrap();
    let pool = prepared_pool(&folder).await;
    let begun = Instant::now();
    let tasks = (0..clients).map(|_| {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            let mut times = Vec::new();
            for _ in 0..ROUNDS / clients {
                let begun = Instant::now();
                run(&pool, text).await;
                times.push(begun.elapsed());
            }
            times
        })
    });
    report(
        text,
        clients,
        gather(tasks.collect()).await,
        begun.elapsed(),
    );
    pool.close().await;
}

async fn writes(clients: usize) {
    let folder = tempfile::TempDir::new().unwrap();
    let pool = prepared_pool(&folder).await;
    let begun = Instant::now();
    let tasks = (0..clients).map(|_| {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            let mut times = Vec::new();
            for _ in 0..4000 / clients {
                let begun = Instant::now();
                run(&pool, "INSERT INTO things (name) VALUES ('new')").await;
                times.push(begun.elapsed());
            }
            times
        })
    });
    report(
        "INSERT, durable",
        clients,
        gather(tasks.collect()).await,
        begun.elapsed(),
    );
    pool.close().await;
}

async fn gather(tasks: Vec<tokio::task::JoinHandle<Vec<Duration>>>) -> Vec<Duration> {
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    times
}

fn report(what: &str, clients: usize, mut times: Vec<Duration>, whole: Duration) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    let whole = if whole.is_zero() {
        times.iter().sum()
    } else {
        whole
    };
    println!(
        "{what:45} {clients:3} clients  p50 {:>10.1?}  p99 {:>10.1?}  {:>9.0}/s",
        at(50),
        at(99),
        times.len() as f64 / whole.as_secs_f64()
    );
}
