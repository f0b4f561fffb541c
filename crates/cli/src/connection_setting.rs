//! What the configuration says of a connection: a SQLite file, or a server with
//! how it is reached. Reads the file that a password lies in, and no other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jobcell_host_sql::{ConnectionConfig, Password, ServerConfig, ServerKind, Tls, TlsMode};
use serde::de;
use serde::{Deserialize, Deserializer};

use crate::config::some_duration;

/// A connection as the configuration has it.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionSetting(pub(crate) ConnectionConfig);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Mapping {
    sqlite: Option<PathBuf>,
    r#type: Option<Kind>,
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    username: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    tls: Option<Mode>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    read_only: bool,
    #[serde(default, deserialize_with = "some_duration")]
    connect_timeout: Option<Duration>,
    max_open: Option<usize>,
    #[serde(default, deserialize_with = "some_duration")]
    idle_time: Option<Duration>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Sqlite,
    #[serde(alias = "postgres")]
    Postgresql,
    #[serde(alias = "mariadb")]
    Mysql,
    #[serde(alias = "mssql")]
    Sqlserver,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyFull,
}

impl<'de> Deserialize<'de> for ConnectionSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mapping = Mapping::deserialize(deserializer)?;
        mapping.read().map(Self).map_err(de::Error::custom)
    }
}

impl Mapping {
    fn read(self) -> Result<ConnectionConfig, String> {
        let kind = match (self.r#type, &self.sqlite) {
            (None | Some(Kind::Sqlite), Some(path)) => {
                self.no_server_keys()?;
                return Ok(ConnectionConfig::Sqlite {
                    path: path.clone(),
                    read_only: self.read_only,
                });
            }
            (Some(Kind::Postgresql), None) => ServerKind::PostgreSql,
            (Some(Kind::Mysql), None) => ServerKind::MySql,
            (Some(Kind::Sqlserver), None) => ServerKind::SqlServer,
            (Some(Kind::Sqlite), None) => return Err("a SQLite connection needs `sqlite`, the path of its file".to_owned()),
            (None, None) => return Err("a connection needs `sqlite`, the path of a file, or `type`: postgresql, mysql, mariadb or sqlserver".to_owned()),
            (Some(_), Some(_)) => return Err("a connection has either `sqlite` or the `type` of a server, not both".to_owned()),
        };
        let host = needed(self.host, "host")?;
        let username = needed(self.username, "username")?;
        let usual = ServerConfig::new(kind, &host, &username);
        let tls = Tls {
            mode: self.tls.map_or(usual.tls.mode, Mode::meaning),
            ca_file: self.ca_file,
        };
        if self.read_only && kind == ServerKind::SqlServer {
            return Err("SQL Server has no read-only sessions: leave `readOnly` out, and give a `username` that may only read".to_owned());
        }
        if tls.ca_file.is_some() && tls.mode != TlsMode::VerifyFull {
            return Err("`caFile` is of use only with `tls: verifyFull`".to_owned());
        }
        Ok(ConnectionConfig::Server(ServerConfig {
            port: self.port,
            database: self.database,
            password: password(self.password, self.password_file.as_deref())?,
            tls,
            read_only: self.read_only,
            connect_timeout: self.connect_timeout.unwrap_or(usual.connect_timeout),
            max_open: self.max_open.unwrap_or(usual.max_open),
            idle_time: self.idle_time.unwrap_or(usual.idle_time),
            ..usual
        }))
    }

    fn no_server_keys(&self) -> Result<(), String> {
        let given = [
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("database", self.database.is_some()),
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
            ("passwordFile", self.password_file.is_some()),
            ("tls", self.tls.is_some()),
            ("caFile", self.ca_file.is_some()),
            ("connectTimeout", self.connect_timeout.is_some()),
            ("maxOpen", self.max_open.is_some()),
            ("idleTime", self.idle_time.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((key, _)) => Err(format!("`{key}` means nothing for a SQLite file")),
            None => Ok(()),
        }
    }
}

impl Mode {
    const fn meaning(self) -> TlsMode {
        match self {
            Self::Disable => TlsMode::Disable,
            Self::Prefer => TlsMode::Prefer,
            Self::Require => TlsMode::Require,
            Self::VerifyFull => TlsMode::VerifyFull,
        }
    }
}

fn needed(value: Option<String>, key: &str) -> Result<String, String> {
    let value = value.filter(|value| !value.trim().is_empty());
    value.ok_or_else(|| format!("a connection to a server needs `{key}`"))
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
            .map(|setting| setting.0)
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
            ("{type: postgresql, username: u}", "needs `host`"),
            ("{type: postgresql, host: h}", "needs `username`"),
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
