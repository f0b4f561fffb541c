//! Puts the parts together: data folder, plugins, capabilities, store, engine.
//! The only place that knows all crates. Never runs a job.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jobcell_engine::{Engine, EngineConfig, JobTypes, SystemClock};
use jobcell_host_process::{ProcessCapability, ProcessConfig, Tools};
use jobcell_host_sql::SqlCapability;
use jobcell_plugin_host::{HostConfig, Plugin, PluginHost};
use jobcell_store::{OpenError, RedbStore, Store, StoreOptions};

use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::tool_setting::ToolSetting;

/// What a plugin asks for whose jobs name the tool.
const ANY_ROLE: &str = "*";

/// Variables of the server that every process gets, where they are set.
const PASSED_ON: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "SystemRoot",
    "ComSpec",
    "PATHEXT",
    "TEMP",
    "TMP",
    "USERPROFILE",
];

/// The folder that holds everything that Jobcell keeps.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder(PathBuf);

impl DataFolder {
    /// The folder that was asked for, or the user's own.
    pub(crate) fn choose(argument: Option<PathBuf>, config: &Config) -> Result<Self, Failure> {
        if let Some(folder) = argument.or_else(|| config.data.clone()) {
            return std::path::absolute(&folder).map(Self).map_err(|error| {
                Failure::context(
                    Exit::Usage,
                    error,
                    format!("{} is no folder", folder.display()),
                )
            });
        }
        directories::ProjectDirs::from("", "", "jobcell")
            .map(|dirs| Self(dirs.data_dir().to_owned()))
            .ok_or_else(|| {
                Failure::message(
                    Exit::Usage,
                    "there is no home folder: name one with --data DIR",
                )
            })
    }

    /// This folder.
    pub(crate) const fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Whether it is there already.
    pub(crate) fn exists(&self) -> bool {
        self.0.is_dir()
    }

    /// Makes it and what lies in it, for its owner alone.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        for folder in [self.0.clone(), self.images(), self.scratch()] {
            create_private(&folder).map_err(|error| {
                let doing = format!("the data folder {} can't be made", folder.display());
                Failure::context(Exit::Unavailable, error, doing)
            })?;
        }
        Ok(())
    }

    /// Lets the users that tools run as pass to the private folders of their
    /// runs, where the configuration names any. What lies beside them stays its
    /// owner's alone.
    pub(crate) fn let_users_pass(&self, config: &Config) -> Result<(), Failure> {
        let mut tools = config.tools.values();
        if !tools.any(|ToolSetting(grant)| grant.run_as.is_some()) {
            return Ok(());
        }
        open_way(&self.0, &self.scratch(), &self.default_database()).map_err(|error| {
            let doing = format!(
                "users of `runAs` can't be let through the data folder {}",
                self.0.display()
            );
            Failure::context(Exit::Unavailable, error, doing)
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Whether there is a store in it.
    pub(crate) fn has_store(&self) -> bool {
        self.store().exists()
    }

    fn images(&self) -> PathBuf {
        self.0.join("images")
    }

    fn scratch(&self) -> PathBuf {
        self.0.join("scratch")
    }

    fn store(&self) -> PathBuf {
        self.0.join("jobcell.redb")
    }

    /// The file of the connection that is always there.
    pub(crate) fn default_database(&self) -> PathBuf {
        self.0.join("default.sqlite")
    }

    /// The file of the key that passwords are sealed with.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.0.join("secrets.key")
    }
}

/// Opens the store of a data folder.
pub(crate) fn open_store(data: &DataFolder) -> Result<Arc<dyn Store>, Failure> {
    match RedbStore::open(&data.store(), StoreOptions::default()) {
        Ok(store) => Ok(Arc::new(store)),
        Err(error @ OpenError::InUse { .. }) => Err(Failure::context(
            Exit::Unavailable,
            error,
            format!(
                "another jobcell uses the data folder {}",
                data.path().display()
            ),
        )),
        Err(error) => {
            let doing = format!("the store in {} can't be opened", data.path().display());
            Err(Failure::context(Exit::Unavailable, error, doing))
        }
    }
}

/// Loads the built-in plugins, with compiled images kept in the data folder
/// where there is one.
pub(crate) fn job_types(
    config: &Config,
    data: &DataFolder,
    sql: &SqlCapability,
) -> Result<JobTypes, Failure> {
    let process = process_capability(config, data);
    if data.exists() {
        process.clean_leftovers();
    }
    let host_config = HostConfig {
        cache_dir: data.exists().then(|| data.images()),
        ..HostConfig::default()
    };
    let host = PluginHost::new(host_config, vec![Arc::new(process), Arc::new(sql.clone())])
        .map_err(|error| Failure::context(Exit::Unavailable, error, "plugins can't be run"))?;
    let mut plugins = Vec::new();
    for bundled in jobcell_bundle::job_types() {
        let plugin = host
            .load(bundled.name, bundled.component)
            .map_err(|error| {
                let doing = format!("the built-in plugin `{}` can't be loaded", bundled.name);
                Failure::context(Exit::Internal, error, doing)
            })?;
        plugins.push(plugin);
    }
    check_roles(config, &plugins)?;
    JobTypes::new(plugins).map_err(|error| Failure::new(Exit::Internal, error))
}

/// The capability that starts processes, with what the configuration grants.
pub(crate) fn process_capability(config: &Config, data: &DataFolder) -> ProcessCapability {
    let granted = process_config(config, data);
    if config.cgroups {
        ProcessCapability::new(granted)
    } else {
        ProcessCapability::without_cgroups(granted)
    }
}

/// Refuses tools that nobody could ask for, and warns of such as look misspelt
/// or are not there: better now than when a job fails at night.
fn check_roles(config: &Config, plugins: &[Plugin]) -> Result<(), Failure> {
    let roles: Vec<&str> = plugins
        .iter()
        .flat_map(|plugin| &plugin.description().requirements)
        .filter(|asked| asked.capability == "process")
        .map(|asked| asked.name.as_str())
        .collect();
    let any = roles.contains(&ANY_ROLE);
    for (role, ToolSetting(grant)) in &config.tools {
        let known = roles.contains(&role.as_str());
        let meant = roles.iter().find(|known| looks_like(role, known));
        if !known && !any {
            let known = meant.map_or_else(|| roles.join(", "), |meant| format!("`{meant}`"));
            let message =
                format!("no job type asks for the tool `{role}` under `tools`; there is {known}");
            return Err(Failure::message(Exit::Usage, message));
        }
        if let Some(meant) = meant.filter(|_| !known) {
            // Jobs that name their tool may name this one.
            tracing::warn!(
                role,
                meant,
                "a tool has almost the name of a role that job types ask for; is it misspelt?"
            );
        }
        if !grant.path.is_file() {
            tracing::warn!(role, program = %grant.path.display(), "the program of a tool is no file; jobs that need it will fail");
        }
    }
    Ok(())
}

/// Whether one word is another one with a slip or two.
fn looks_like(word: &str, other: &str) -> bool {
    other.len() > 4 && strsim::damerau_levenshtein(word, other) <= 2
}

/// Starts an engine over a store.
pub(crate) async fn engine(
    config: &Config,
    job_types: JobTypes,
    store: Arc<dyn Store>,
) -> Result<Engine, Failure> {
    let config = engine_config(config, job_types, store)?;
    Engine::start(config)
        .await
        .map_err(|error| Failure::context(Exit::Unavailable, error, "the engine can't start"))
}

/// An engine over a store that starts no run.
pub(crate) fn engine_at_rest(
    config: &Config,
    job_types: JobTypes,
    store: Arc<dyn Store>,
) -> Result<Engine, Failure> {
    engine_config(config, job_types, store).map(Engine::at_rest)
}

fn engine_config(
    config: &Config,
    job_types: JobTypes,
    store: Arc<dyn Store>,
) -> Result<EngineConfig, Failure> {
    Ok(EngineConfig {
        runs_by_type: runs_by_type(config, &job_types)?,
        store,
        clock: Arc::new(SystemClock),
        job_types,
        limits: config.limits.resolve(),
        workers: config.workers,
        calendars: config.calendars(),
        server_info: server_info(),
    })
}

/// How many runs of a job type may go on at once. Refuses types that there are
/// not, which are misspelt ones.
fn runs_by_type(config: &Config, job_types: &JobTypes) -> Result<BTreeMap<String, usize>, Failure> {
    for name in config.job_types.keys() {
        let known: Vec<&str> = job_types.schemas().iter().map(|one| one.name()).collect();
        if !known.contains(&name.as_str()) {
            let known = known.join(", ");
            let message =
                format!("there is no job type `{name}`, as under `jobTypes`; there is {known}");
            return Err(Failure::message(Exit::Usage, message));
        }
    }
    let limits = config.job_types.iter();
    Ok(limits
        .filter_map(|(name, job_type)| Some((name.clone(), job_type.runs?.get())))
        .collect())
}

/// The runtime that everything asynchronous runs on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::context(Exit::Internal, error, "threads can't be started"))
}

/// The few variables of this process that others get.
pub(crate) fn passed_on() -> Vec<(&'static str, std::ffi::OsString)> {
    let names = PASSED_ON.into_iter();
    names
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
        .collect()
}

fn process_config(config: &Config, data: &DataFolder) -> ProcessConfig {
    let mut granted: BTreeMap<String, String> = passed_on()
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.into_string().ok()?)))
        .collect();
    granted.extend(config.environment.clone());
    let search = std::env::var_os("PATH").unwrap_or_default();
    let tools = config.tools.iter();
    let tools = tools
        .map(|(role, ToolSetting(grant))| (role.clone(), grant.clone()))
        .collect();
    ProcessConfig {
        tools: Tools::search(&search).with_configured(tools),
        scratch_root: data.scratch(),
        environment: granted.into_iter().collect(),
        script_folders: config.script_folders.clone(),
    }
}

fn server_info() -> String {
    format!(
        "{}; {} {}; jobcell {}",
        gethostname::gethostname().to_string_lossy(),
        std::env::consts::OS,
        std::env::consts::ARCH,
        env!("CARGO_PKG_VERSION"),
    )
}

#[cfg(unix)]
fn open_way(data: &Path, scratch: &Path, database: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    const PASSABLE: u32 = 0o711;
    // SQLite gives its other files the mode of this one.
    let mut private = fs::OpenOptions::new();
    private.write(true).create(true).truncate(false).mode(0o600);
    private.open(database)?;
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        let facts = entry.metadata()?;
        let mode = facts.permissions().mode();
        if !facts.is_symlink() && entry.path() != scratch && mode & 0o077 != 0 {
            set(&entry.path(), mode & 0o700)?;
        }
    }
    set(scratch, PASSABLE)?;
    set(data, PASSABLE)?;
    for folder in data.ancestors().skip(1) {
        let passable = |facts: fs::Metadata| facts.permissions().mode() & 0o001 != 0;
        if !folder.metadata().is_ok_and(passable) {
            tracing::warn!(folder = %folder.display(), "users of `runAs` can't pass this folder above the data folder; jobs that need it will fail");
        }
    }
    Ok(())
}

/// Here no tool runs as somebody else.
#[cfg(not(unix))]
fn open_way(_data: &Path, _scratch: &Path, _database: &Path) -> std::io::Result<()> {
    Ok(())
}

fn create_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
