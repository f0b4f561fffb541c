//! Databases, sessions and scopes for the tests.

use jobcell_host_sql::sqlite::{Cursor, Pool, Session};
use jobcell_host_sql::{ConnectionConfig, SqlError, SqliteOptions};
use jobcell_plugin_host::bindings::sql::Value;
use jobcell_plugin_host::bindings::types::Failure;
use jobcell_plugin_host::{EffectGate, RunLimits, RunScope};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) fn sqlite(path: impl Into<PathBuf>) -> ConnectionConfig {
    ConnectionConfig::Sqlite {
        path: path.into(),
        read_only: false,
    }
}

/// A pool of a database that is there already.
pub(crate) fn existing(path: &Path) -> Arc<Pool> {
    Pool::new("test", path, false, &SqliteOptions::default())
}

/// A pool of a new database.
pub(crate) fn created(path: PathBuf, options: SqliteOptions) -> Arc<Pool> {
    Pool::new(
        "test",
        &path,
        false,
        &SqliteOptions {
            create: true,
            ..options
        },
    )
}

pub(crate) struct Database {
    pub(crate) folder: TempDir,
    pub(crate) pool: Arc<Pool>,
}

pub(crate) fn database() -> Database {
    let folder = TempDir::new().unwrap();
    let pool = created(folder.path().join("test.sqlite"), SqliteOptions::default());
    Database { folder, pool }
}

pub(crate) fn scope_with(limits: RunLimits, gate: EffectGate) -> RunScope {
    RunScope::new(Vec::new(), limits, Duration::from_secs(60), gate, None)
}

pub(crate) fn scope() -> RunScope {
    scope_with(RunLimits::default(), EffectGate::open())
}

impl Database {
    pub(crate) async fn session(&self) -> Session {
        Session::open(&self.pool, &scope()).await.unwrap()
    }

    /// Runs statements in a session of their own.
    pub(crate) async fn run(&self, statements: &[&str]) {
        let mut session = self.session().await;
        for statement in statements {
            query(&mut session, statement).await.unwrap();
        }
        session.close().await;
    }

    pub(crate) async fn number(&self, text: &str) -> i64 {
        let mut session = self.session().await;
        let number = number(&mut session, text).await;
        session.close().await;
        number
    }
}

pub(crate) async fn execute(session: &mut Session, text: &str) -> Result<Cursor, SqlError> {
    let statement = session.prepare(text).await?;
    session.execute(&statement, Vec::new()).await
}

pub(crate) async fn query(session: &mut Session, text: &str) -> Result<Vec<Vec<Value>>, SqlError> {
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

pub(crate) async fn number(session: &mut Session, text: &str) -> i64 {
    match query(session, text).await.unwrap()[0][0] {
        Value::Integer(number) => number,
        ref other => panic!("{other:?} is not an integer"),
    }
}

pub(crate) async fn affected(session: &mut Session, text: &str) -> Option<u64> {
    let mut cursor = execute(session, text).await.unwrap();
    session.next_page(&mut cursor, 10).await.unwrap();
    cursor.affected()
}

pub(crate) fn code(error: SqlError) -> String {
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

pub(crate) const ENDLESS: &str =
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n";

pub(crate) fn counting(to: u32) -> String {
    format!(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {to}) SELECT x FROM n"
    )
}
