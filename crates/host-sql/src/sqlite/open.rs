//! Opens one SQLite database the way jobs may use it. Never keeps it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::sqlite::control::Control;
use crate::sqlite::sandbox::Sandbox;

/// How to open a database; see [`crate::ConnectionConfig::Sqlite`] and
/// [`crate::SqliteOptions`].
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub(crate) path: PathBuf,
    pub(crate) read_only: bool,
    pub(crate) create: bool,
    pub(crate) busy_timeout: Duration,
    pub(crate) memory: u64,
}

/// Compiled statements that a connection keeps.
const STATEMENTS: usize = 64;

/// How long opening waits for another process that holds the file.
const OPENING_WAIT: Duration = Duration::from_secs(5);

/// Opens the database, with the sandbox around it.
pub(crate) fn open(
    opening: &Opening,
    control: &Arc<Control>,
    sandbox: &Arc<Sandbox>,
) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_with_flags(&opening.path, flags(opening))?;
    control.wait_until(Instant::now() + OPENING_WAIT);
    let busy = Arc::clone(control);
    connection.busy_handler(Some(move |attempt| busy.wait_for_writer(attempt)))?;
    connection.execute_batch(&format!("PRAGMA hard_heap_limit = {}", opening.memory))?;
    let first = if opening.read_only {
        "PRAGMA schema_version"
    } else {
        "PRAGMA journal_mode = WAL"
    };
    patiently(control, || connection.query_row(first, [], |_| Ok(())))?;
    // FULL: what a run reports as done must survive a power failure. A disk
    // full of temporary files would harm neighbours; memory has its own bound.
    let rest = "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;
         PRAGMA journal_size_limit = 4194304";
    patiently(control, || connection.execute_batch(rest))?;
    restrict(&connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.authorizer(Some(sandbox.authorizer()))?;
    control.attach(connection.get_interrupt_handle());
    Ok(connection)
}

/// Asks again while the file is locked. SQLite does not call its busy handler where
/// waiting could be for ever: of two connections that both would give a new file its
/// write-ahead log, one is turned away at once.
fn patiently<T>(
    control: &Control,
    mut ask: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let mut attempt = 0;
    loop {
        match ask() {
            Err(error) if is_locked(&error) && control.wait_for_writer(attempt) => attempt += 1,
            answer => return answer,
        }
    }
}

fn is_locked(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// What to tell a person about a database that can't be opened. The path is
/// for the server's log only.
pub(crate) fn reason(error: &rusqlite::Error, opening: &Opening) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) if !opening.path.exists() && (opening.read_only || !opening.create) => {
            "its file does not exist; correct its path under `connections`, or create the database first".to_owned()
        }
        Some(ErrorCode::CannotOpen) => {
            "its file can't be opened; check that its folder exists and that the server may use both".to_owned()
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "its file is damaged or not a SQLite database; restore a backup or correct its path under `connections`".to_owned()
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program has locked its file; end that program or try again later".to_owned()
        }
        Some(ErrorCode::ReadOnly) => {
            "its file is write-protected; make it writable or set the connection's `readOnly: true`".to_owned()
        }
        _ => error.to_string(),
    }
}

fn flags(opening: &Opening) -> OpenFlags {
    // One thread owns the connection, so SQLite needs no mutex of its own.
    let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    if opening.read_only {
        return flags | OpenFlags::SQLITE_OPEN_READ_ONLY;
    }
    flags |= OpenFlags::SQLITE_OPEN_READ_WRITE;
    if opening.create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    flags
}

fn restrict(connection: &Connection) -> rusqlite::Result<()> {
    // A hostile database file must not make SQLite write its own schema or
    // call functions with side effects from a view.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    let limits = [
        (Limit::SQLITE_LIMIT_LENGTH, 64 << 20),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, 1 << 20),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 100),
        (Limit::SQLITE_LIMIT_VDBE_OP, 10_000_000),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        // VACUUM needs one; the sandbox refuses every other use.
        (Limit::SQLITE_LIMIT_ATTACHED, 1),
    ];
    for (limit, value) in limits {
        connection.set_limit(limit, value)?;
    }
    Ok(())
}
