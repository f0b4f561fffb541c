//! Facts that hold for every kind of database, and those that hold for servers.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use jobcell_host_sql::{Password, Tls, TlsMode};
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

const ANY: &[Fact] = facts!(|_| true =>
    a_statement_gives_rows_and_counts,
    parameters_are_bound_and_never_pasted,
    a_missing_parameter_is_named,
    a_syntax_error_is_placed,
    a_broken_constraint_is_told_as_such,
    an_open_transaction_is_followed_and_rolled_back,
    a_run_finds_nothing_of_the_one_before,
    a_read_only_connection_writes_nothing,
    a_result_is_cut_and_the_session_goes_on,
    a_cancel_ends_the_statement_at_once,
    a_session_that_is_dropped_leaves_no_transaction,
    no_text_is_not_a_statement,
);

const SERVERS: &[Fact] = facts!(Engine::is_server =>
    a_cancel_leaves_no_trace_on_the_server,
    a_cursor_that_is_dropped_is_not_computed_to_its_end,
    what_is_enough_is_not_computed_to_its_end,
    a_cut_result_undoes_nothing,
    two_hundred_runs_share_ten_connections,
    a_wrong_password_is_told_and_never_shown,
    a_missing_database_is_told,
    a_server_that_is_not_there_is_told,
    what_may_not_be_done_is_told,
    a_deadlock_is_told_as_such,
    a_lost_connection_is_told_and_the_next_run_works,
    an_idle_connection_is_closed,
    messages_of_the_server_arrive,
    tls_is_asked_for_as_configured,
    a_read_only_connection_can_t_be_talked_out_of_it,
    several_results_all_count,
);

/// All of them.
pub(crate) static ALL: std::sync::LazyLock<Vec<&'static Fact>> =
    std::sync::LazyLock::new(|| ANY.iter().chain(SERVERS).collect());

/// A table that is this test's own.
async fn table(run: &mut Run, name: &str, columns: &str) {
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
    let own = engine.word("sqlite-code", "sqlstate", "mysql-code");
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

async fn a_read_only_connection_can_t_be_talked_out_of_it(engine: &Engine) {
    let mut run = engine.run().await;
    table(&mut run, "guarded", "id INT").await;
    run.end().await;
    let mut run = Run::begin(&engine.read_only()).await;
    let tricks = [
        "COMMIT",
        "ROLLBACK",
        "BEGIN",
        "COMMIT AND CHAIN",
        "START TRANSACTION READ WRITE",
        "SET TRANSACTION READ WRITE",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SET default_transaction_read_only = off",
        "SET SESSION TRANSACTION READ WRITE",
        "SELECT nonsense",
        "COMMIT AND CHAIN",
        "SET TRANSACTION READ WRITE",
    ];
    for trick in tricks {
        // Some are refused, which is as good.
        drop(run.query(trick).await);
        let refused = run.query("INSERT INTO guarded VALUES (1)").await;
        assert!(refused.is_err(), "after {trick}");
        let refused = run.query("CREATE TABLE guarded_not (id INT)").await;
        assert!(refused.is_err(), "after {trick}");
    }
    run.end().await;
    let mut run = engine.run().await;
    assert_eq!(run.number("SELECT count(*) FROM guarded").await, 0);
    run.end().await;
}

/// So many rows.
fn many(engine: &Engine, rows: u64) -> String {
    let sqlite = format!(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {rows}) SELECT x FROM n"
    );
    let postgresql = format!("SELECT x FROM generate_series(1, {rows}) AS n(x)");
    let mysql = format!("SELECT seq FROM seq_1_to_{rows}");
    engine.word(&sqlite, &postgresql, &mysql).to_owned()
}

async fn a_result_is_cut_and_the_session_goes_on(engine: &Engine) {
    let mut run = engine.run().await;
    for _ in 0..2 {
        let found = run.query(&many(engine, 1_000_000)).await.unwrap();
        assert!(found.cut);
        assert_eq!(found.rows.len(), 10_000);
        assert_eq!(run.number("SELECT 1").await, 1);
    }
    run.query("BEGIN").await.unwrap();
    let found = run.query(&many(engine, 20_000)).await.unwrap();
    assert!(found.cut);
    assert!(run.session.in_transaction());
    run.query("COMMIT").await.unwrap();
    let found = run.query(&many(engine, 10_000)).await.unwrap();
    assert!(!found.cut);
    run.end().await;
}

/// A statement that takes ten minutes.
fn slow(engine: &Engine) -> String {
    let sqlite = many(engine, 100_000_000_000).replace("SELECT x FROM n", "SELECT count(*) FROM n");
    engine
        .word(&sqlite, "SELECT pg_sleep(600)", "SELECT SLEEP(600)")
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

/// Asks whether a run's connection does something on the server.
async fn busy(engine: &Engine, run: &mut Run) -> String {
    let own = engine.word("", "SELECT pg_backend_pid()", "SELECT connection_id()");
    let id = run.number(own).await;
    match engine.name {
        "postgresql" => {
            format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {id} AND state = 'active'")
        }
        _ => format!(
            "SELECT count(*) FROM information_schema.processlist WHERE id = {id} AND info IS NOT NULL"
        ),
    }
}

async fn a_cancel_leaves_no_trace_on_the_server(engine: &Engine) {
    let mut watch = engine.run().await;
    let capability = engine.capability();
    let mut run = Run::begin(&capability).await;
    let busy = busy(engine, &mut run).await;
    let scope = run.scope.clone();
    let watching = async {
        while watch.number(&busy).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let begun = Instant::now();
        scope.stop(StopReason::Cancelled);
        while watch.number(&busy).await > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        begun.elapsed()
    };
    let slow = slow(engine);
    let (ended, took) = tokio::join!(run.query(&slow), watching);
    assert!(ended.is_err());
    assert!(took < Duration::from_millis(200), "{took:?}");
    println!("{}: stopped on the server after {took:?}", engine.name);
    run.end().await;
    // The connection that was stopped is not used again.
    let mut next = Run::begin(&capability).await;
    assert_eq!(next.number("SELECT 1").await, 1);
    next.end().await;
    watch.end().await;
}

async fn a_cursor_that_is_dropped_is_not_computed_to_its_end(engine: &Engine) {
    let mut watch = engine.run().await;
    let mut run = engine.run().await;
    let busy = busy(engine, &mut run).await;
    let text = engine.word(
        "",
        "SELECT x, pg_sleep(CASE WHEN x > 5000 THEN 600 ELSE 0 END) FROM generate_series(1, 10000) AS n(x)",
        "SELECT seq, IF(seq > 5000, SLEEP(600), 0), REPEAT('x', 1000) FROM seq_1_to_10000",
    );
    let statement = run.session.prepare(text).await.unwrap();
    let mut cursor = run.session.execute(statement).await.unwrap();
    run.session.next_page(&mut cursor, 10).await.unwrap();
    drop(cursor);
    drop(run);
    let begun = Instant::now();
    while watch.number(&busy).await > 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "it goes on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    watch.end().await;
}

async fn what_is_enough_is_not_computed_to_its_end(engine: &Engine) {
    let mut run = engine.run().await;
    let begun = Instant::now();
    // Hours of it.
    let endless = engine.word(
        "",
        "SELECT generate_series(1, 100000000000)",
        "SELECT a.seq FROM seq_1_to_10000000 AS a, seq_1_to_100000 AS b",
    );
    let found = run.query(endless).await.unwrap();
    assert!(found.cut);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(run.number("SELECT 1").await, 1);
    assert_eq!(run.number("SELECT 2").await, 2);
    run.end().await;
}

async fn a_cut_result_undoes_nothing(engine: &Engine) {
    if engine.name != "postgresql" {
        return;
    }
    let mut run = engine.run().await;
    table(&mut run, "kept", "id INT").await;
    run.query(
        "CREATE OR REPLACE FUNCTION keep(x int) RETURNS int LANGUAGE sql AS $$ INSERT INTO kept VALUES (x) RETURNING id; $$",
    )
    .await
    .unwrap();
    let found = run
        .query("SELECT keep(x) FROM generate_series(1, 15000) AS n(x)")
        .await
        .unwrap();
    assert!(found.cut);
    assert_eq!(run.number("SELECT count(*) FROM kept").await, 15_000);
    run.end().await;
}

async fn two_hundred_runs_share_ten_connections(engine: &Engine) {
    let capability = engine.capability();
    let mut runs = Vec::new();
    for number in 0..200_i64 {
        let capability = capability.clone();
        let nap = engine
            .word("", "SELECT pg_sleep(0.02)", "SELECT SLEEP(0.02)")
            .to_owned();
        runs.push(tokio::spawn(async move {
            let mut run = Run::begin(&capability).await;
            run.query(&nap).await.unwrap();
            let found = run
                .bound("SELECT :n", &[("n", Value::Integer(number))])
                .await
                .unwrap();
            let (output, _) = run.scope.output().take();
            let logged = output.text_of(|_| true);
            run.end().await;
            assert_eq!(
                format!("{:?}", found.rows[0][0]),
                format!("{:?}", Value::Integer(number))
            );
            logged
        }));
    }
    let mut waited = 0;
    for run in runs {
        let log = run.await.unwrap();
        waited += u32::from(log.contains("for one of the 10 connections to `test`"));
    }
    assert!(waited > 100, "{waited}");
    let mut watch = engine.run().await;
    let open = engine.word(
        "",
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'jobcell' AND pid <> pg_backend_pid()",
        "SELECT count(*) FROM information_schema.processlist WHERE id <> connection_id() AND user = 'admin'",
    );
    let open = watch.number(open).await;
    println!(
        "{}: {open} connections are open after it, other tests' among them",
        engine.name
    );
    watch.end().await;
    capability.close().await;
}

async fn a_wrong_password_is_told_and_never_shown(engine: &Engine) {
    let wrong = engine.with(|server| {
        server.password = Some(Password::new("wr0ng-secret".to_owned()));
    });
    let error = Run::try_begin(&wrong).await.err().unwrap();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("wr0ng-secret"), "{shown}");
    let failure = detail(error);
    assert_eq!(failure.code, "authentication_failed", "{failure:?}");
    assert!(failure.message.contains("`test`"), "{failure:?}");
}

async fn a_missing_database_is_told(engine: &Engine) {
    let missing = engine.with(|server| server.database = Some("nowhere".to_owned()));
    let failure = detail(Run::try_begin(&missing).await.err().unwrap());
    assert_eq!(failure.code, "connection_failed", "{failure:?}");
    assert!(failure.message.contains("nowhere"), "{failure:?}");
}

async fn a_server_that_is_not_there_is_told(engine: &Engine) {
    let closed = engine.with(|server| server.port = Some(1));
    let failure = detail(Run::try_begin(&closed).await.err().unwrap());
    assert_eq!(failure.code, "connection_failed", "{failure:?}");
    assert!(failure.message.contains("127.0.0.1:1"), "{failure:?}");
    // Nobody answers there.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let hung = engine.with(|server| {
        server.port = Some(port);
        server.connect_timeout = Duration::from_millis(300);
    });
    let begun = Instant::now();
    let failure = detail(Run::try_begin(&hung).await.err().unwrap());
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(failure.message.contains("connectTimeout"), "{failure:?}");
}

async fn what_may_not_be_done_is_told(engine: &Engine) {
    let mut run = engine.run().await;
    table(&mut run, "not_for_all", "id INT").await;
    run.end().await;
    let weak = engine.with(|server| {
        server.username = "weak".to_owned();
        server.password = Some(Password::new("weak".to_owned()));
    });
    let mut run = Run::begin(&weak).await;
    let failure = run.failure("DELETE FROM not_for_all").await;
    assert_eq!(failure.code, "permission_denied", "{failure:?}");
    run.end().await;
}

async fn a_deadlock_is_told_as_such(engine: &Engine) {
    let (mut one, mut other) = (engine.run().await, engine.run().await);
    table(&mut one, "locked", "id INT PRIMARY KEY, x INT").await;
    one.query("INSERT INTO locked VALUES (1, 0), (2, 0)")
        .await
        .unwrap();
    one.query("BEGIN").await.unwrap();
    other.query("BEGIN").await.unwrap();
    one.query("UPDATE locked SET x = 1 WHERE id = 1")
        .await
        .unwrap();
    other
        .query("UPDATE locked SET x = 2 WHERE id = 2")
        .await
        .unwrap();
    let (first, second) = tokio::join!(
        one.query("UPDATE locked SET x = 1 WHERE id = 2"),
        other.query("UPDATE locked SET x = 2 WHERE id = 1"),
    );
    let failed: Vec<_> = [first, second]
        .into_iter()
        .filter_map(Result::err)
        .collect();
    assert_eq!(failed.len(), 1);
    let failure = detail(failed.into_iter().next().unwrap());
    assert_eq!(failure.code, "deadlock", "{failure:?}");
    one.end().await;
    other.end().await;
}

async fn a_lost_connection_is_told_and_the_next_run_works(engine: &Engine) {
    let capability = engine.with(|server| server.max_open = 1);
    let mut run = Run::begin(&capability).await;
    let own = engine.word("", "SELECT pg_backend_pid()", "SELECT connection_id()");
    let id = run.number(own).await;
    let mut other = engine.run().await;
    let kill = match engine.name {
        "postgresql" => format!("SELECT pg_terminate_backend({id})"),
        _ => format!("KILL {id}"),
    };
    other.query(&kill).await.unwrap();
    other.end().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let failure = run.failure("SELECT 1").await;
    assert_eq!(failure.code, "connection_failed", "{failure:?}");
    run.end().await;
    let mut run = Run::begin(&capability).await;
    assert_eq!(run.number("SELECT 1").await, 1);
    run.end().await;
}

async fn an_idle_connection_is_closed(engine: &Engine) {
    let capability = engine.with(|server| server.idle_time = Duration::from_millis(200));
    let mut run = Run::begin(&capability).await;
    let own = engine.word("", "SELECT pg_backend_pid()", "SELECT connection_id()");
    let id = run.number(own).await;
    run.end().await;
    let mut watch = engine.run().await;
    let there = match engine.name {
        "postgresql" => format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {id}"),
        _ => format!("SELECT count(*) FROM information_schema.processlist WHERE id = {id}"),
    };
    let begun = Instant::now();
    while watch.number(&there).await > 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "it is still open"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    watch.end().await;
}

async fn messages_of_the_server_arrive(engine: &Engine) {
    let mut run = engine.run().await;
    let (statement, severity, part) = if engine.name == "postgresql" {
        (
            "DO $$ BEGIN RAISE NOTICE 'so far: %', 7; END $$",
            "notice",
            "so far: 7",
        )
    } else {
        ("SELECT CAST('7x' AS INT)", "warning", "7x")
    };
    run.query(statement).await.unwrap();
    let messages = run.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(messages[0].severity, severity);
    assert!(messages[0].text.contains(part), "{messages:?}");
    assert!(run.messages().is_empty());
    run.end().await;
}

async fn tls_is_asked_for_as_configured(engine: &Engine) {
    let tls = |mode, ca: Option<&std::path::Path>| Tls {
        mode,
        ca_file: ca.map(Into::into),
    };
    if engine.name == "mariadb" {
        // This one has no certificate.
        let required = engine.with(|server| server.tls = tls(TlsMode::Require, None));
        let failure = detail(Run::try_begin(&required).await.err().unwrap());
        assert_eq!(failure.code, "connection_failed", "{failure:?}");
        return;
    }
    let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let certificate = Some(engine.certificate.as_path());
    for (host, tls, expected) in [
        ("127.0.0.1", tls(TlsMode::Disable, None), Some(false)),
        ("127.0.0.1", tls(TlsMode::Prefer, None), Some(true)),
        ("127.0.0.1", tls(TlsMode::Require, None), Some(true)),
        (
            "localhost",
            tls(TlsMode::VerifyFull, certificate),
            Some(true),
        ),
        // Not the name that it is made for, and nobody who vouches for it.
        ("127.0.0.1", tls(TlsMode::VerifyFull, certificate), None),
        ("localhost", tls(TlsMode::VerifyFull, None), None),
    ] {
        let mode = tls.mode;
        let capability = engine.with(|server| {
            server.host = host.to_owned();
            server.tls = tls;
        });
        match (Run::try_begin(&capability).await, expected) {
            (Ok(mut run), Some(expected)) => {
                let shown = run.value(encrypted).await;
                assert_eq!(
                    format!("{shown:?}"),
                    format!("{:?}", Value::Boolean(expected)),
                    "{mode:?}"
                );
                run.end().await;
            }
            (Err(error), None) => {
                assert!(error.to_string().contains("certificate"), "{error}");
            }
            (run, _) => panic!("{host} {mode:?}: {:?}", run.err()),
        }
    }
}

async fn several_results_all_count(engine: &Engine) {
    if engine.name != "mariadb" {
        return;
    }
    let mut run = engine.run().await;
    run.query("DROP PROCEDURE IF EXISTS several").await.unwrap();
    run.query("CREATE PROCEDURE several() BEGIN SELECT 1; SELECT 2, 3; SELECT 4 WHERE 0; END")
        .await
        .unwrap();
    let all = run.all("CALL several()", &[]).await.unwrap();
    let shape: Vec<_> = all
        .iter()
        .map(|found| (found.columns.len(), found.rows.len()))
        .collect();
    assert_eq!(shape, [(1, 1), (2, 1), (1, 0)]);
    assert_eq!(run.number("SELECT 1").await, 1);
    run.end().await;
}

async fn a_session_that_is_dropped_leaves_no_transaction(engine: &Engine) {
    let mut run = engine.run().await;
    table(&mut run, "dropped_run", "id INT").await;
    run.query("BEGIN").await.unwrap();
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
