//! Values, pages, caps, parameters, errors and stops.

use jobcell_host_sql::sqlite::Session;
use jobcell_host_sql::{Cap, SqlError};
use jobcell_plugin_host::bindings::sql::Value;
use jobcell_plugin_host::{EffectGate, RunLimits, StopReason};
use std::time::{Duration, Instant};

use crate::support::{
    ENDLESS, affected, code, counting, database, execute, number, query, scope, scope_with,
};

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
