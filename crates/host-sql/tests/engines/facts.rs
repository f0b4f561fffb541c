//! Facts that hold for every kind of database.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use jobcell_plugin_host::bindings::sql::Value;
use jobcell_plugin_host::scope::StopReason;

use crate::engine::Engine;
use crate::session::{Run, detail, fact, text};

type Work<'e> = Pin<Box<dyn Future<Output = ()> + Send + 'e>>;

/// Something that is so, and of which kinds of databases.
pub(crate) struct Fact {
    pub(crate) name: &'static str,
    pub(crate) of: fn(&Engine) -> bool,
    pub(crate) run: for<'e> fn(&'e Engine) -> Work<'e>,
}

/// A list of facts by the names of their functions.
macro_rules! facts {
    ($of:expr => $($name:ident),* $(,)?) => {
        &[$($crate::facts::Fact {
            name: stringify!($name),
            of: $of,
            run: |engine| Box::pin($name(engine)),
        }),*]
    };
}
pub(crate) use facts;

/// What SQL Server has no words for.
pub(crate) static NOT_FOR_BATCHES: &[Fact] = facts!(|engine| !engine.is_sqlserver() =>
    an_open_transaction_is_followed_and_rolled_back,
    a_run_finds_nothing_of_the_one_before,
    a_read_only_connection_writes_nothing,
    no_text_is_not_a_statement,
);

pub(crate) static ALL: &[Fact] = facts!(|_| true =>
    a_statement_gives_rows_and_counts,
    parameters_are_bound_and_never_pasted,
    a_missing_parameter_is_named,
    a_syntax_error_is_placed,
    a_broken_constraint_is_told_as_such,
    a_result_is_cut_and_the_session_goes_on,
    a_cancel_ends_the_statement_at_once,
    a_session_that_is_dropped_leaves_no_transaction,
);

/// A table that is this test's own.
pub(crate) async fn table(run: &mut Run, name: &str, columns: &str) {
    run.query(&format!("DROP TABLE IF EXISTS {name}"))
        .await
        .unwrap();
    run.query(&format!("CREATE TABLE {name} ({columns})"))
        .await
        .unwrap();
}

async fn a_statement_gives_rows_and_counts(engine: &Engine) {
    let mut run = engine.run().await;
    table(&mut run, "counted", "id INT PRIMARY KEY, name VARCHAR(20)").await;
    let found = run
        .query("INSERT INTO counted VALUES (1, 'a'), (2, NULL), (3, '')")
        .await
        .unwrap();
    assert_eq!((found.affected, found.columns.len()), (Some(3), 0));
    let found = run
        .query("UPDATE counted SET name = 'x' WHERE id > 1")
        .await
        .unwrap();
    assert_eq!(found.affected, Some(2));
    run.query("UPDATE counted SET name = '' WHERE id = 3")
        .await
        .unwrap();
    run.query("UPDATE counted SET name = NULL WHERE id = 2")
        .await
        .unwrap();
    let found = run
        .query("SELECT id, name FROM counted ORDER BY id")
        .await
        .unwrap();
    let names: Vec<_> = found
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(names, ["id", "name"]);
    let expected = [
        vec![Value::Integer(1), text("a")],
        vec![Value::Integer(2), Value::Null],
        vec![Value::Integer(3), text("")],
    ];
    assert_eq!(format!("{:?}", found.rows), format!("{expected:?}"));
    assert!(!run.end().await);
}

async fn parameters_are_bound_and_never_pasted(engine: &Engine) {
    let mut run = engine.run().await;
    table(&mut run, "bound", "id INT, name VARCHAR(100)").await;
    for (id, name) in ["'; DROP TABLE bound; --", "ä\n\"\\", ":id", "", "7"]
        .iter()
        .enumerate()
    {
        let values = [("id", Value::Integer(id as i64)), ("name", text(name))];
        run.bound("INSERT INTO bound VALUES (:id, :name)", &values)
            .await
            .unwrap();
        let query = "SELECT id FROM bound WHERE name = :name AND id = :id AND ':id' <> 'x'";
        let found = run.bound(query, &values).await.unwrap();
        assert_eq!(found.rows.len(), 1, "{name}");
    }
    let values = [
        ("a", Value::Integer(7)),
        ("b", Value::Real(0.5)),
        ("c", Value::Null),
    ];
    let found = run
        .bound("SELECT :a + 1, :b, :c, :a", &values)
        .await
        .unwrap();
    let row = format!("{:?}", found.rows[0]);
    let expected = [
        Value::Integer(8),
        Value::Real(0.5),
        Value::Null,
        Value::Integer(7),
    ];
    assert_eq!(row, format!("{expected:?}"));
    run.end().await;
}

async fn a_missing_parameter_is_named(engine: &Engine) {
    let mut run = engine.run().await;
    let error = run
        .bound("SELECT :here, :gone", &[("here", Value::Null)])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
    let error = run
        .bound("SELECT 1", &[("more", Value::Null)])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no parameter `more`"), "{error}");
    // Neither has hurt the session.
    assert_eq!(run.number("SELECT 1").await, 1);
    run.end().await;
}

async fn a_syntax_error_is_placed(engine: &Engine) {
    let mut run = engine.run().await;
    let failure = run.failure("SELECT 1,\n  'ä', FROM FROM t").await;
    assert_eq!(failure.code, "syntax_error", "{failure:?}");
    assert_eq!(fact(&failure, "line"), Some("2"), "{failure:?}");
    let values = [("long_name", Value::Integer(1))];
    let error = run
        .bound("SELECT :long_name,\n:long_name FROM FROM", &values)
        .await
        .unwrap_err();
    let failure = detail(error);
    assert_eq!(
        (failure.code.as_str(), fact(&failure, "line")),
        ("syntax_error", Some("2"))
    );
    if engine.name == "postgresql" {
        assert_eq!(fact(&failure, "column"), Some("17"), "{failure:?}");
        assert_eq!(fact(&failure, "sqlstate"), Some("42601"));
    }
    assert_eq!(run.number("SELECT 1").await, 1);
    run.end().await;
}

async fn a_broken_constraint_is_told_as_such(engine: &Engine) {
    let mut run = engine.run().await;
    table(&mut run, "unique_once", "id INT PRIMARY KEY").await;
    run.query("INSERT INTO unique_once VALUES (1)")
        .await
        .unwrap();
    let failure = run.failure("INSERT INTO unique_once VALUES (1)").await;
    assert_eq!(failure.code, "constraint_violation", "{failure:?}");
    let own = engine.word("sqlite-code", "sqlstate", "mysql-code", "mssql-code");
    assert!(fact(&failure, own).is_some(), "{failure:?}");
    run.end().await;
}

async fn an_open_transaction_is_followed_and_rolled_back(engine: &Engine) {
    let mut run = engine.run().await;
    table(&mut run, "followed", "id INT").await;
    for (statement, open) in [
        ("SELECT 1", false),
        ("BEGIN", true),
        ("INSERT INTO followed VALUES (1)", true),
        ("SAVEPOINT s", true),
        ("INSERT INTO followed VALUES (2)", true),
        ("ROLLBACK TO SAVEPOINT s", true),
        ("COMMIT", false),
        ("BEGIN", true),
        ("INSERT INTO followed VALUES (3)", true),
    ] {
        run.query(statement).await.unwrap();
        assert_eq!(run.session.in_transaction(), open, "after {statement}");
    }
    assert!(run.end().await, "it was open");
    let mut run = engine.run().await;
    assert_eq!(
        run.number("SELECT count(*) FROM followed WHERE id = 1")
            .await,
        1
    );
    assert_eq!(run.number("SELECT count(*) FROM followed").await, 1);
    assert!(!run.end().await);
}

async fn a_run_finds_nothing_of_the_one_before(engine: &Engine) {
    let capability = engine.with(|server| server.max_open = 1);
    let mut run = Run::begin(&capability).await;
    run.query("CREATE TEMPORARY TABLE left_behind (id INT)")
        .await
        .unwrap();
    let setting = engine.word(
        "SELECT 1",
        "SET statement_timeout = '7s'",
        "SET SESSION max_statement_time = 7",
        "",
    );
    run.query(setting).await.unwrap();
    if engine.name == "postgresql" {
        run.query("SELECT pg_advisory_lock(42)").await.unwrap();
        run.query("PREPARE p AS SELECT 1").await.unwrap();
    }
    run.end().await;
    let mut run = Run::begin(&capability).await;
    assert!(run.query("SELECT * FROM left_behind").await.is_err());
    if engine.name == "postgresql" {
        let setting = run.value("SHOW statement_timeout").await;
        assert_eq!(format!("{setting:?}"), format!("{:?}", text("0")));
        assert_eq!(
            run.number("SELECT count(*) FROM pg_prepared_statements WHERE from_sql")
                .await,
            0
        );
        let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42";
        assert_eq!(run.number(locks).await, 0);
    }
    if engine.name == "mariadb" {
        let setting = run.value("SELECT @@max_statement_time").await;
        assert_eq!(format!("{setting:?}"), format!("{:?}", Value::Real(0.0)));
        let name = run.value("SELECT 'ä€😀'").await;
        assert_eq!(format!("{name:?}"), format!("{:?}", text("ä€😀")));
    }
    run.end().await;
}

async fn a_read_only_connection_writes_nothing(engine: &Engine) {
    let mut run = engine.run().await;
    table(&mut run, "only_read", "id INT").await;
    run.query("INSERT INTO only_read VALUES (1)").await.unwrap();
    run.end().await;
    let mut run = Run::begin(&engine.read_only()).await;
    assert_eq!(run.number("SELECT count(*) FROM only_read").await, 1);
    for text in [
        "INSERT INTO only_read VALUES (2)",
        "DELETE FROM only_read",
        "CREATE TABLE another (id INT)",
        "DROP TABLE only_read",
    ] {
        let failure = run.failure(text).await;
        assert!(
            failure.message.contains("read-only") || failure.message.contains("READ ONLY"),
            "{failure:?}"
        );
    }
    assert_eq!(run.number("SELECT count(*) FROM only_read").await, 1);
    assert!(
        !run.session.in_transaction(),
        "our own is nobody's business"
    );
    for (statement, open) in [
        ("BEGIN", true),
        ("SELECT 1", true),
        ("COMMIT", false),
        ("SELECT 1", false),
    ] {
        run.query(statement).await.unwrap();
        assert_eq!(run.session.in_transaction(), open, "after {statement}");
    }
    assert!(!run.end().await);
}

/// So many rows.
pub(crate) fn many(engine: &Engine, rows: u64) -> String {
    let sqlite = format!(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {rows}) SELECT x FROM n"
    );
    let postgresql = format!("SELECT x FROM generate_series(1, {rows}) AS n(x)");
    let mysql = format!("SELECT seq FROM seq_1_to_{rows}");
    let sqlserver = format!("SELECT value FROM GENERATE_SERIES(1, {rows})");
    engine
        .word(&sqlite, &postgresql, &mysql, &sqlserver)
        .to_owned()
}

async fn a_result_is_cut_and_the_session_goes_on(engine: &Engine) {
    let mut run = engine.run().await;
    for _ in 0..2 {
        let found = run.query(&many(engine, 1_000_000)).await.unwrap();
        assert!(found.cut);
        assert_eq!(found.rows.len(), 10_000);
        assert_eq!(run.number("SELECT 1").await, 1);
    }
    run.query(engine.begin()).await.unwrap();
    let found = run.query(&many(engine, 20_000)).await.unwrap();
    assert!(found.cut);
    assert!(run.session.in_transaction());
    run.query("COMMIT").await.unwrap();
    let found = run.query(&many(engine, 10_000)).await.unwrap();
    assert!(!found.cut);
    run.end().await;
}

/// A statement that takes ten minutes.
pub(crate) fn slow(engine: &Engine) -> String {
    let sqlite = many(engine, 100_000_000_000).replace("SELECT x FROM n", "SELECT count(*) FROM n");
    engine
        .word(
            &sqlite,
            "SELECT pg_sleep(600)",
            "SELECT SLEEP(600)",
            "WAITFOR DELAY '00:10:00'",
        )
        .to_owned()
}

/// Runs something slow and stops it; how long the stop took.
async fn stopped(mut run: Run, slow: &str, reason: StopReason) -> Duration {
    let scope = run.scope.clone();
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        scope.stop(reason);
        Instant::now()
    };
    let (ended, begun) = tokio::join!(run.query(slow), stopping);
    let took = begun.elapsed();
    let error = ended.unwrap_err();
    assert_eq!(error.to_string(), "the run was stopped");
    run.end().await;
    took
}

async fn a_cancel_ends_the_statement_at_once(engine: &Engine) {
    for reason in [StopReason::Cancelled, StopReason::TimedOut] {
        let took = stopped(engine.run().await, &slow(engine), reason).await;
        assert!(took < Duration::from_millis(500), "{took:?}");
    }
}

async fn a_session_that_is_dropped_leaves_no_transaction(engine: &Engine) {
    let mut run = engine.run().await;
    table(&mut run, "dropped_run", "id INT").await;
    run.query(engine.begin()).await.unwrap();
    run.query("INSERT INTO dropped_run VALUES (1)")
        .await
        .unwrap();
    drop(run);
    let mut run = engine.run().await;
    // Waits for the lock where one is held.
    run.query("INSERT INTO dropped_run VALUES (2)")
        .await
        .unwrap();
    assert_eq!(run.number("SELECT count(*) FROM dropped_run").await, 1);
    run.end().await;
}

async fn no_text_is_not_a_statement(engine: &Engine) {
    let mut run = engine.run().await;
    for text in ["", "  \n", "SELECT '\0'", "SELECT 1; SELECT 2"] {
        // MySQL's protocol takes several, and their results all count.
        let several = text.contains("2") && engine.name == "mariadb";
        assert_eq!(run.all(text, &[]).await.is_err(), !several, "{text:?}");
    }
    assert_eq!(run.number("SELECT 1").await, 1);
    run.end().await;
}
