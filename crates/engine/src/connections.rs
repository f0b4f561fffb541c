//! Connections to databases: kept in the store, with sealed passwords, and set
//! where runs use them, in one order. Never opens one, never shows a password.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jobcell_model::{
    ConnectionRecord, ConnectionSettings, Sealed, SettingProblem, check_connection_name,
};
use jobcell_store::{Fed, ImportError, Imported, PutConnectionError, StorageError, Store};
use tokio::sync::{Mutex, mpsc};

use crate::clock::Clock;
use crate::{Engine, ForeignJob};

/// Where runs find their databases.
#[async_trait]
pub trait Databases: Send + Sync + 'static {
    /// Sets where a name leads.
    fn set(&self, name: &str, settings: &ConnectionSettings, password: Option<&str>);

    /// Has a name lead nowhere, for this reason.
    fn refuse(&self, name: &str, reason: String);

    /// Forgets a name.
    fn remove(&self, name: &str);

    /// Opens a connection and asks it something.
    async fn check(&self, name: &str, within: Duration) -> Result<(), CheckFailed>;
}

/// A connection that does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFailed {
    /// The word for it, as runs have it.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// Seals and opens passwords.
pub trait Secrets: Send + Sync + 'static {
    /// Seals a secret that is for this purpose.
    ///
    /// # Errors
    /// With the reason.
    fn seal(&self, purpose: &str, secret: &str) -> Result<Vec<u8>, String>;

    /// Opens what was sealed for this purpose.
    ///
    /// # Errors
    /// With the reason and what to do.
    fn unseal(&self, purpose: &str, sealed: &[u8]) -> Result<String, String>;
}

/// What the connections are made of.
pub struct ConnectionsConfig {
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where runs find them.
    pub databases: Arc<dyn Databases>,
    /// What seals their passwords.
    pub secrets: Arc<dyn Secrets>,
    /// Those that are set already and are not to be changed here.
    pub fixed: Vec<FixedConnection>,
}

/// A connection that is not in the store.
#[derive(Debug, Clone)]
pub struct FixedConnection {
    /// What jobs call it.
    pub name: String,
    /// Where it leads.
    pub settings: ConnectionSettings,
    /// Whether it has a password.
    pub has_password: bool,
    /// Whether it is there from the start rather than configured.
    pub built_in: bool,
}

/// Where a connection comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// There from the start.
    BuiltIn,
    /// The configuration file.
    Configuration,
    /// The store.
    Stored {
        /// When it was made.
        created: DateTime<Utc>,
        /// When it was last changed.
        modified: DateTime<Utc>,
        /// Who made it.
        created_by: String,
        /// How often it was changed, from 1.
        revision: u64,
    },
}

/// A connection as it may be shown.
#[derive(Debug, Clone)]
pub struct ShownConnection {
    /// What jobs call it.
    pub name: String,
    /// Where it leads.
    pub settings: ConnectionSettings,
    /// Whether it has a password.
    pub has_password: bool,
    /// Where it comes from.
    pub origin: Origin,
    /// Why it is of no use as it is.
    pub problem: Option<String>,
}

/// A connection to be made.
#[derive(Clone)]
pub struct NewConnection {
    /// What jobs will call it.
    pub name: String,
    /// Where it leads.
    pub settings: ConnectionSettings,
    /// Its password.
    pub password: Option<String>,
    /// Who makes it.
    pub created_by: String,
}

/// What becomes of a password.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordChange {
    /// It stays.
    Keep,
    /// It goes.
    Clear,
    /// This is the new one.
    Set(String),
}

/// A connection can't be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum SaveConnectionError {
    /// A setting is wrong.
    #[error(transparent)]
    Invalid(#[from] SettingProblem),
    /// Another one has its name.
    #[error("a connection with the name `{0}` exists already")]
    Exists(String),
    /// There is none.
    #[error("there is no connection `{0}`")]
    NotFound(String),
    /// It is not of the store.
    #[error("the connection `{name}` {}", if *built_in { "is always there as it is; make one of another name" } else { "stands in the configuration file; change it there" })]
    Fixed {
        /// Its name.
        name: String,
        /// Whether it is there from the start rather than configured.
        built_in: bool,
    },
    /// Somebody else changed it at the same time.
    #[error(
        "the connection was changed at the same time; it is at revision {revision} now: read it and try again"
    )]
    Changed {
        /// Its revision now.
        revision: u64,
    },
    /// It leads somewhere else, where its password must not go unasked.
    #[error(
        "where the connection leads or how it is protected has changed, so its password has to be given again (or `null`, to have none)"
    )]
    PasswordNeeded,
    /// A password means nothing for it.
    #[error("a SQLite file has no password")]
    NoPassword,
    /// The password can't be sealed.
    #[error("the password can't be kept: {0}")]
    NotSealed(String),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// All connections. A cheap handle.
#[derive(Clone)]
pub struct Connections(Arc<Shared>);

struct Shared {
    config: ConnectionsConfig,
    /// Changes are made one after the other, so that runs find what is stored.
    changing: Mutex<()>,
}

impl Connections {
    /// Sets what is stored where runs find it.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn start(config: ConnectionsConfig) -> Result<Self, StorageError> {
        let stored = config.store.connections().await?;
        let connections = Self(Arc::new(Shared {
            config,
            changing: Mutex::new(()),
        }));
        for record in stored {
            if connections.fixed(&record.name).is_some() {
                tracing::warn!(
                    connection = record.name,
                    "a stored connection is hidden by the configured one of its name"
                );
                continue;
            }
            connections.apply(&record);
        }
        Ok(connections)
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn list(&self) -> Result<Vec<ShownConnection>, StorageError> {
        let stored = self.0.config.store.connections().await?;
        let mut shown: Vec<ShownConnection> = self.0.config.fixed.iter().map(fixed).collect();
        let own = stored
            .into_iter()
            .filter(|record| self.fixed(&record.name).is_none());
        shown.extend(own.map(|record| self.show(record)));
        shown.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(shown)
    }

    /// The one of this name.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn get(&self, name: &str) -> Result<Option<ShownConnection>, StorageError> {
        if let Some(found) = self.fixed(name) {
            return Ok(Some(fixed(found)));
        }
        let found = self.0.config.store.connection(name).await?;
        Ok(found.map(|record| self.show(record)))
    }

    /// Makes one.
    ///
    /// # Errors
    /// When its name is taken, or something is wrong with it.
    pub async fn create(&self, new: NewConnection) -> Result<ShownConnection, SaveConnectionError> {
        let record = self.prepare(new)?;
        self.put(record, None).await
    }

    /// Checks one and seals its password. Nothing is stored.
    ///
    /// # Errors
    /// When something is wrong with it.
    pub fn prepare(&self, new: NewConnection) -> Result<ConnectionRecord, SaveConnectionError> {
        check_connection_name(&new.name)?;
        new.settings.check()?;
        if self.fixed(&new.name).is_some() {
            return Err(SaveConnectionError::Exists(new.name));
        }
        let secret = self.seal(&new.name, &new.settings, new.password.as_deref())?;
        let now = self.0.config.clock.now();
        Ok(ConnectionRecord {
            name: new.name,
            settings: new.settings,
            secret,
            created: now,
            modified: now,
            created_by: new.created_by,
            revision: 1,
        })
    }

    /// Takes over jobs and runs of another system, with these connections, and sets
    /// those that were added where runs find them. All in one step or not at all.
    ///
    /// # Errors
    /// As [`Engine::take_over`] does.
    pub async fn take_over(
        &self,
        engine: &Engine,
        connections: Vec<ConnectionRecord>,
        jobs: Vec<ForeignJob>,
        runs: mpsc::Receiver<Fed>,
    ) -> Result<Imported, ImportError> {
        let (own, engine) = (self.clone(), engine.clone());
        let taking = async move {
            let _changing = own.0.changing.lock().await;
            let imported = engine.take_over(connections.clone(), jobs, runs).await?;
            for record in &connections {
                if imported.connections.contains(&record.name) {
                    own.apply(record);
                }
            }
            Ok(imported)
        };
        // To its end, even when whoever asked for it goes away.
        let taken = tokio::spawn(taking).await;
        taken.unwrap_or_else(|_| Err(StorageError::Closed.into()))
    }

    /// Changes one to these settings.
    ///
    /// # Errors
    /// When there is none, it is fixed, or something is wrong with it.
    pub async fn change(
        &self,
        name: &str,
        settings: ConnectionSettings,
        password: PasswordChange,
        expected_revision: Option<u64>,
    ) -> Result<ShownConnection, SaveConnectionError> {
        self.refuse_fixed(name)?;
        settings.check()?;
        let found = self.0.config.store.connection(name).await?;
        let found = found.ok_or_else(|| SaveConnectionError::NotFound(name.to_owned()))?;
        let same_target = purpose(name, &settings) == purpose(name, &found.settings);
        let secret = match password {
            PasswordChange::Set(password) => self.seal(name, &settings, Some(&password))?,
            PasswordChange::Clear => None,
            PasswordChange::Keep if found.secret.is_some() && !same_target => {
                return Err(SaveConnectionError::PasswordNeeded);
            }
            PasswordChange::Keep => found.secret,
        };
        let expected = expected_revision.unwrap_or(found.revision);
        if expected != found.revision {
            let revision = found.revision;
            return Err(SaveConnectionError::Changed { revision });
        }
        let record = ConnectionRecord {
            settings,
            secret,
            modified: self.0.config.clock.now(),
            revision: expected + 1,
            ..found
        };
        self.put(record, Some(expected)).await
    }

    /// Removes one. Runs that use it go on.
    ///
    /// # Errors
    /// When there is none, or it is fixed.
    pub async fn delete(&self, name: &str) -> Result<(), SaveConnectionError> {
        self.refuse_fixed(name)?;
        let (own, name) = (self.clone(), name.to_owned());
        whole(async move {
            let _changing = own.0.changing.lock().await;
            if !own.0.config.store.delete_connection(&name).await? {
                return Err(SaveConnectionError::NotFound(name));
            }
            own.0.config.databases.remove(&name);
            Ok(())
        })
        .await
    }

    /// Opens one and asks it something.
    ///
    /// # Errors
    /// When that fails, as a run would be told.
    pub async fn check(&self, name: &str, within: Duration) -> Result<(), CheckFailed> {
        self.0.config.databases.check(name, within).await
    }

    fn fixed(&self, name: &str) -> Option<&FixedConnection> {
        let mut fixed = self.0.config.fixed.iter();
        fixed.find(|fixed| fixed.name == name)
    }

    fn refuse_fixed(&self, name: &str) -> Result<(), SaveConnectionError> {
        match self.fixed(name) {
            Some(fixed) => Err(SaveConnectionError::Fixed {
                name: name.to_owned(),
                built_in: fixed.built_in,
            }),
            None => Ok(()),
        }
    }

    fn seal(
        &self,
        name: &str,
        settings: &ConnectionSettings,
        password: Option<&str>,
    ) -> Result<Option<Sealed>, SaveConnectionError> {
        let Some(password) = password else {
            return Ok(None);
        };
        if settings.file.is_some() {
            return Err(SaveConnectionError::NoPassword);
        }
        let sealed = self
            .0
            .config
            .secrets
            .seal(&purpose(name, settings), password);
        let sealed = sealed.map_err(SaveConnectionError::NotSealed)?;
        Ok(Some(Sealed(sealed)))
    }

    async fn put(
        &self,
        record: ConnectionRecord,
        expected: Option<u64>,
    ) -> Result<ShownConnection, SaveConnectionError> {
        let own = self.clone();
        whole(async move {
            let _changing = own.0.changing.lock().await;
            let store = &own.0.config.store;
            store
                .put_connection(record.clone(), expected)
                .await
                .map_err(refused)?;
            own.apply(&record);
            Ok(own.show(record))
        })
        .await
    }

    /// Sets a stored connection where runs find it.
    fn apply(&self, record: &ConnectionRecord) {
        let databases = &self.0.config.databases;
        if !record.settings.enabled {
            databases.refuse(&record.name, DISABLED.to_owned());
            return;
        }
        match self.password(record) {
            Ok(password) => databases.set(&record.name, &record.settings, password.as_deref()),
            Err(reason) => {
                tracing::error!(
                    connection = record.name,
                    reason,
                    "a connection is of no use"
                );
                databases.refuse(&record.name, reason);
            }
        }
    }

    fn password(&self, record: &ConnectionRecord) -> Result<Option<String>, String> {
        let Some(Sealed(sealed)) = &record.secret else {
            return Ok(None);
        };
        let purpose = purpose(&record.name, &record.settings);
        let opened = self.0.config.secrets.unseal(&purpose, sealed);
        opened
            .map(Some)
            .map_err(|reason| format!("its password can't be opened: {reason}"))
    }

    fn show(&self, record: ConnectionRecord) -> ShownConnection {
        let problem = if record.settings.enabled {
            self.password(&record).err()
        } else {
            None
        };
        ShownConnection {
            name: record.name,
            has_password: record.secret.is_some(),
            settings: record.settings,
            origin: Origin::Stored {
                created: record.created,
                modified: record.modified,
                created_by: record.created_by,
                revision: record.revision,
            },
            problem,
        }
    }
}

/// Carries a change out to its end, even when whoever asked for it goes away: what
/// is stored and what runs find must not part.
async fn whole<T: Send + 'static>(
    change: impl Future<Output = Result<T, SaveConnectionError>> + Send + 'static,
) -> Result<T, SaveConnectionError> {
    let changed = tokio::spawn(change).await;
    changed.unwrap_or_else(|_| Err(StorageError::Closed.into()))
}

fn refused(error: PutConnectionError) -> SaveConnectionError {
    match error {
        PutConnectionError::Exists { name } => SaveConnectionError::Exists(name),
        PutConnectionError::NotFound { name } => SaveConnectionError::NotFound(name),
        PutConnectionError::Changed { revision } => SaveConnectionError::Changed { revision },
        PutConnectionError::Storage(error) => error.into(),
    }
}

const DISABLED: &str = "it is disabled; enable it, or use another one";

fn fixed(fixed: &FixedConnection) -> ShownConnection {
    ShownConnection {
        name: fixed.name.clone(),
        settings: fixed.settings.clone(),
        has_password: fixed.has_password,
        origin: if fixed.built_in {
            Origin::BuiltIn
        } else {
            Origin::Configuration
        },
        problem: None,
    }
}

/// What a password is for: this name, that server, protected so. It opens for
/// nothing else, so nobody can have it sent elsewhere.
fn purpose(name: &str, settings: &ConnectionSettings) -> String {
    let target = serde_json::json!([
        name,
        settings.kind,
        settings.host,
        settings.port,
        settings.username,
        settings.tls,
        settings.ca_file,
    ]);
    format!("connection {target}")
}

#[cfg(test)]
mod tests {
    use super::{ConnectionSettings, purpose};
    use jobcell_model::{ConnectionKind, ConnectionTls};

    /// What was sealed for another text never opens again.
    #[test]
    fn a_purpose_is_the_same_in_every_version() {
        let settings = ConnectionSettings {
            host: Some("db".to_owned()),
            port: Some(1433),
            username: Some("sa".to_owned()),
            tls: Some(ConnectionTls::VerifyFull),
            ..ConnectionSettings::new(ConnectionKind::Sqlserver)
        };
        assert_eq!(
            purpose("erp", &settings),
            r#"connection ["erp","sqlserver","db",1433,"sa","verifyFull",null]"#
        );
    }
}
