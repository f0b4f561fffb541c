//! Where V1 is, as `--from` says. Reads the file that a password lies in, and
//! no other; never shows a password.

use std::path::{Path, PathBuf};

use jobcell_host_sql::{ConnectionConfig, Password, ServerConfig, ServerKind, TlsMode};

use crate::exit::{Exit, Failure};

/// The variable that a password may lie in.
const PASSWORD: &str = "JOBCELL_V1_PASSWORD";

/// Where V1 is.
#[derive(Debug)]
pub(crate) enum Source {
    /// In a database.
    Database {
        /// How it is opened.
        config: ConnectionConfig,
        /// Its kind.
        dialect: Dialect,
    },
    /// In a JSON file.
    Json(PathBuf),
    /// In a YAML file.
    Yaml(PathBuf),
}

/// A kind of database, as far as reading V1 goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    PostgreSql,
    MySql,
    SqlServer,
}

impl Source {
    /// Reads `--from`. The password comes from the address, a file, or the
    /// environment.
    pub(crate) fn read(from: &str, password_file: Option<&Path>) -> Result<Self, Failure> {
        let wrong = |reason: &str| {
            let message = format!("--from {}: {reason}", without_password(from));
            Failure::message(Exit::Usage, message)
        };
        let Some((kind, rest)) = from.split_once(':') else {
            return Err(wrong(
                "it names no kind, such as `sqlite:FILE` or `mssql://…`",
            ));
        };
        let (kind, dialect) = match kind.to_ascii_lowercase().as_str() {
            "mssql" | "sqlserver" => (ServerKind::SqlServer, Dialect::SqlServer),
            "postgres" | "postgresql" => (ServerKind::PostgreSql, Dialect::PostgreSql),
            "mysql" | "mariadb" => (ServerKind::MySql, Dialect::MySql),
            other => return Self::file(other, rest).map_err(|reason| wrong(&reason)),
        };
        let mut config = address(kind, rest).map_err(|reason| wrong(&reason))?;
        if config.password.is_none() {
            config.password = password(password_file)?;
        }
        let config = ConnectionConfig::Server(config);
        Ok(Self::Database { config, dialect })
    }

    fn file(kind: &str, path: &str) -> Result<Self, String> {
        match kind {
            "sqlite" => Ok(Self::Database {
                config: ConnectionConfig::Sqlite {
                    path: file(path)?,
                    read_only: true,
                },
                dialect: Dialect::Sqlite,
            }),
            "json" => file(path).map(Self::Json),
            "yaml" | "yml" => file(path).map(Self::Yaml),
            other => Err(format!(
                "`{other}` is not known; there is sqlite, mssql, postgres, mysql, json and yaml"
            )),
        }
    }
}

/// What `--from` says without the password in it.
pub(crate) fn without_password(from: &str) -> String {
    let Some((start, rest)) = from.split_once("://") else {
        // No address, but maybe meant as one.
        return match (from.split_once(':'), from.rsplit_once('@')) {
            (Some((kind, _)), Some((_, host))) => format!("{kind}:…@{host}"),
            _ => from.to_owned(),
        };
    };
    let rest = rest.split_once('?').map_or(rest, |(place, _)| place);
    // A password may hold any sign, so the last `@` counts.
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{start}://{user}@{host}")
        }
        None => from.to_owned(),
    }
}

fn file(path: &str) -> Result<PathBuf, String> {
    if path.is_empty() {
        return Err("it names no file".to_owned());
    }
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    match std::fs::metadata(&path) {
        Ok(found) if found.is_file() => Ok(path),
        Ok(_) => Err(format!("{} is no file", path.display())),
        Err(error) => Err(format!("{} can't be read: {error}", path.display())),
    }
}

fn address(kind: ServerKind, rest: &str) -> Result<ServerConfig, String> {
    let Some(rest) = rest.strip_prefix("//") else {
        return Err("an address has the form `mssql://USER[:PASSWORD]@HOST[:PORT]/DB`".to_owned());
    };
    let (user, rest) = rest
        .rsplit_once('@')
        .ok_or("it names no user: USER[:PASSWORD]@HOST")?;
    let (user, password) = match user.split_once(':') {
        Some((user, password)) => (user, Some(decoded(password)?)),
        None => (user, None),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, database) = rest.split_once('/').unwrap_or((rest, ""));
    if database.is_empty() {
        return Err("it names no database: HOST/DB".to_owned());
    }
    let (host, port) = host_and_port(host)?;
    let user = decoded(user)?;
    if user.is_empty() || host.is_empty() {
        return Err("it needs a user and a host".to_owned());
    }
    let mut config = ServerConfig::new(kind, host, &user);
    config.port = port;
    config.database = Some(decoded(database)?);
    config.password = password.map(Password::new);
    // SQL Server has no sessions that only read; nothing but SELECT is sent.
    config.read_only = kind != ServerKind::SqlServer;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        config.tls.mode = match pair.split_once('=') {
            Some(("tls", mode)) => tls(mode)?,
            _ => {
                let key = pair.split('=').next().unwrap_or_default();
                return Err(format!("`{key}` is not known; there is `tls=…`"));
            }
        };
    }
    Ok(config)
}

fn host_and_port(text: &str) -> Result<(&str, Option<u16>), String> {
    let number = |port: &str| {
        let port = port.parse::<u16>();
        port.map(Some)
            .map_err(|_| "its port is no number".to_owned())
    };
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("a `]` is missing")?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, number(port)?)),
            None if rest.is_empty() => Ok((host, None)),
            None => Err("it has something between `]` and `/`".to_owned()),
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Ok((host, number(port)?)),
        None => Ok((text, None)),
    }
}

fn tls(mode: &str) -> Result<TlsMode, String> {
    match mode {
        "disable" => Ok(TlsMode::Disable),
        "prefer" => Ok(TlsMode::Prefer),
        "require" => Ok(TlsMode::Require),
        "verify-full" | "verifyFull" => Ok(TlsMode::VerifyFull),
        _ => Err("`tls` is disable, prefer, require or verify-full".to_owned()),
    }
}

/// `%40` for `@`, as in any address.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let code = after
            .get(..2)
            .and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.ok_or("a `%` in it is not followed by two hexadecimal digits")?);
        rest = after.get(2..).unwrap_or_default();
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text once decoded".to_owned())
}

fn password(file: Option<&Path>) -> Result<Option<Password>, Failure> {
    let text = match file {
        Some(file) => Some(std::fs::read_to_string(file).map_err(|error| {
            let doing = format!("the password file {} can't be read", file.display());
            Failure::context(Exit::Usage, error, doing)
        })?),
        None => std::env::var(PASSWORD).ok(),
    };
    // An editor ends the last line.
    let text = text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    Ok(text.filter(|text| !text.is_empty()).map(Password::new))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let config = address(
            ServerKind::SqlServer,
            "//DOM%5Csa:p%40:x@db.example:1434/sreutil?tls=require",
        )
        .unwrap();
        assert_eq!((&*config.host, config.port), ("db.example", Some(1434)));
        assert_eq!(config.username, "DOM\\sa");
        assert_eq!(config.database.as_deref(), Some("sreutil"));
        assert_eq!(config.password, Some(Password::new("p@:x".to_owned())));
        assert_eq!(config.tls.mode, TlsMode::Require);
        assert!(!config.read_only);
        let config = address(ServerKind::PostgreSql, "//u@[::1]:5433/v1").unwrap();
        assert_eq!((&*config.host, config.port), ("::1", Some(5433)));
        assert!(config.read_only && config.password.is_none());
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_its_password() {
        for (from, part) in [
            ("mssql://sa:s3cret@host", "no database"),
            ("mssql://host/db", "no user"),
            ("mssql:host", "has the form"),
            ("mysql://u:s3cret@h:x/d", "no number"),
            ("postgres://u:s3cret@h/d?ssl=1", "`ssl` is not known"),
            (
                "postgres://u@h/d?password=s3cret",
                "`password` is not known",
            ),
            ("mssql:sa:s3cret@db/v1", "has the form"),
            ("postgres://u:s3cret@h/d?tls=maybe", "verify-full"),
            ("postgres://u%4:s3cret@h/d", "hexadecimal"),
            ("oracle://u:s3cret@h/d", "`oracle` is not known"),
            ("sqlite:/nowhere/at/all", "can't be read"),
            ("nothing", "names no kind"),
        ] {
            let failure = Source::read(from, None).unwrap_err().to_string();
            assert!(failure.contains(part), "{from}: {failure}");
            assert!(!failure.contains("s3cret"), "{failure}");
        }
    }
}
