//! The databases of a server: those that are configured, those that are stored,
//! and the key that their passwords are sealed with. Never opens one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jobcell_engine::SystemClock;
use jobcell_engine::connections::{
    CheckFailed, Connections, ConnectionsConfig, Databases, FixedConnection, Secrets,
};
use jobcell_host_sql::{Password, SqlCapability, SqlConfig};
use jobcell_model::{ConnectionKind, ConnectionSettings};
use jobcell_plugin_host::bindings::types::Failure as Told;
use jobcell_store::Store;
use jobcell_vault::Vault;

use crate::compose::{self, DataFolder};
use crate::config::Config;
use crate::connection_setting::opened;
use crate::exit::{Exit, Failure};

/// The name of the connection that is always there.
pub(crate) const DEFAULT: &str = "default";

/// The capability with the connections that are configured.
pub(crate) fn configured(config: &Config, data: &DataFolder) -> SqlCapability {
    let sql = SqlCapability::with_options(SqlConfig::default(), &config.sqlite.resolve());
    for fixed in fixed(config, data) {
        let password = config.connections.get(&fixed.name);
        let password = password.and_then(|setting| setting.password.clone());
        let job_types = fixed.settings.job_types.clone();
        sql.set(&fixed.name, opened(&fixed.settings, password), job_types);
    }
    sql
}

/// Adds the connections that are stored, and keeps both alike from here on.
pub(crate) async fn connections(
    config: &Config,
    data: &DataFolder,
    store: Arc<dyn Store>,
    sql: SqlCapability,
) -> Result<Connections, Failure> {
    let vault = vault(config, data, true)?;
    start(config, data, store, sql, vault).await
}

async fn start(
    config: &Config,
    data: &DataFolder,
    store: Arc<dyn Store>,
    sql: SqlCapability,
    vault: Option<Vault>,
) -> Result<Connections, Failure> {
    let started = Connections::start(ConnectionsConfig {
        store,
        clock: Arc::new(SystemClock),
        databases: Arc::new(Live(sql)),
        secrets: Arc::new(Sealing(vault)),
        fixed: fixed(config, data),
    });
    started.await.map_err(|error| {
        Failure::context(
            Exit::Unavailable,
            error,
            "the stored connections can't be read",
        )
    })
}

/// The same for a command that has no server: what is stored is read once, if
/// there is a store that nobody uses.
pub(crate) async fn lend_stored(config: &Config, data: &DataFolder, sql: &SqlCapability) {
    if !data.has_store() {
        return;
    }
    let store = match compose::open_store(data) {
        Ok(store) => store,
        Err(failure) => {
            tracing::warn!(%failure, "stored connections are not known here");
            return;
        }
    };
    let lent = async {
        // Who only looks makes no key: the server's user could not read it.
        let vault = vault(config, data, false)?;
        start(config, data, Arc::clone(&store), sql.clone(), vault).await
    };
    if let Err(failure) = lent.await {
        tracing::warn!(%failure, "stored connections are not known here");
    }
    store.close().await;
}

/// None where there is no key and none is to be made.
fn vault(config: &Config, data: &DataFolder, create: bool) -> Result<Option<Vault>, Failure> {
    let opened = match &config.key_file {
        Some(file) => Vault::open(file, false),
        None if !create && !data.key_file().exists() => return Ok(None),
        None => Vault::open(&data.key_file(), create),
    };
    opened.map(Some).map_err(|error| {
        Failure::context(Exit::Unavailable, error, "passwords can't be kept sealed")
    })
}

fn fixed(config: &Config, data: &DataFolder) -> Vec<FixedConnection> {
    let own = ConnectionSettings {
        description: Some("the database of this server itself".to_owned()),
        file: Some(text(data.default_database())),
        ..ConnectionSettings::new(ConnectionKind::Sqlite)
    };
    let own = FixedConnection {
        name: DEFAULT.to_owned(),
        settings: own,
        has_password: false,
        built_in: true,
    };
    let configured = config.connections.iter();
    let configured = configured.map(|(name, setting)| FixedConnection {
        name: name.clone(),
        settings: setting.settings.clone(),
        has_password: setting.password.is_some(),
        built_in: false,
    });
    let replaced = config.connections.contains_key(DEFAULT);
    let own = (!replaced).then_some(own);
    own.into_iter().chain(configured).collect()
}

fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

/// Where runs find their databases.
struct Live(SqlCapability);

#[async_trait]
impl Databases for Live {
    fn set(&self, name: &str, settings: &ConnectionSettings, password: Option<&str>) {
        let password = password.map(|password| Password::new(password.to_owned()));
        let config = opened(settings, password);
        self.0.set(name, config, settings.job_types.clone());
    }

    fn refuse(&self, name: &str, reason: String) {
        self.0.refuse(name, reason);
    }

    fn remove(&self, name: &str) {
        self.0.remove(name);
    }

    async fn check(&self, name: &str, within: Duration) -> Result<(), CheckFailed> {
        let checked = self.0.check(name, within).await;
        checked.map_err(|error| {
            let message = error.to_string();
            let code = match Told::from(error) {
                Told::Invalid(detail)
                | Told::Denied(detail)
                | Told::NotFound(detail)
                | Told::Unavailable(detail)
                | Told::Other(detail) => detail.code,
                Told::Limit(limit) => limit.limit,
                Told::Cancelled => "cancelled".to_owned(),
                Told::TimedOut => "timeout".to_owned(),
            };
            CheckFailed { code, message }
        })
    }
}

/// What seals their passwords.
struct Sealing(Option<Vault>);

const NO_KEY: &str = "there is no key file; bring it back, or start the server once";

impl Secrets for Sealing {
    fn seal(&self, purpose: &str, secret: &str) -> Result<Vec<u8>, String> {
        let vault = self.0.as_ref().ok_or(NO_KEY)?;
        let sealed = vault.seal(purpose, secret);
        sealed.map_err(|error| error.to_string())
    }

    fn unseal(&self, purpose: &str, sealed: &[u8]) -> Result<String, String> {
        let vault = self.0.as_ref().ok_or(NO_KEY)?;
        let opened = vault.unseal(purpose, sealed);
        opened
            .map(|secret| secret.to_string())
            .map_err(|error| error.to_string())
    }
}
