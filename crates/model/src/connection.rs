//! Connections to databases as they are stored: where a name leads, who may use
//! it, and a password that only its key opens. Never opens one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
const LONGEST_NAME: usize = 100;
/// The longest of any other text, in bytes.
const LONGEST_TEXT: usize = 4096;
/// The longest time that makes sense: a day, in seconds.
const LONGEST_TIME: u64 = 86_400;
/// The most connections to one server.
const MOST_OPEN: u32 = 1_000;

/// A stored connection.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionRecord {
    /// What jobs call it.
    pub name: String,
    /// Where it leads.
    pub settings: ConnectionSettings,
    /// Its password, sealed; none where it has none.
    pub secret: Option<Sealed>,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was last changed.
    pub modified: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
    /// How often it was changed, from 1.
    pub revision: u64,
}

/// A secret that can't be read without its key. Not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(#[serde(with = "serde_bytes")] pub Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sealed(…)")
    }
}

/// The kinds of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionKind {
    /// A SQLite file.
    Sqlite,
    /// A PostgreSQL server.
    #[serde(alias = "postgres")]
    Postgresql,
    /// A MySQL or MariaDB server.
    #[serde(alias = "mariadb")]
    Mysql,
    /// A SQL Server.
    #[serde(alias = "mssql")]
    Sqlserver,
}

/// How much protection is asked for, from none to a certificate that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConnectionTls {
    /// None.
    Disable,
    /// Where the server offers it.
    Prefer,
    /// Encryption, whatever the certificate.
    Require,
    /// Encryption, and a certificate for the server's name that holds.
    #[serde(alias = "verify_full", alias = "verify-full")]
    VerifyFull,
}

/// Where a connection leads, and who may use it. What is none is as usual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSettings {
    /// What kind of database it is.
    #[serde(rename = "type")]
    pub kind: ConnectionKind,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether jobs may use it.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The job types that may use it; all without a list.
    #[serde(default)]
    pub job_types: Option<Vec<String>>,
    /// A SQLite file's absolute path.
    #[serde(default)]
    pub file: Option<String>,
    /// A server's name or address.
    #[serde(default)]
    pub host: Option<String>,
    /// Its port.
    #[serde(default)]
    pub port: Option<u16>,
    /// The database to be in.
    #[serde(default)]
    pub database: Option<String>,
    /// Who connects.
    #[serde(default)]
    pub username: Option<String>,
    /// Whether and how what is sent is encrypted.
    #[serde(default)]
    pub tls: Option<ConnectionTls>,
    /// A file with certificates that vouch for the server.
    #[serde(default)]
    pub ca_file: Option<String>,
    /// Whether jobs may only read it.
    #[serde(default)]
    pub read_only: bool,
    /// How long connecting may take.
    #[serde(default)]
    pub connect_timeout_seconds: Option<u64>,
    /// How long one statement may take, whatever its run may.
    #[serde(default)]
    pub statement_timeout_seconds: Option<u64>,
    /// Connections that may be open at one time.
    #[serde(default)]
    pub max_open: Option<u32>,
    /// How long one that nobody uses stays open.
    #[serde(default)]
    pub idle_time_seconds: Option<u64>,
}

const fn yes() -> bool {
    true
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {reason}")]
pub struct SettingProblem {
    /// Which one, in snake case.
    pub field: &'static str,
    /// Why, to be read behind its name.
    pub reason: String,
}

fn problem(field: &'static str, reason: impl Into<String>) -> SettingProblem {
    SettingProblem {
        field,
        reason: reason.into(),
    }
}

/// Whether a text can be a connection's name.
///
/// # Errors
/// With what is wrong with it.
pub fn check_connection_name(name: &str) -> Result<(), SettingProblem> {
    let reason = if name.trim().is_empty() {
        "is empty"
    } else if name.len() > LONGEST_NAME {
        "has more than 100 bytes"
    } else if name.trim() != name {
        "begins or ends with a blank"
    } else if name.chars().any(|one| one.is_control() || one == '/') {
        "has a slash, a line break or another control character"
    } else {
        return Ok(());
    };
    Err(problem("name", reason))
}

impl ConnectionSettings {
    /// A connection of this kind with nothing said.
    #[must_use]
    pub const fn new(kind: ConnectionKind) -> Self {
        Self {
            kind,
            description: None,
            enabled: true,
            job_types: None,
            file: None,
            host: None,
            port: None,
            database: None,
            username: None,
            tls: None,
            ca_file: None,
            read_only: false,
            connect_timeout_seconds: None,
            statement_timeout_seconds: None,
            max_open: None,
            idle_time_seconds: None,
        }
    }

    /// Finds the first thing that is wrong.
    ///
    /// # Errors
    /// With that thing.
    pub fn check(&self) -> Result<(), SettingProblem> {
        if let Some((field, _)) = self.texts().find(|(_, text)| text.len() > LONGEST_TEXT) {
            return Err(problem(field, "has more than 4,096 bytes"));
        }
        let spoilt = |text: &str| text.contains('\0');
        if let Some((field, _)) = self.texts().find(|(_, text)| spoilt(text)) {
            return Err(problem(field, "has a NUL character"));
        }
        match self.kind {
            ConnectionKind::Sqlite => self.check_file(),
            _ => self.check_server(),
        }
    }

    fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("description", &self.description),
            ("file", &self.file),
            ("host", &self.host),
            ("database", &self.database),
            ("username", &self.username),
            ("ca_file", &self.ca_file),
        ]
        .into_iter()
        .filter_map(|(field, text)| Some((field, text.as_deref()?)))
    }

    fn check_file(&self) -> Result<(), SettingProblem> {
        let given = [
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("database", self.database.is_some()),
            ("username", self.username.is_some()),
            ("tls", self.tls.is_some()),
            ("ca_file", self.ca_file.is_some()),
            (
                "connect_timeout_seconds",
                self.connect_timeout_seconds.is_some(),
            ),
            (
                "statement_timeout_seconds",
                self.statement_timeout_seconds.is_some(),
            ),
            ("max_open", self.max_open.is_some()),
            ("idle_time_seconds", self.idle_time_seconds.is_some()),
        ];
        if let Some((field, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(problem(field, "means nothing for a SQLite file"));
        }
        let file = filled(self.file.as_deref(), "file", "a SQLite connection")?;
        if !std::path::Path::new(file).is_absolute() {
            return Err(problem("file", "should be an absolute path"));
        }
        Ok(())
    }

    fn check_server(&self) -> Result<(), SettingProblem> {
        if self.file.is_some() {
            return Err(problem("file", "means nothing for a server"));
        }
        filled(self.host.as_deref(), "host", "a connection to a server")?;
        filled(
            self.username.as_deref(),
            "username",
            "a connection to a server",
        )?;
        if self.read_only && self.kind == ConnectionKind::Sqlserver {
            let reason = "is not to be had: SQL Server has no read-only sessions; name a user who may only read";
            return Err(problem("read_only", reason));
        }
        if self.ca_file.is_some() && self.tls != Some(ConnectionTls::VerifyFull) {
            return Err(problem("ca_file", "is of use only with `tls: verifyFull`"));
        }
        if self.port == Some(0) {
            return Err(problem("port", "should be from 1 to 65535"));
        }
        if self
            .max_open
            .is_some_and(|most| !(1..=MOST_OPEN).contains(&most))
        {
            return Err(problem("max_open", "should be from 1 to 1000"));
        }
        let times = [
            ("connect_timeout_seconds", self.connect_timeout_seconds),
            ("statement_timeout_seconds", self.statement_timeout_seconds),
            ("idle_time_seconds", self.idle_time_seconds),
        ];
        for (field, time) in times {
            if time.is_some_and(|time| !(1..=LONGEST_TIME).contains(&time)) {
                return Err(problem(field, "should be from 1 to 86400 seconds"));
            }
        }
        Ok(())
    }
}

fn filled<'s>(
    text: Option<&'s str>,
    field: &'static str,
    what: &str,
) -> Result<&'s str, SettingProblem> {
    let text = text.filter(|text| !text.trim().is_empty());
    text.ok_or_else(|| problem(field, format!("is missing: {what} needs it")))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::{ConnectionSettings, check_connection_name};

    fn refused(json: &str) -> String {
        let settings: ConnectionSettings = serde_json::from_str(json).unwrap();
        settings.check().unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_said_of_the_setting() {
        for (json, part) in [
            (r#"{"type":"sqlite"}"#, "`file` is missing"),
            (r#"{"type":"sqlite","file":"a.db"}"#, "absolute"),
            (
                r#"{"type":"sqlite","file":"/a","port":1}"#,
                "`port` means nothing",
            ),
            (
                r#"{"type":"mysql","host":" ","username":"u"}"#,
                "`host` is missing",
            ),
            (r#"{"type":"mysql","host":"h"}"#, "`username` is missing"),
            (
                r#"{"type":"mssql","host":"h","username":"u","read_only":true}"#,
                "no read-only sessions",
            ),
            (
                r#"{"type":"postgres","host":"h","username":"u","ca_file":"/c"}"#,
                "verifyFull",
            ),
            (
                r#"{"type":"mysql","host":"h","username":"u","max_open":0}"#,
                "from 1 to 1000",
            ),
            (
                r#"{"type":"mysql","host":"h\u0000","username":"u"}"#,
                "NUL character",
            ),
            (
                r#"{"type":"mysql","host":"h","username":"u","idle_time_seconds":0}"#,
                "seconds",
            ),
        ] {
            assert!(refused(json).contains(part), "{json}: {}", refused(json));
        }
        assert!(serde_json::from_str::<ConnectionSettings>(r#"{"type":"mysql","hst":1}"#).is_err());
    }

    #[test]
    fn a_name_is_one_that_a_path_can_hold() {
        for name in ["default", "Über-Lager 1", "a.b"] {
            assert!(check_connection_name(name).is_ok(), "{name}");
        }
        for name in ["", " ", "a/b", "a\nb", " a", &"x".repeat(101)] {
            assert!(check_connection_name(name).is_err(), "{name:?}");
        }
    }
}
