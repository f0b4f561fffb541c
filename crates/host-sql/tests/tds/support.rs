//! Runs against the server of the tests.

use std::time::Duration;

use jobcell_host_sql::{
    ConnectionConfig, Cursor, Password, ServerConfig, ServerKind, Session, SqlCapability,
    SqlConfig, SqlError, Tls, TlsMode,
};
use jobcell_plugin_host::bindings::sql::{Column, Value};
use jobcell_plugin_host::bindings::types::{Detail, Failure};
use jobcell_plugin_host::{EffectGate, RunLimits, RunScope};

use crate::server::Server;

pub(crate) const USER: &str = "josé";
pub(crate) const PASSWORD: &str = "p€ss; wörd";

pub(crate) fn config(server: &Server) -> ServerConfig {
    ServerConfig {
        port: Some(server.address.port()),
        database: Some("test".to_owned()),
        password: Some(Password::new(PASSWORD.to_owned())),
        tls: Tls {
            mode: TlsMode::Prefer,
            ca_file: None,
        },
        max_open: 1,
        ..ServerConfig::new(ServerKind::SqlServer, "127.0.0.1", USER)
    }
}

pub(crate) fn capability(config: ServerConfig) -> SqlCapability {
    let connections = [("test".to_owned(), ConnectionConfig::Server(config))].into();
    SqlCapability::new(SqlConfig { connections })
}

pub(crate) fn scope() -> RunScope {
    scope_of(RunLimits::default())
}

pub(crate) fn scope_of(limits: RunLimits) -> RunScope {
    let timeout = Duration::from_secs(60);
    RunScope::new(Vec::new(), limits, timeout, EffectGate::open(), None)
}

pub(crate) async fn open(server: &Server) -> Session {
    capability(config(server))
        .session("test", &scope())
        .await
        .unwrap()
}

/// One result.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Value>>,
    pub(crate) affected: Option<u64>,
    pub(crate) cut: bool,
    pub(crate) total: Option<u64>,
}

/// Every result of a batch, up to its failure.
pub(crate) async fn all(
    session: &mut Session,
    text: &str,
    values: &[(&str, Value)],
) -> (Vec<Found>, Result<(), SqlError>) {
    let mut found = Vec::new();
    let result = run(session, text, values, &mut found).await;
    (found, result)
}

async fn run(
    session: &mut Session,
    text: &str,
    values: &[(&str, Value)],
    found: &mut Vec<Found>,
) -> Result<(), SqlError> {
    let mut statement = session.prepare(text).await?;
    for (name, value) in values {
        statement.bind(name, value)?;
    }
    let mut cursor = session.execute(statement).await?;
    loop {
        found.push(result(session, &mut cursor).await?);
        if !session.next_result(&mut cursor).await? {
            break;
        }
    }
    session.close_cursor(cursor).await
}

async fn result(session: &mut Session, cursor: &mut Cursor) -> Result<Found, SqlError> {
    let mut found = Found {
        columns: cursor.columns().to_vec(),
        ..Found::default()
    };
    loop {
        match session.next_page(cursor, 100).await {
            Ok(page) => {
                found.rows.extend(page.rows);
                if page.last {
                    break;
                }
            }
            Err(SqlError::ResultCap(_)) => {
                found.cut = true;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    (found.affected, found.total) = (cursor.affected(), cursor.total());
    Ok(found)
}

/// The results of a batch that doesn't fail.
pub(crate) async fn query(session: &mut Session, text: &str) -> Vec<Found> {
    let (found, result) = all(session, text, &[]).await;
    result.unwrap();
    found
}

pub(crate) fn detail(error: SqlError) -> Detail {
    match Failure::from(error) {
        Failure::Other(detail) | Failure::Unavailable(detail) | Failure::Invalid(detail) => detail,
        other => panic!("{other:?} has no detail"),
    }
}

pub(crate) fn fact<'d>(detail: &'d Detail, name: &str) -> Option<&'d str> {
    let found = detail.attributes.iter().find(|fact| fact.name == name)?;
    Some(found.value.as_str())
}

/// Values can't be compared; what they look like can.
pub(crate) fn shown(values: &impl std::fmt::Debug) -> String {
    format!("{values:?}")
}
