//! The `sql` capability: named databases, pooled connections, statements and
//! cursors under limits. Never judges what SQL means beyond a statement's first
//! words, never reads configuration files, never shows a plugin an address, a
//! path or a password.

mod capability;
mod config;
mod databases;
mod error;
mod host;
mod json;
mod mssql;
mod mysql;
mod postgres;
mod servers;
mod session;
mod spatial;
pub mod sqlite;
mod tls;

pub use capability::{ConnectionInfo, SqlCapability, SqlRun};
pub use config::{
    ConnectionConfig, Password, ServerConfig, ServerKind, SqlConfig, SqliteOptions, Tls, TlsMode,
};
pub use error::{Cap, Position, SqlError};
pub use session::{Closed, Cursor, Session, Statement};
