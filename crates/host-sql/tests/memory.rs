//! The bound on SQLite's memory. A process of its own, because SQLite has one
//! such bound for the whole process.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use jobcell_host_sql::sqlite::{Pool, Session};
use jobcell_host_sql::{SqlError, SqliteOptions};
use jobcell_plugin_host::bindings::types::Failure;
use jobcell_plugin_host::{EffectGate, RunLimits, RunScope};

#[tokio::test]
async fn too_much_memory_is_refused_and_the_rest_goes_on() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("test.sqlite");
    let options = SqliteOptions {
        create: true,
        memory: 32 << 20,
        ..SqliteOptions::default()
    };
    let pool = Pool::new("test", &path, false, &options);
    let timeout = Duration::from_secs(60);
    let scope = RunScope::new(
        Vec::new(),
        RunLimits::default(),
        timeout,
        EffectGate::open(),
        None,
    );

    let mut session = Session::open(&pool, &scope).await.unwrap();
    let text = "CREATE TEMP TABLE big AS
        WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000)
        SELECT randomblob(100000) AS b FROM n";
    let statement = session.prepare(text).await.unwrap();
    let error = session.execute(&statement, Vec::new()).await.unwrap_err();
    assert!(matches!(error, SqlError::Memory(33_554_432)), "{error:?}");
    let Failure::Limit(limit) = Failure::from(error) else {
        panic!("it is a limit")
    };
    assert_eq!(
        (limit.limit.as_str(), limit.setting.as_str()),
        ("sqlite.memory", "sqlite.memory")
    );
    session.close().await;

    let mut session = Session::open(&pool, &scope).await.unwrap();
    let statement = session.prepare("SELECT 1").await.unwrap();
    let mut cursor = session.execute(&statement, Vec::new()).await.unwrap();
    assert_eq!(
        session.next_page(&mut cursor, 10).await.unwrap().rows.len(),
        1
    );
}
