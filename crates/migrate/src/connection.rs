//! A row of V1's `user_connections`, as it stands and as a connection of V2.
//! Never shows its password.

use std::fmt;

use jobcell_model::{
    ConnectionKind, ConnectionSettings, ConnectionTls, SettingProblem, check_connection_name,
};
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
    /// How long a statement may take, in seconds.
    pub command_timeout: Option<u32>,
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
            command_timeout: whole("command_timeout"),
            active: truth("is_active") != Some(false),
        }
    }
}

/// A connection of V2 that stands for one of V1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvertedConnection {
    /// What jobs call it in V2.
    pub name: String,
    /// Where it leads.
    pub settings: ConnectionSettings,
    /// With which password.
    pub password: Option<V1Password>,
}

/// Why a connection of V1 is not taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeftConnection {
    /// V1 had deleted it.
    #[error("V1 had deleted it")]
    Deleted,
    /// The service's own Windows account connects.
    #[error(
        "the service's Windows account connected, which is not to be had here; add it with a login of the server"
    )]
    Trusted,
    /// It names an instance instead of a port.
    #[error("it names the instance `{0}`, which only its port leads to; add it with that")]
    Instance(String),
    /// It has no name that jobs could use.
    #[error("it has neither an id nor a name")]
    Nameless,
    /// Something in it can't be.
    #[error("{0}")]
    Wrong(#[from] SettingProblem),
}

/// The name that is V2's own database file.
const OWN: &str = "default";

impl V1Connection {
    /// What jobs call it in V2: by its key, which V1's jobs named. V2's own
    /// `default` is another database.
    #[must_use]
    pub fn new_name(&self) -> Option<String> {
        let name = self.connection_id.as_deref().or(self.name.as_deref())?;
        let name = name.trim().replace('/', "-");
        if name.eq_ignore_ascii_case(OWN) {
            return Some("v1-default".to_owned());
        }
        Some(name)
    }

    /// The same in V2.
    ///
    /// # Errors
    /// With why it has to be added by hand, or not at all.
    pub fn convert(&self) -> Result<ConvertedConnection, LeftConnection> {
        if !self.active {
            return Err(LeftConnection::Deleted);
        }
        let name = self.new_name().ok_or(LeftConnection::Nameless)?;
        check_connection_name(&name)?;
        if self.is_trusted() {
            return Err(LeftConnection::Trusted);
        }
        let (host, port) = self.address()?;
        let seconds = |time: Option<u32>| time.filter(|time| *time > 0).map(u64::from);
        let settings = ConnectionSettings {
            description: self.description.clone(),
            host,
            port,
            database: self.database.clone(),
            username: self.username.clone(),
            tls: Some(self.tls()),
            connect_timeout_seconds: seconds(self.connection_timeout),
            statement_timeout_seconds: seconds(self.command_timeout),
            ..ConnectionSettings::new(ConnectionKind::Sqlserver)
        };
        settings.check()?;
        Ok(ConvertedConnection {
            name,
            settings,
            password: self.password.clone(),
        })
    }

    /// Whether the Windows account of the service connects, which counted more
    /// than a user's name; V1's default.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.trusted.unwrap_or(self.username.is_none())
    }

    /// ODBC writes `host,port` too, and `tcp:` before it.
    fn address(&self) -> Result<(Option<String>, Option<u16>), LeftConnection> {
        let Some(server) = self.server.as_deref() else {
            return Ok((None, self.port));
        };
        let server = server.trim();
        let server = server.strip_prefix("tcp:").unwrap_or(server);
        let (host, port) = match server.rsplit_once(',') {
            Some((host, port)) => (host.trim(), port.trim().parse().ok()),
            None => (server, None),
        };
        if let Some((_, instance)) = host.split_once('\\')
            && port.is_none()
        {
            return Err(LeftConnection::Instance(instance.to_owned()));
        }
        let host = host.split_once('\\').map_or(host, |(host, _)| host);
        let host = if matches!(host, "." | "(local)") {
            "localhost"
        } else {
            host
        };
        Ok((Some(host.to_owned()), port.or(self.port)))
    }

    /// What V1's driver did: without `encrypt`, it took what the server wanted.
    fn tls(&self) -> ConnectionTls {
        match (self.encrypt, self.trust_server_certificate) {
            (Some(true), Some(false)) => ConnectionTls::VerifyFull,
            (Some(true), _) => ConnectionTls::Require,
            _ => ConnectionTls::Prefer,
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
        assert_eq!(read.convert(), Err(LeftConnection::Deleted));
        assert_eq!(
            read.password.as_ref().map(V1Password::reveal),
            Some("s3cret")
        );
    }

    fn converted(columns: Value) -> Result<ConvertedConnection, LeftConnection> {
        let mut row = json!({
            "connection_id": "erp", "name": "ERP", "server_name": "db1", "port": 1433,
            "trusted_connection": 0, "username": "sa", "encrypt": 0,
            "trust_server_certificate": 1, "connection_timeout": 30, "command_timeout": 300,
        });
        if let (Some(row), Value::Object(columns)) = (row.as_object_mut(), columns) {
            row.extend(columns);
        }
        V1Connection::from_row(&row.as_object().cloned().unwrap_or_default()).convert()
    }

    #[test]
    fn a_connection_keeps_what_it_meant() -> Result<(), LeftConnection> {
        let plain = converted(json!({}))?;
        assert_eq!(plain.name, "erp");
        assert_eq!(plain.settings.statement_timeout_seconds, Some(300));
        assert_eq!(plain.settings.tls, Some(ConnectionTls::Prefer));
        let checked = converted(json!({ "encrypt": 1, "trust_server_certificate": 0 }))?;
        assert_eq!(checked.settings.tls, Some(ConnectionTls::VerifyFull));
        let odbc = converted(json!({ "server_name": "tcp:.\\SQL2019, 1444" }))?;
        assert_eq!(odbc.settings.host.as_deref(), Some("localhost"));
        assert_eq!(odbc.settings.port, Some(1444));
        let own = converted(json!({ "connection_id": "Default" }))?;
        assert_eq!(own.name, "v1-default");
        Ok(())
    }

    #[test]
    fn what_only_a_hand_can_do_is_said() {
        let left = |columns| converted(columns).err();
        assert_eq!(
            left(json!({ "username": null, "trusted_connection": 1 })),
            Some(LeftConnection::Trusted)
        );
        assert_eq!(
            left(json!({ "trusted_connection": 1 })),
            Some(LeftConnection::Trusted),
            "a left-over user counts for nothing"
        );
        assert_eq!(
            left(json!({ "server_name": "db1\\SQL2019" })),
            Some(LeftConnection::Instance("SQL2019".to_owned()))
        );
        assert_eq!(
            left(json!({ "connection_id": null, "name": null })),
            Some(LeftConnection::Nameless)
        );
        let wrong = left(json!({ "server_name": null }));
        assert!(matches!(wrong, Some(LeftConnection::Wrong(_))), "{wrong:?}");
    }
}
