//! The sandbox, sessions side by side, and files that are not what they should be.

use jobcell_host_sql::sqlite::{Pool, Session};
use jobcell_host_sql::{SqlCapability, SqlConfig, SqlError, SqliteOptions};
use jobcell_plugin_host::bindings::types::Failure;
use jobcell_plugin_host::{EffectGate, RunLimits, StopReason};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

use crate::support::{
    code, counting, created, database, execute, existing, number, query, scope, scope_with, sqlite,
};

#[tokio::test]
async fn other_files_are_out_of_reach() {
    let database = database();
    database.run(&["CREATE TABLE t (x)"]).await;
    let mut session = database.session().await;
    let target = database.folder.path().join("copy.sqlite");
    let target = target.display();
    for text in [
        format!("ATTACH '{target}' AS other"),
        format!("ATTACH 'file:{target}?mode=rwc' AS other"),
        "ATTACH '' AS other".to_owned(),
        "ATTACH ':memory:' AS other".to_owned(),
        format!("ATTACH '{target}' || '' AS other"),
        "DETACH main".to_owned(),
        format!("VACUUM INTO '{target}'"),
        format!("VACUUM INTO '{target}' || ''"),
        "SELECT load_extension('libm.so')".to_owned(),
        "SELECT fts3_tokenizer('simple')".to_owned(),
        "CREATE VIRTUAL TABLE v USING dbstat".to_owned(),
        "PRAGMA temp_store_directory = '/etc'".to_owned(),
        "PRAGMA database_list".to_owned(),
        "SELECT * FROM pragma_database_list".to_owned(),
        "PRAGMA writable_schema = 1".to_owned(),
        "PRAGMA journal_mode = OFF".to_owned(),
        "PRAGMA synchronous = OFF".to_owned(),
        "PRAGMA locking_mode = EXCLUSIVE".to_owned(),
        "PRAGMA hard_heap_limit = 1000".to_owned(),
        "PRAGMA mmap_size = 1000000000".to_owned(),
    ] {
        let error = query(&mut session, &text).await.expect_err(&text);
        assert!(
            matches!(error, SqlError::NotAllowed(_)),
            "{text}: {error:?}"
        );
        assert_eq!(code(error), "statement_not_allowed");
    }
    assert!(!Path::new(&target.to_string()).exists());
}

#[tokio::test]
async fn maintenance_is_allowed() {
    let database = database();
    let mut session = database.session().await;
    for text in [
        "CREATE TABLE t (x)",
        "CREATE INDEX i ON t (x)",
        "INSERT INTO t VALUES (1), (2)",
        "ANALYZE",
        "REINDEX",
        "VACUUM",
        "PRAGMA integrity_check",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA optimize",
        "PRAGMA journal_mode = WAL",
        "PRAGMA user_version = 4",
        "PRAGMA table_info(t)",
        "SELECT * FROM pragma_table_info('t')",
        "CREATE VIRTUAL TABLE f USING fts5(x)",
        "INSERT INTO f VALUES ('words')",
        "SELECT * FROM f WHERE f MATCH 'words'",
        "ALTER TABLE t ADD COLUMN y",
        "DROP TABLE t",
    ] {
        query(&mut session, text)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error:?}"));
    }
}

#[tokio::test]
async fn nothing_of_a_session_reaches_the_next() {
    let database = database();
    database.run(&["CREATE TABLE t (x)"]).await;
    let mut session = database.session().await;
    query(&mut session, "BEGIN").await.unwrap();
    query(&mut session, "INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    assert!(session.in_transaction());
    assert!(session.close().await.rolled_back);
    assert_eq!(database.number("SELECT count(*) FROM t").await, 0);

    database
        .run(&[
            "CREATE TEMP TABLE secret (x)",
            "INSERT INTO secret VALUES (42)",
        ])
        .await;
    let mut session = database.session().await;
    let error = query(&mut session, "SELECT x FROM secret")
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "no such table: secret");
    session.close().await;

    database.run(&["PRAGMA foreign_keys = OFF"]).await;
    assert_eq!(database.number("PRAGMA foreign_keys").await, 1);
}

#[tokio::test]
async fn counters_of_a_session_stay_in_it() {
    let database = database();
    database
        .run(&[
            "CREATE TABLE t (id INTEGER PRIMARY KEY)",
            "INSERT INTO t VALUES (77)",
        ])
        .await;
    for text in [
        "SELECT last_insert_rowid()",
        "SELECT changes()",
        "SELECT total_changes()",
    ] {
        assert_eq!(database.number(text).await, 0, "{text}");
        database.run(&["INSERT INTO t VALUES (NULL)"]).await;
    }
    let mut session = database.session().await;
    query(&mut session, "BEGIN").await.unwrap();
    assert_eq!(number(&mut session, "SELECT last_insert_rowid()").await, 0);
    query(&mut session, "INSERT INTO t VALUES (500)")
        .await
        .unwrap();
    assert_eq!(
        number(&mut session, "SELECT last_insert_rowid()").await,
        500
    );
    query(&mut session, "COMMIT").await.unwrap();
    assert!(!session.in_transaction());
    session.close().await;
    assert_eq!(database.number("SELECT max(id) FROM t").await, 500);
}

#[tokio::test]
async fn a_connection_is_opened_once_for_runs_one_after_another() {
    let database = database();
    for _ in 0..20 {
        assert_eq!(database.number("SELECT 1").await, 1);
    }
    assert_eq!(database.pool.idle_connections(), 1);
    database.pool.close().await;
    assert_eq!(database.pool.idle_connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_wait_for_each_other() {
    let database = Arc::new(database());
    database.run(&["CREATE TABLE t (x)"]).await;
    let writers = (0..8).map(|writer| {
        let database = Arc::clone(&database);
        tokio::spawn(async move {
            let mut session = database.session().await;
            for round in 0..10 {
                query(&mut session, "BEGIN IMMEDIATE").await.unwrap();
                let text = format!("INSERT INTO t VALUES ({writer} * 100 + {round})");
                query(&mut session, &text).await.unwrap();
                query(&mut session, "COMMIT").await.unwrap();
            }
            session.close().await;
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(database.number("SELECT count(DISTINCT x) FROM t").await, 80);
}

/// Each would make the new file one with a write-ahead log, and SQLite lets none wait
/// for another there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn runs_that_are_the_first_to_open_a_database_wait_for_each_other() {
    let folder = TempDir::new().unwrap();
    for round in 0..300 {
        let path = folder.path().join(format!("new-{round}.sqlite"));
        let pool = created(path, SqliteOptions::default());
        let runs = (0..8).map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move {
                let mut session = Session::open(&pool, &scope()).await?;
                query(&mut session, "SELECT 1").await
            })
        });
        for run in runs.collect::<Vec<_>>() {
            run.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_writer_that_waits_too_long_is_told_so() {
    let folder = TempDir::new().unwrap();
    let options = SqliteOptions {
        busy_timeout: Duration::from_millis(50),
        ..SqliteOptions::default()
    };
    let pool = created(folder.path().join("busy.sqlite"), options);
    let mut holder = Session::open(&pool, &scope()).await.unwrap();
    query(&mut holder, "BEGIN IMMEDIATE").await.unwrap();
    let mut second = Session::open(&pool, &scope()).await.unwrap();
    let error = query(&mut second, "CREATE TABLE t (x)").await.unwrap_err();
    assert!(error.to_string().contains("sqlite.busyTimeout"), "{error}");
    assert_eq!(code(error), "database_busy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_waits_is_stopped_at_once() {
    let database = database();
    let mut holder = database.session().await;
    query(&mut holder, "BEGIN IMMEDIATE").await.unwrap();
    let scope = scope();
    let mut second = Session::open(&database.pool, &scope).await.unwrap();
    let stopper = scope.clone();
    let stop = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stopper.stop(StopReason::Cancelled);
        Instant::now()
    });
    let error = query(&mut second, "CREATE TABLE t (x)").await.unwrap_err();
    assert!(stop.await.unwrap().elapsed() < Duration::from_millis(200));
    assert_eq!(code(error), "cancelled");
}

#[tokio::test]
async fn a_snapshot_that_is_too_old_names_the_remedy() {
    let database = database();
    database.run(&["CREATE TABLE t (x)"]).await;
    let mut session = database.session().await;
    query(&mut session, "BEGIN").await.unwrap();
    assert_eq!(number(&mut session, "SELECT count(*) FROM t").await, 0);
    database.run(&["INSERT INTO t VALUES (1)"]).await;
    let error = query(&mut session, "INSERT INTO t VALUES (2)")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("BEGIN IMMEDIATE"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_queries_at_once_all_answer() {
    let folder = TempDir::new().unwrap();
    let options = SqliteOptions {
        max_open: 8,
        ..SqliteOptions::default()
    };
    let pool = created(folder.path().join("many.sqlite"), options);
    let clients = (0..64).map(|client| {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            for round in 0..20 {
                let mut session = Session::open(&pool, &scope()).await.unwrap();
                let text = format!("SELECT {client} * 1000 + {round}");
                assert_eq!(number(&mut session, &text).await, client * 1000 + round);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert!(
        (1..=8).contains(&pool.idle_connections()),
        "{}",
        pool.idle_connections()
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_unavailable() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("noise.sqlite");
    std::fs::write(
        &path,
        "this is no database, whatever its name says. ".repeat(100),
    )
    .unwrap();
    let pool = existing(&path);
    let error = Session::open(&pool, &scope()).await.err().unwrap();
    assert!(
        error
            .to_string()
            .contains("damaged or not a SQLite database"),
        "{error}"
    );
    assert!(
        !error.to_string().contains("noise.sqlite"),
        "a plugin must not see paths: {error}"
    );
    assert!(matches!(Failure::from(error), Failure::Unavailable(_)));
}

#[tokio::test]
async fn a_damaged_page_is_unavailable() {
    let database = database();
    database
        .run(&[
            "CREATE TABLE t (x)",
            &format!("INSERT INTO t {}", counting(20_000)),
        ])
        .await;
    database.pool.close().await;
    let path = database.folder.path().join("test.sqlite");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let pool = existing(&path);
    let mut session = Session::open(&pool, &scope()).await.unwrap();
    let error = query(&mut session, "SELECT sum(x) FROM t")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("restore a backup"), "{error}");
    assert_eq!(code(error), "connection_failed");
}

#[tokio::test]
async fn a_missing_file_is_refused_unless_it_may_be_created() {
    let folder = TempDir::new().unwrap();
    let pool = existing(&folder.path().join("x"));
    let error = Session::open(&pool, &scope()).await.err().unwrap();
    assert!(
        error.to_string().contains("its file does not exist"),
        "{error}"
    );
    assert_eq!(code(error), "connection_failed");
}

#[tokio::test]
async fn a_read_only_connection_reads_and_writes_nothing() {
    let database = database();
    database
        .run(&["CREATE TABLE t (x)", "INSERT INTO t VALUES (3)"])
        .await;
    database.pool.close().await;
    let path = database.folder.path().join("test.sqlite");
    let pool = Pool::new("reader", &path, true, &SqliteOptions::default());
    let mut session = Session::open(&pool, &scope()).await.unwrap();
    assert_eq!(number(&mut session, "SELECT x FROM t").await, 3);
    let error = query(&mut session, "DELETE FROM t").await.unwrap_err();
    assert!(error.to_string().contains("read-only"), "{error}");
}

#[tokio::test]
async fn only_reading_does_not_wait_for_the_start_record() {
    let database = database();
    database.run(&["CREATE TABLE t (x)"]).await;
    let (opener, gate) = EffectGate::closed();
    let scope = scope_with(RunLimits::default(), gate);
    let mut session = Session::open(&database.pool, &scope).await.unwrap();
    assert_eq!(number(&mut session, "SELECT count(*) FROM t").await, 0);
    let statement = session.prepare("INSERT INTO t VALUES (1)").await.unwrap();
    {
        let mut insert = std::pin::pin!(session.execute(&statement, Vec::new()));
        let early = tokio::time::timeout(Duration::from_millis(100), insert.as_mut()).await;
        assert!(early.is_err(), "wrote before the start was durable");
        assert_eq!(database.number("SELECT count(*) FROM t").await, 0);
        opener.settle(true);
        insert.await.unwrap();
    }
    assert_eq!(number(&mut session, "SELECT count(*) FROM t").await, 1);
}

#[tokio::test]
async fn a_start_that_was_not_recorded_writes_nothing() {
    let database = database();
    database.run(&["CREATE TABLE t (x)"]).await;
    let (opener, gate) = EffectGate::closed();
    let scope = scope_with(RunLimits::default(), gate);
    let mut session = Session::open(&database.pool, &scope).await.unwrap();
    opener.settle(false);
    let error = query(&mut session, "INSERT INTO t VALUES (1)")
        .await
        .unwrap_err();
    assert_eq!(code(error), "start_not_recorded");
    assert_eq!(database.number("SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn a_cursor_that_was_not_read_to_its_end_holds_nothing() {
    let database = database();
    let mut session = database.session().await;
    let mut cursor = execute(&mut session, &counting(9000)).await.unwrap();
    session.next_page(&mut cursor, 10).await.unwrap();
    let error = execute(&mut session, "SELECT 1").await.unwrap_err();
    assert_eq!(code(error), "misuse");
    session.close_cursor(cursor).await.unwrap();
    assert_eq!(number(&mut session, "SELECT 1").await, 1);
    let open = execute(&mut session, &counting(9000)).await.unwrap();
    drop((open, session));
    assert_eq!(database.number("SELECT 2").await, 2);
}

#[tokio::test]
async fn a_changed_schema_is_noticed_by_known_statements() {
    let database = database();
    database
        .run(&["CREATE TABLE t (x)", "SELECT * FROM t", "DROP TABLE t"])
        .await;
    let mut session = database.session().await;
    let error = query(&mut session, "SELECT * FROM t").await.unwrap_err();
    assert_eq!(error.to_string(), "no such table: t");
    query(&mut session, "CREATE TABLE t (a, b)").await.unwrap();
    let cursor = execute(&mut session, "SELECT * FROM t").await.unwrap();
    assert_eq!(cursor.columns().len(), 2);
}

#[tokio::test]
async fn an_unknown_connection_lists_the_known_ones() {
    let folder = TempDir::new().unwrap();
    let connections = [
        ("default".to_owned(), sqlite(folder.path().join("a"))),
        ("reporting".to_owned(), sqlite(folder.path().join("b"))),
    ];
    let capability = SqlCapability::new(SqlConfig {
        connections: connections.into(),
    });
    let within = Duration::from_secs(10);
    capability.check("default", within).await.unwrap();
    let error = capability.check("sales", within).await.unwrap_err();
    assert!(
        error.to_string().contains("`default`, `reporting`"),
        "{error}"
    );
    assert_eq!(code(error), "connection_not_found");
    assert_eq!(
        code(capability.check("reporting", within).await.unwrap_err()),
        "connection_failed"
    );
    capability.close().await;
}
