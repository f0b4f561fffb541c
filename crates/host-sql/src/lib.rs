//! The `sql` capability: named databases, pooled connections, statements and
//! cursors under limits. Never parses SQL beyond a statement's first word,
//! never reads configuration files, never shows a plugin an address or a path.

mod capability;
mod config;
mod error;
mod host;
mod prepared;
mod session;
mod sqlite;

pub use capability::{ConnectionInfo, SqlCapability, SqlRun};
pub use config::{ConnectionConfig, SqlConfig, SqliteOptions};
pub use error::{Cap, Position, SqlError};
pub use prepared::Prepared;
pub use session::{Closed, Cursor, Session};
pub use sqlite::Pool;
