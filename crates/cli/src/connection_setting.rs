//! What the configuration says of a connection: a SQLite file, or a server with
//! how it is reached. Reads the file that a password lies in, and no other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jobcell_host_sql::{ConnectionConfig, Password, ServerConfig, ServerKind, Tls, TlsMode};
use jobcell_model::{ConnectionKind, ConnectionSettings, ConnectionTls};
use serde::de;
use serde::{Deserialize, Deserializer};

use crate::config::some_duration;

/// A connection as the configuration has it.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionSetting {
    pub(crate) settings: ConnectionSettings,
    pub(crate) password: Option<Password>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Mapping {
    sqlite: Option<String>,
    r#type: Option<ConnectionKind>,
    description: Option<String>,
    job_types: Option<Vec<String>>,
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    username: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    tls: Option<ConnectionTls>,
    ca_file: Option<String>,
    #[serde(default)]
    read_only: bool,
    #[serde(default, deserialize_with = "some_duration")]
    connect_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "some_duration")]
    statement_timeout: Option<Duration>,
    max_open: Option<u32>,
    #[serde(default, deserialize_with = "some_duration")]
    idle_time: Option<Duration>,
}

impl<'de> Deserialize<'de> for ConnectionSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mapping = Mapping::deserialize(deserializer)?;
        mapping.read().map_err(de::Error::custom)
    }
}

impl Mapping {
    fn read(self) -> Result<ConnectionSetting, String> {
        let kind = match (self.r#type, &self.sqlite) {
            (None | Some(ConnectionKind::Sqlite), Some(_)) => ConnectionKind::Sqlite,
            (Some(ConnectionKind::Sqlite), None) => {
                return Err("a SQLite connection needs `sqlite`, the path of its file".to_owned());
            }
            (Some(kind), None) => kind,
            (None, None) => {
                return Err("a connection needs `sqlite`, the path of a file, or `type`: postgresql, mysql, mariadb or sqlserver".to_owned());
            }
            (Some(_), Some(_)) => {
                return Err(
                    "a connection has either `sqlite` or the `type` of a server, not both"
                        .to_owned(),
                );
            }
        };
        if kind == ConnectionKind::Sqlite
            && (self.password.is_some() || self.password_file.is_some())
        {
            return Err("`password` means nothing for a SQLite file".to_owned());
        }
        let file = match self.sqlite {
            Some(file) => Some(absolute(&file)?),
            None => None,
        };
        let settings = ConnectionSettings {
            description: self.description,
            job_types: self.job_types,
            file,
            host: self.host,
            port: self.port,
            database: self.database,
            username: self.username,
            tls: self.tls,
            ca_file: self.ca_file,
            read_only: self.read_only,
            connect_timeout_seconds: self.connect_timeout.map(seconds),
            statement_timeout_seconds: self.statement_timeout.map(seconds),
            max_open: self.max_open,
            idle_time_seconds: self.idle_time.map(seconds),
            ..ConnectionSettings::new(kind)
        };
        settings
            .check()
            .map_err(|problem| format!("`{}` {}", key(problem.field), problem.reason))?;
        let password = password(self.password, self.password_file.as_deref())?;
        Ok(ConnectionSetting { settings, password })
    }
}

/// How runs open a connection with these settings, which were checked.
pub(crate) fn opened(
    settings: &ConnectionSettings,
    password: Option<Password>,
) -> ConnectionConfig {
    let kind = match settings.kind {
        ConnectionKind::Sqlite => {
            return ConnectionConfig::Sqlite {
                path: PathBuf::from(settings.file.as_deref().unwrap_or_default()),
                read_only: settings.read_only,
            };
        }
        ConnectionKind::Postgresql => ServerKind::PostgreSql,
        ConnectionKind::Mysql => ServerKind::MySql,
        ConnectionKind::Sqlserver => ServerKind::SqlServer,
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let usual = ServerConfig::new(kind, &text(&settings.host), &text(&settings.username));
    let time = |seconds: Option<u64>| seconds.map(Duration::from_secs);
    ConnectionConfig::Server(ServerConfig {
        port: settings.port,
        database: settings.database.clone(),
        password,
        tls: Tls {
            mode: settings.tls.map_or(usual.tls.mode, mode),
            ca_file: settings.ca_file.as_ref().map(PathBuf::from),
        },
        read_only: settings.read_only,
        connect_timeout: time(settings.connect_timeout_seconds).unwrap_or(usual.connect_timeout),
        statement_timeout: time(settings.statement_timeout_seconds),
        max_open: settings
            .max_open
            .map_or(usual.max_open, |most| most as usize),
        idle_time: time(settings.idle_time_seconds).unwrap_or(usual.idle_time),
        ..usual
    })
}

const fn mode(tls: ConnectionTls) -> TlsMode {
    match tls {
        ConnectionTls::Disable => TlsMode::Disable,
        ConnectionTls::Prefer => TlsMode::Prefer,
        ConnectionTls::Require => TlsMode::Require,
        ConnectionTls::VerifyFull => TlsMode::VerifyFull,
    }
}

/// Whole ones, and none is never made of some.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// A setting's key in the configuration: `ca_file` is `caFile`.
fn key(field: &str) -> String {
    let field = field.strip_suffix("_seconds").unwrap_or(field);
    let mut words = field.split('_');
    let mut key = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        key.push_str(&first.to_ascii_uppercase());
        key.push_str(rest);
    }
    key
}

fn absolute(file: &str) -> Result<String, String> {
    let path = std::path::absolute(file);
    let path = path.map_err(|error| format!("`sqlite`: `{file}` is no path: {error}"))?;
    let text = path.into_os_string().into_string();
    text.map_err(|_| "`sqlite` is no UTF-8".to_owned())
}

fn password(text: Option<String>, file: Option<&Path>) -> Result<Option<Password>, String> {
    let text = match (text, file) {
        (Some(_), Some(_)) => {
            return Err("a connection has `password` or `passwordFile`, not both".to_owned());
        }
        (Some(text), None) => Some(text),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                format!(
                    "`passwordFile`: `{}` can't be read: {error}",
                    file.display()
                )
            })?;
            // An editor ends the last line.
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        (None, None) => None,
    };
    Ok(text.map(Password::new))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ConnectionConfig, String> {
        serde_yaml::from_str::<ConnectionSetting>(text)
            .map(|setting| opened(&setting.settings, setting.password))
            .map_err(|error| error.to_string())
    }

    fn server(text: &str) -> ServerConfig {
        match read(text).unwrap() {
            ConnectionConfig::Server(server) => server,
            ConnectionConfig::Sqlite { .. } => panic!("it is a file"),
        }
    }

    #[test]
    fn a_server_has_what_is_usual() {
        let server = server("{type: postgres, host: db.example, username: jobs}");
        let usual = ServerConfig::new(ServerKind::PostgreSql, "db.example", "jobs");
        assert_eq!(server, usual);
        assert_eq!(server.tls.mode, TlsMode::VerifyFull);
        assert_eq!(Tls::usual("127.0.0.1").mode, TlsMode::Prefer);
    }

    #[test]
    fn a_server_has_what_is_said() {
        let server = server(
            "{type: mariadb, host: localhost, port: 3307, database: d, username: u, password: p, \
             tls: verifyFull, caFile: /ca.pem, readOnly: true, connectTimeout: 5s, maxOpen: 3, idleTime: 1m}",
        );
        assert_eq!(server.kind, ServerKind::MySql);
        assert_eq!(server.password, Some(Password::new("p".to_owned())));
        assert_eq!((server.port, server.max_open), (Some(3307), 3));
        assert_eq!(server.connect_timeout, Duration::from_secs(5));
        assert_eq!(server.idle_time, Duration::from_secs(60));
        assert!(server.read_only && !format!("{server:?}").contains("\"p\""));
    }

    #[test]
    fn a_password_can_lie_in_a_file() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "s3cret \n").unwrap();
        let at = file.display();
        let server = server(&format!(
            "{{type: mysql, host: h, username: u, passwordFile: '{at}'}}"
        ));
        assert_eq!(server.password, Some(Password::new("s3cret ".to_owned())));
    }

    #[test]
    fn what_is_wrong_with_a_connection_is_said() {
        for (text, part) in [
            ("{}", "needs `sqlite`"),
            ("{type: postgresql, username: u}", "`host` is missing"),
            ("{type: postgresql, host: h}", "`username` is missing"),
            ("{type: oracle, host: h}", "oracle"),
            ("{type: mysql, sqlite: /a}", "not both"),
            ("{sqlite: /a, port: 1}", "`port` means nothing"),
            (
                "{type: sqlserver, host: h, username: u, readOnly: true}",
                "no read-only sessions",
            ),
            (
                "{type: mysql, host: h, username: u, password: a, passwordFile: /b}",
                "not both",
            ),
            (
                "{type: mysql, host: h, username: u, passwordFile: /nowhere}",
                "can't be read",
            ),
            (
                "{type: mysql, host: h, username: u, tls: require, caFile: /b}",
                "verifyFull",
            ),
            ("{type: mysql, host: h, username: u, pasword: x}", "pasword"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
