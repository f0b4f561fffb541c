//! What a run sees of a SQLite database, beneath the plugin interface.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jobcell_host_sql::{
    Cap, ConnectionConfig, Cursor, Pool, Session, SqlCapability, SqlConfig, SqlError, SqliteOptions,
};
use jobcell_plugin_host::bindings::sql::Value;
use jobcell_plugin_host::bindings::types::Failure;
use jobcell_plugin_host::{EffectGate, RunLimits, RunScope, StopReason};
use tempfile::TempDir;

fn sqlite(path: impl Into<PathBuf>) -> ConnectionConfig {
    ConnectionConfig::Sqlite {
        path: path.into(),
        read_only: false,
    }
}

/// A pool of a database that is there already.
fn existing(path: &Path) -> Arc<Pool> {
    Pool::new("test", &sqlite(path), &SqliteOptions::default())
}

/// A pool of a new database.
fn created(path: PathBuf, options: SqliteOptions) -> Arc<Pool> {
    Pool::new(
        "test",
        &sqlite(path),
        &SqliteOptions {
            create: true,
            ..options
        },
    )
}

struct Database {
    folder: TempDir,
    pool: Arc<Pool>,
}

fn database() -> Database {
    let folder = TempDir::new().unwrap();
    let pool = created(folder.path().join("test.sqlite"), SqliteOptions::default());
    Database { folder, pool }
}

fn scope_with(limits: RunLimits, gate: EffectGate) -> RunScope {
    RunScope::new(Vec::new(), limits, Duration::from_secs(60), gate, None)
}

fn scope() -> RunScope {
    scope_with(RunLimits::default(), EffectGate::open())
}

impl Database {
    async fn session(&self) -> Session {
        Session::open(&self.pool, &scope()).await.unwrap()
    }

    /// Runs statements in a session of their own.
    async fn run(&self, statements: &[&str]) {
        let mut session = self.session().await;
        for statement in statements {
            query(&mut session, statement).await.unwrap();
        }
        session.close().await;
    }

    async fn number(&self, text: &str) -> i64 {
        let mut session = self.session().await;
        let number = number(&mut session, text).await;
        session.close().await;
        number
    }
}

async fn execute(session: &mut Session, text: &str) -> Result<Cursor, SqlError> {
    let statement = session.prepare(text).await?;
    session.execute(&statement, Vec::new()).await
}

async fn query(session: &mut Session, text: &str) -> Result<Vec<Vec<Value>>, SqlError> {
    let mut cursor = execute(session, text).await?;
    let mut rows = Vec::new();
    loop {
        let page = session.next_page(&mut cursor, 1000).await?;
        rows.extend(page.rows);
        if page.last {
            session.close_cursor(cursor).await?;
            return Ok(rows);
        }
    }
}

async fn number(session: &mut Session, text: &str) -> i64 {
    match query(session, text).await.unwrap()[0][0] {
        Value::Integer(number) => number,
        ref other => panic!("{other:?} is not an integer"),
    }
}

async fn affected(session: &mut Session, text: &str) -> Option<u64> {
    let mut cursor = execute(session, text).await.unwrap();
    session.next_page(&mut cursor, 10).await.unwrap();
    cursor.affected()
}

fn code(error: SqlError) -> String {
    match Failure::from(error) {
        Failure::Invalid(detail)
        | Failure::Denied(detail)
        | Failure::NotFound(detail)
        | Failure::Unavailable(detail)
        | Failure::Other(detail) => detail.code,
        Failure::Limit(limit) => format!("{} {} {}", limit.limit, limit.value, limit.setting),
        Failure::Cancelled => "cancelled".to_owned(),
        Failure::TimedOut => "timed out".to_owned(),
    }
}

const ENDLESS: &str =
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n";

fn counting(to: u32) -> String {
    format!(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {to}) SELECT x FROM n"
    )
}

#[tokio::test]
async fn values_keep_their_types() {
    let database = database();
    let mut session = database.session().await;
    let text = "SELECT NULL, 9223372036854775807, 1.5, 'ä', x'00ff', CAST(x'ff61' AS TEXT)";
    let rows = query(&mut session, text).await.unwrap();
    let [null, integer, real, text, blob, not_utf8] = &rows[0][..] else {
        panic!("{rows:?}")
    };
    assert!(matches!(null, Value::Null));
    assert!(matches!(integer, Value::Integer(i64::MAX)));
    assert!(matches!(real, Value::Real(number) if *number == 1.5));
    assert!(matches!(text, Value::Text(text) if text == "ä"));
    assert!(matches!(blob, Value::Binary(bytes) if bytes == &[0, 255]));
    assert!(matches!(not_utf8, Value::Binary(bytes) if bytes == &[255, b'a']));
}

#[tokio::test]
async fn columns_carry_declared_types() {
    let database = database();
    database
        .run(&["CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME)"])
        .await;
    let mut session = database.session().await;
    let cursor = execute(&mut session, "SELECT id, at, 1 + 1 AS two FROM t")
        .await
        .unwrap();
    let columns: Vec<_> = cursor
        .columns()
        .iter()
        .map(|c| (c.name.as_str(), c.type_name.as_str()))
        .collect();
    assert_eq!(
        columns,
        [("id", "INTEGER"), ("at", "DATETIME"), ("two", "")]
    );
}

#[tokio::test]
async fn pages_follow_the_asked_size_and_mark_the_last() {
    let database = database();
    let mut session = database.session().await;
    let mut cursor = execute(&mut session, &counting(2500)).await.unwrap();
    let mut sizes = Vec::new();
    loop {
        let page = session.next_page(&mut cursor, 700).await.unwrap();
        sizes.push(page.rows.len());
        if page.last {
            break;
        }
    }
    assert_eq!(sizes.iter().sum::<usize>(), 2500);
    assert!(
        sizes.iter().all(|size| (1..=700).contains(size)),
        "{sizes:?}"
    );
    assert_eq!(cursor.returned(), 2500);
}

#[tokio::test]
async fn a_page_is_cut_by_bytes() {
    let database = database();
    let mut session = database.session().await;
    let text = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 40)
                SELECT zeroblob(100000) FROM n";
    let mut cursor = execute(&mut session, text).await.unwrap();
    let mut pages = 0;
    loop {
        let page = session.next_page(&mut cursor, 10_000).await.unwrap();
        pages += 1;
        assert!(
            page.rows.len() <= 11,
            "{} rows in one page",
            page.rows.len()
        );
        if page.last {
            break;
        }
    }
    assert!(pages >= 4);
}

#[tokio::test]
async fn a_result_stops_at_the_cap_on_rows() {
    let database = database();
    let limits = RunLimits {
        sql_rows: 1500,
        ..RunLimits::default()
    };
    let scope = scope_with(limits, EffectGate::open());
    let mut session = Session::open(&database.pool, &scope).await.unwrap();
    let mut cursor = execute(&mut session, ENDLESS.replace("max(x)", "x").as_str())
        .await
        .unwrap();
    let mut rows = 0;
    let error = loop {
        match session.next_page(&mut cursor, 1000).await {
            Ok(page) => {
                assert!(!page.last);
                rows += page.rows.len();
            }
            Err(error) => break error,
        }
    };
    assert_eq!(rows, 1500);
    assert_eq!(cursor.cap(), Some(Cap::Rows(1500)));
    assert_eq!(code(error), "sql.rows 1500 rows limits.sqlRows");
    assert_eq!(number(&mut session, "SELECT 7").await, 7);
}

#[tokio::test]
async fn a_result_of_exactly_the_cap_is_whole() {
    let database = database();
    let limits = RunLimits {
        sql_rows: 1500,
        ..RunLimits::default()
    };
    let scope = scope_with(limits, EffectGate::open());
    let mut session = Session::open(&database.pool, &scope).await.unwrap();
    assert_eq!(
        query(&mut session, &counting(1500)).await.unwrap().len(),
        1500
    );
}

#[tokio::test]
async fn a_result_stops_at_the_cap_on_bytes() {
    let database = database();
    let limits = RunLimits {
        sql_bytes: 1 << 20,
        ..RunLimits::default()
    };
    let scope = scope_with(limits, EffectGate::open());
    let mut session = Session::open(&database.pool, &scope).await.unwrap();
    let error = query(&mut session, "SELECT zeroblob(2000000)")
        .await
        .unwrap_err();
    assert_eq!(code(error), "sql.bytes 1048576 bytes limits.sqlBytes");
}

#[tokio::test]
async fn a_capped_returning_keeps_its_changes() {
    let database = database();
    database.run(&["CREATE TABLE t (x)"]).await;
    let limits = RunLimits {
        sql_rows: 10,
        ..RunLimits::default()
    };
    let scope = scope_with(limits, EffectGate::open());
    let mut session = Session::open(&database.pool, &scope).await.unwrap();
    let text = format!("INSERT INTO t {} RETURNING x", counting(100));
    let mut cursor = execute(&mut session, &text).await.unwrap();
    assert_eq!(
        session.next_page(&mut cursor, 50).await.unwrap().rows.len(),
        10
    );
    assert!(session.next_page(&mut cursor, 50).await.is_err());
    assert_eq!(cursor.affected(), Some(100));
    session.close().await;
    assert_eq!(database.number("SELECT count(*) FROM t").await, 100);
}

#[tokio::test]
async fn affected_rows_are_told_for_changes_alone() {
    let database = database();
    let mut session = database.session().await;
    assert_eq!(affected(&mut session, "CREATE TABLE t (x)").await, None);
    assert_eq!(
        affected(&mut session, "INSERT INTO t VALUES (1), (2), (3)").await,
        Some(3)
    );
    assert_eq!(affected(&mut session, "SELECT x FROM t").await, None);
    assert_eq!(
        affected(&mut session, "UPDATE t SET x = x WHERE x > 1").await,
        Some(2)
    );
    assert_eq!(
        affected(&mut session, "UPDATE t SET x = 0 WHERE x > 9").await,
        Some(0)
    );
    assert_eq!(
        affected(&mut session, "CREATE INDEX i ON t (x)").await,
        None
    );
    assert_eq!(affected(&mut session, "EXPLAIN DELETE FROM t").await, None);
    let with = "WITH a AS (SELECT 1 AS x) DELETE FROM t WHERE x IN (SELECT x FROM a) RETURNING x";
    assert_eq!(affected(&mut session, with).await, Some(1));
}

#[tokio::test]
async fn parameters_bind_by_name_whatever_their_sign() {
    let database = database();
    let mut session = database.session().await;
    let statement = session
        .prepare("SELECT :a || @a || $b || ?4")
        .await
        .unwrap();
    let mut bindings = Vec::new();
    for (name, value) in [("a", "x"), ("b", "'; DROP"), ("4", "!")] {
        statement
            .bind(&mut bindings, name, &Value::Text(value.to_owned()))
            .unwrap();
    }
    let mut cursor = session.execute(&statement, bindings).await.unwrap();
    let page = session.next_page(&mut cursor, 1).await.unwrap();
    assert!(matches!(&page.rows[0][0], Value::Text(text) if text == "xx'; DROP!"));
}

#[tokio::test]
async fn a_parameter_without_value_or_without_place_is_an_error() {
    let database = database();
    let mut session = database.session().await;
    let statement = session.prepare("SELECT :here, ?").await.unwrap();
    let mut bindings = Vec::new();
    let error = statement
        .bind(&mut bindings, "there", &Value::Null)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the statement has no parameter `there`; it has: :here"
    );
    statement.bind(&mut bindings, "here", &Value::Null).unwrap();
    let error = session.execute(&statement, bindings).await.unwrap_err();
    assert!(error.to_string().contains("? (number 2)"), "{error}");
    assert_eq!(code(error), "parameter_mismatch");
}

#[tokio::test]
async fn a_syntax_error_names_its_place() {
    let database = database();
    let mut session = database.session().await;
    let text = "\n  SELECT 'ä',\n  FROM t";
    let error = session.prepare(text).await.unwrap_err();
    let SqlError::Database {
        code,
        message,
        position,
        ..
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(
        (code, message.as_str()),
        ("syntax_error", "near \"FROM\": syntax error")
    );
    let position = position.unwrap();
    assert_eq!((position.line, position.column), (2, 3));
}

#[tokio::test]
async fn errors_of_the_data_have_their_code() {
    let database = database();
    database
        .run(&[
            "CREATE TABLE p (id INTEGER PRIMARY KEY)",
            "CREATE TABLE c (p REFERENCES p)",
        ])
        .await;
    let mut session = database.session().await;
    let error = query(&mut session, "INSERT INTO c VALUES (5)")
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            SqlError::Database {
                sqlite_code: 787,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(code(error), "constraint_violation");
    let error = query(&mut session, "SELECT * FROM missing")
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "no such table: missing");
    assert_eq!(code(error), "sql_error");
}

#[tokio::test]
async fn a_text_is_one_statement() {
    let database = database();
    let mut session = database.session().await;
    for text in [
        "SELECT 1; DELETE FROM t",
        "SELECT 1; SELECT 2",
        "",
        " -- nothing\n",
        "SELECT\0 1",
    ] {
        let error = session.prepare(text).await.unwrap_err();
        assert!(
            matches!(
                error,
                SqlError::NotOneStatement(_) | SqlError::Database { .. }
            ),
            "{text:?}: {error:?}"
        );
    }
    assert_eq!(number(&mut session, "SELECT 1 ; ; -- the end").await, 1);
    let many = format!("SELECT 1{}", ";".repeat(500_000));
    assert_eq!(number(&mut session, &many).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_statement_is_stopped_at_once() {
    let database = database();
    for (reason, expected) in [
        (StopReason::Cancelled, "cancelled"),
        (StopReason::TimedOut, "timed out"),
    ] {
        let scope = scope();
        let mut session = Session::open(&database.pool, &scope).await.unwrap();
        let stopper = scope.clone();
        let stop = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            stopper.stop(reason);
            Instant::now()
        });
        let error = query(&mut session, ENDLESS).await.unwrap_err();
        assert_eq!(code(error), expected);
        assert!(stop.await.unwrap().elapsed() < Duration::from_millis(200));
        assert!(session.close().await.cpu_time > Duration::ZERO);
        assert_eq!(database.number("SELECT 5").await, 5);
    }
    assert_eq!(database.pool.idle_connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_run_stops_its_statement() {
    let database = database();
    database.run(&["CREATE TABLE t (x)"]).await;
    let mut session = database.session().await;
    query(&mut session, "BEGIN IMMEDIATE").await.unwrap();
    let running = tokio::spawn(async move { query(&mut session, ENDLESS).await.map(drop) });
    tokio::time::sleep(Duration::from_millis(50)).await;
    running.abort();
    // The write lock is free again, so the transaction was rolled back.
    database.run(&["INSERT INTO t VALUES (1)"]).await;
    assert_eq!(database.number("SELECT count(*) FROM t").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_can_not_be_interrupted_does_not_hold_the_run() {
    let database = database();
    let scope = scope();
    let mut session = Session::open(&database.pool, &scope).await.unwrap();
    let stopper = scope.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stopper.stop(StopReason::TimedOut);
    });
    let begun = Instant::now();
    let text = "SELECT instr(replace(hex(zeroblob(400000)), '0', 'a'),
                             replace(hex(zeroblob(200000)), '0', 'a') || 'b')";
    let error = query(&mut session, text).await.unwrap_err();
    session.close().await;
    assert!(matches!(error, SqlError::Stopped(_)), "{error:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(database.number("SELECT 5").await, 5);
}

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
    let config = ConnectionConfig::Sqlite {
        path,
        read_only: true,
    };
    let pool = Pool::new("reader", &config, &SqliteOptions::default());
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
