//! Writing and reading connections to databases. Never opens one, and never
//! sees a password that is not sealed.

use jobcell_model::{ConnectionKind, ConnectionRecord, ConnectionSettings, ConnectionTls, Sealed};
use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::error::{PutConnectionError, StorageError};
use crate::failure::Failure;
use crate::rows::Instant;
use crate::tables::{Snapshot, WriteTables};
use crate::writer::{Change, Operation, Stop};

const WHAT: &str = "connection";

/// A connection as it is stored. Never renames or reuses a field name: see
/// `codec`.
#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(rename = "k")]
    kind: Kind,
    #[serde(rename = "e")]
    enabled: bool,
    #[serde(rename = "ds", default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(rename = "jt", default, skip_serializing_if = "Option::is_none")]
    job_types: Option<Vec<String>>,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(rename = "db", default, skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
    #[serde(rename = "ca", default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<String>,
    #[serde(rename = "ro", default)]
    read_only: bool,
    #[serde(rename = "ct", default, skip_serializing_if = "Option::is_none")]
    connect_timeout: Option<u64>,
    #[serde(rename = "st", default, skip_serializing_if = "Option::is_none")]
    statement_timeout: Option<u64>,
    #[serde(rename = "mo", default, skip_serializing_if = "Option::is_none")]
    max_open: Option<u32>,
    #[serde(rename = "it", default, skip_serializing_if = "Option::is_none")]
    idle_time: Option<u64>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    secret: Option<Sealed>,
    #[serde(rename = "c")]
    created: Instant,
    #[serde(rename = "m")]
    modified: Instant,
    #[serde(rename = "cb")]
    created_by: String,
    #[serde(rename = "r")]
    revision: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Sqlite,
    Postgresql,
    Mysql,
    Sqlserver,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tls {
    Disable,
    Prefer,
    Require,
    VerifyFull,
}

fn encode(record: &ConnectionRecord) -> Result<Vec<u8>, StorageError> {
    let settings = record.settings.clone();
    let row = Row {
        kind: match settings.kind {
            ConnectionKind::Sqlite => Kind::Sqlite,
            ConnectionKind::Postgresql => Kind::Postgresql,
            ConnectionKind::Mysql => Kind::Mysql,
            ConnectionKind::Sqlserver => Kind::Sqlserver,
        },
        enabled: settings.enabled,
        description: settings.description,
        job_types: settings.job_types,
        file: settings.file,
        host: settings.host,
        port: settings.port,
        database: settings.database,
        username: settings.username,
        tls: settings.tls.map(|tls| match tls {
            ConnectionTls::Disable => Tls::Disable,
            ConnectionTls::Prefer => Tls::Prefer,
            ConnectionTls::Require => Tls::Require,
            ConnectionTls::VerifyFull => Tls::VerifyFull,
        }),
        ca_file: settings.ca_file,
        read_only: settings.read_only,
        connect_timeout: settings.connect_timeout_seconds,
        statement_timeout: settings.statement_timeout_seconds,
        max_open: settings.max_open,
        idle_time: settings.idle_time_seconds,
        secret: record.secret.clone(),
        created: record.created.into(),
        modified: record.modified.into(),
        created_by: record.created_by.clone(),
        revision: record.revision,
    };
    codec::encode(WHAT, &row)
}

fn decode(name: &str, bytes: &[u8]) -> Result<ConnectionRecord, StorageError> {
    let row: Row = codec::decode(WHAT, bytes)?;
    Ok(ConnectionRecord {
        name: name.to_owned(),
        settings: ConnectionSettings {
            kind: match row.kind {
                Kind::Sqlite => ConnectionKind::Sqlite,
                Kind::Postgresql => ConnectionKind::Postgresql,
                Kind::Mysql => ConnectionKind::Mysql,
                Kind::Sqlserver => ConnectionKind::Sqlserver,
            },
            description: row.description,
            enabled: row.enabled,
            job_types: row.job_types,
            file: row.file,
            host: row.host,
            port: row.port,
            database: row.database,
            username: row.username,
            tls: row.tls.map(|tls| match tls {
                Tls::Disable => ConnectionTls::Disable,
                Tls::Prefer => ConnectionTls::Prefer,
                Tls::Require => ConnectionTls::Require,
                Tls::VerifyFull => ConnectionTls::VerifyFull,
            }),
            ca_file: row.ca_file,
            read_only: row.read_only,
            connect_timeout_seconds: row.connect_timeout,
            statement_timeout_seconds: row.statement_timeout,
            max_open: row.max_open,
            idle_time_seconds: row.idle_time,
        },
        secret: row.secret,
        created: row.created.read(WHAT)?,
        modified: row.modified.read(WHAT)?,
        created_by: row.created_by,
        revision: row.revision,
    })
}

/// Adds a connection, or replaces the one of its name.
pub(crate) struct PutConnection {
    name: String,
    row: Vec<u8>,
    expected: Option<u64>,
}

impl PutConnection {
    /// To replace one, it has to be at the revision that is expected; to add
    /// one, none is.
    pub(crate) fn new(
        record: &ConnectionRecord,
        expected: Option<u64>,
    ) -> Result<Self, StorageError> {
        Ok(Self {
            name: record.name.clone(),
            row: encode(record)?,
            expected,
        })
    }
}

impl PutConnection {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Operation for PutConnection {
    type Reply = ();
    type Error = PutConnectionError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<()>, Stop<PutConnectionError>> {
        let found = match tables.connections()?.get(self.name.as_str())? {
            Some(row) => Some(decode(&self.name, row.value())?.revision),
            None => None,
        };
        let name = || self.name.clone();
        match (found, self.expected) {
            (None, None) => {}
            (Some(found), Some(expected)) if found == expected => {}
            (Some(_), None) => {
                return Err(Stop::Refused(PutConnectionError::Exists { name: name() }));
            }
            (Some(revision), Some(_)) => {
                return Err(Stop::Refused(PutConnectionError::Changed { revision }));
            }
            (None, Some(_)) => {
                return Err(Stop::Refused(PutConnectionError::NotFound { name: name() }));
            }
        }
        let row = self.row.as_slice();
        tables.connections()?.insert(self.name.as_str(), row)?;
        Ok(Change::Made(()))
    }

    fn needs_room(&self) -> bool {
        self.expected.is_none()
    }
}

/// Removes a connection. Whether there was one.
pub(crate) struct DeleteConnection(pub(crate) String);

impl Operation for DeleteConnection {
    type Reply = bool;
    type Error = StorageError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<bool>, Stop<StorageError>> {
        let gone = tables.connections()?.remove(self.0.as_str())?.is_some();
        Ok(if gone {
            Change::Made(true)
        } else {
            Change::Nothing(false)
        })
    }
}

/// All of them, by name.
pub(crate) fn all(snapshot: &Snapshot) -> Result<Vec<ConnectionRecord>, Failure> {
    let mut found = Vec::new();
    for row in snapshot.connections()?.iter()? {
        let (name, row) = row?;
        found.push(decode(name.value(), row.value())?);
    }
    Ok(found)
}

/// The one of this name.
pub(crate) fn find(snapshot: &Snapshot, name: &str) -> Result<Option<ConnectionRecord>, Failure> {
    match snapshot.connections()?.get(name)? {
        Some(row) => Ok(Some(decode(name, row.value())?)),
        None => Ok(None),
    }
}
