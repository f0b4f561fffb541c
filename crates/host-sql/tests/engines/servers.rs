//! Facts that hold for every server.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jobcell_host_sql::{Password, Tls, TlsMode};
use jobcell_plugin_host::bindings::sql::Value;
use jobcell_plugin_host::scope::StopReason;

use crate::engine::Engine;
use crate::facts::{Fact, facts, slow, table};
use crate::session::{Run, detail};

pub(crate) static ALL: &[Fact] = facts!(Engine::is_server =>
    a_cancel_leaves_no_trace_on_the_server,
    two_hundred_runs_share_ten_connections,
    a_wrong_password_is_told_and_never_shown,
    a_missing_database_is_told,
    a_server_that_is_not_there_is_told,
    a_deadlock_is_told_as_such,
    a_lost_connection_is_told_and_the_next_run_works,
    an_idle_connection_is_closed,
    a_statement_has_no_more_time_than_its_connection_gives,
    messages_of_the_server_arrive,
);

/// What SQL Server has no words for; its own suite has what stands for it.
pub(crate) static NOT_FOR_BATCHES: &[Fact] = facts!(Engine::runs_statements =>
    a_cursor_that_is_dropped_is_not_computed_to_its_end,
    what_is_enough_is_not_computed_to_its_end,
    a_cut_result_undoes_nothing,
    a_cut_result_tells_how_many_rows_there_are,
    what_may_not_be_done_is_told,
    tls_is_asked_for_as_configured,
    a_read_only_connection_can_t_be_talked_out_of_it,
    several_results_all_count,
);

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

/// Asks whether a run's connection does something on the server.
async fn busy(engine: &Engine, run: &mut Run) -> String {
    let own = engine.own_number();
    let id = run.number(own).await;
    match engine.name {
        "postgresql" => {
            format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {id} AND state = 'active'")
        }
        "sqlserver" => {
            format!("SELECT count(*) FROM sys.dm_exec_requests WHERE session_id = {id}")
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
    eprintln!("{}: stopped on the server after {took:?}", engine.name);
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
        "",
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
        "",
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

async fn a_cut_result_tells_how_many_rows_there_are(engine: &Engine) {
    let mut run = engine.run().await;
    run.query("BEGIN").await.unwrap();
    let many = engine.word(
        "",
        "SELECT x FROM generate_series(1, 15000) AS n(x)",
        "SELECT seq FROM seq_1_to_15000",
        "",
    );
    let found = run.query(many).await.unwrap();
    assert_eq!((found.rows.len(), found.cut), (10_000, true));
    assert_eq!(found.total, Some(15_000));
    run.end().await;
}

async fn two_hundred_runs_share_ten_connections(engine: &Engine) {
    let capability = engine.capability();
    let nap = engine.word(
        "",
        "SELECT pg_sleep(0.02)",
        "SELECT SLEEP(0.02)",
        "WAITFOR DELAY '00:00:00.020'; SELECT 1",
    );
    let own = engine.own_number();
    let runs = (0..200_i64).map(|number| {
        let capability = capability.clone();
        tokio::spawn(async move {
            let mut run = Run::begin(&capability).await;
            run.query(nap).await.unwrap();
            let values = [("n", Value::Integer(number))];
            let found = run.bound("SELECT :n", &values).await.unwrap();
            let shown = format!("{:?}", found.rows[0][0]);
            assert_eq!(shown, format!("{:?}", Value::Integer(number)));
            let id = run.number(own).await;
            let (output, _) = run.scope.output().take();
            run.end().await;
            (id, output.text_of(|_| true))
        })
    });
    let (mut waited, mut used) = (0, BTreeSet::new());
    for run in runs.collect::<Vec<_>>() {
        let (id, log) = run.await.unwrap();
        used.insert(id);
        waited += u32::from(log.contains("for one of the 10 connections to `test`"));
    }
    assert!(waited > 100, "{waited}");
    assert_eq!(used.len(), 10, "{used:?}");
    capability.close().await;
    let mut watch = engine.run().await;
    let ids: Vec<String> = used.iter().map(i64::to_string).collect();
    let open = engine.word(
        "",
        "SELECT count(*) FROM pg_stat_activity WHERE pid IN",
        "SELECT count(*) FROM information_schema.processlist WHERE id IN",
        "SELECT count(*) FROM sys.dm_exec_sessions WHERE session_id IN",
    );
    let open = format!("{open} ({})", ids.join(", "));
    let begun = Instant::now();
    while watch.number(&open).await > 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "some are still open"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    watch.end().await;
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
    one.query(engine.begin()).await.unwrap();
    other.query(engine.begin()).await.unwrap();
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
    let own = engine.own_number();
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
    let own = engine.own_number();
    let id = run.number(own).await;
    run.end().await;
    let mut watch = engine.run().await;
    let there = match engine.name {
        "postgresql" => format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {id}"),
        "sqlserver" => {
            format!("SELECT count(*) FROM sys.dm_exec_sessions WHERE session_id = {id}")
        }
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

async fn a_statement_has_no_more_time_than_its_connection_gives(engine: &Engine) {
    let capability = engine.with(|server| {
        server.statement_timeout = Some(Duration::from_millis(300));
    });
    let mut run = Run::begin(&capability).await;
    assert_eq!(run.number("SELECT 1").await, 1);
    let begun = Instant::now();
    let failure = run.failure(&slow(engine)).await;
    assert_eq!(failure.code, "statement_timeout", "{failure:?}");
    assert!(failure.message.contains("0.3 s"), "{failure:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    run.end().await;
    let mut next = Run::begin(&capability).await;
    assert_eq!(next.number("SELECT 1").await, 1);
    next.end().await;
}

async fn messages_of_the_server_arrive(engine: &Engine) {
    let mut run = engine.run().await;
    let (statement, severity, part) = match engine.name {
        "postgresql" => (
            "DO $$ BEGIN RAISE NOTICE 'so far: %', 7; END $$",
            "notice",
            "so far: 7",
        ),
        "sqlserver" => ("PRINT 'so far: 7'; SELECT 1", "info", "so far: 7"),
        _ => ("SELECT CAST('7x' AS INT)", "warning", "7x"),
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
