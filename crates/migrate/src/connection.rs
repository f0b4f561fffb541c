//! A row of V1's `user_connections`, as it stands. Never judges it, never shows
//! its password.

use std::fmt;

use serde_json::{Map, Value};

use crate::row::{Columns, number_of, truth_of};

/// A row of V1's `user_connections`. What is none is NULL or missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1Connection {
    /// Its key, which jobs name as `connection_name`.
    pub connection_id: Option<String>,
    /// Its name, which need not be unique.
    pub name: Option<String>,
    /// The server: a name, an address, or `name\instance`.
    pub server: Option<String>,
    /// The port; V1's default is 1433.
    pub port: Option<u16>,
    /// The database.
    pub database: Option<String>,
    /// Whether the Windows account of the service connects.
    pub trusted: Option<bool>,
    /// Who connects otherwise.
    pub username: Option<String>,
    /// With which password: V1 kept it in clear text.
    pub password: Option<V1Password>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether what is sent is encrypted.
    pub encrypt: Option<bool>,
    /// Whether any certificate will do.
    pub trust_server_certificate: Option<bool>,
    /// How long connecting may take, in seconds.
    pub connection_timeout: Option<u32>,
    /// False for one that was deleted. A row without the column counts.
    pub active: bool,
}

/// A password of V1. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct V1Password(String);

impl V1Password {
    /// The password itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for V1Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("V1Password(…)")
    }
}

impl V1Connection {
    /// Takes a row apart, as [`V1Job::from_row`](crate::V1Job::from_row) does.
    #[must_use]
    pub fn from_row(row: &Map<String, Value>) -> Self {
        let columns = Columns(row);
        let truth = |name: &str| columns.find(&[name]).and_then(truth_of);
        let whole = |name: &str| columns.find(&[name]).and_then(number_of).and_then(whole);
        let password = columns.text(&["password"]).filter(|text| !text.is_empty());
        Self {
            connection_id: columns.filled(&["connection_id"]),
            name: columns.filled(&["name"]),
            server: columns.filled(&["server_name", "server"]),
            port: whole("port").and_then(|port| u16::try_from(port).ok()),
            database: columns.filled(&["database_name", "database"]),
            trusted: truth("trusted_connection"),
            username: columns.filled(&["username"]),
            password: password.map(V1Password),
            description: columns.filled(&["description"]),
            encrypt: truth("encrypt"),
            trust_server_certificate: truth("trust_server_certificate"),
            connection_timeout: whole("connection_timeout"),
            active: truth("is_active") != Some(false),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole and within the bounds of a u32"
)]
fn whole(number: f64) -> Option<u32> {
    (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number))
        .then_some(number as u32)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_a_row_and_never_shows_its_password() {
        let row = json!({
            "CONNECTION_ID": "erp", "name": "ERP", "server_name": "db1", "port": "1434",
            "database_name": "erp", "trusted_connection": 0, "username": "sa",
            "password": "s3cret", "is_active": 0, "connection_timeout": 30,
        });
        let row = row.as_object().cloned().unwrap_or_default();
        let read = V1Connection::from_row(&row);
        assert_eq!(read.connection_id.as_deref(), Some("erp"));
        assert_eq!((read.port, read.trusted), (Some(1434), Some(false)));
        assert_eq!(read.connection_timeout, Some(30));
        assert!(!read.active && !format!("{read:?}").contains("s3cret"));
        assert_eq!(
            read.password.as_ref().map(V1Password::reveal),
            Some("s3cret")
        );
    }
}
