//! Geometries as the databases store them, told as text: well-known text (OGC
//! 06-103r4, curves as in ISO 19125) behind `SRID=n;` where there is one, which is
//! how PostGIS writes and reads it. Coordinates stand as they are stored, x (the
//! longitude) first. What is not understood to its last byte is told by nobody:
//! who asks keeps the bytes.

mod clr;
mod reader;
mod wkb;
mod wkt;

pub(crate) use clr::Kind;

/// Geometries inside geometries, at most; deeper ones stay bytes.
const DEEPEST: usize = 64;

/// A geometry of MySQL or MariaDB: its SRID, then well-known binary.
pub(crate) fn from_mysql(bytes: &[u8]) -> Option<String> {
    wkb::text(bytes)
}

/// A geometry of PostGIS as it is sent in binary.
pub(crate) fn from_postgis(bytes: &[u8]) -> Option<String> {
    wkb::text_of_postgis(bytes)
}

/// A `geography` or `geometry` of SQL Server, as it serializes them (MS-SSCLRT 2.1).
pub(crate) fn from_sql_server(kind: Kind, bytes: &[u8]) -> Option<String> {
    clr::text(kind, bytes)
}
