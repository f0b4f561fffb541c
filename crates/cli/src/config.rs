//! The configuration file: what an admin may set, with its defaults.
//! Never opens or starts what it names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use jobcell_host_sql::SqliteOptions;
use jobcell_model::plan::{Calendar, Calendars};
use jobcell_plugin_host::{Bound, RunLimits};
use serde::{Deserialize, Deserializer};

use crate::args::LogFormat;
use crate::connection_setting::ConnectionSetting;
use crate::exit::{Exit, Failure};
use crate::tool_setting::ToolSetting;

/// The configuration file. Every key may be left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Address to listen on.
    pub(crate) listen: SocketAddr,
    /// Data folder; the user's own without it.
    pub(crate) data: Option<PathBuf>,
    /// How long a shutdown lets runs go on, e.g. `30s`.
    #[serde(deserialize_with = "duration")]
    pub(crate) shutdown_grace: Duration,
    /// The largest request body, e.g. `2 MiB`.
    pub(crate) body_limit: ByteSize,
    /// The largest import of `jobcell migrate --server`, e.g. `4 GiB`.
    pub(crate) import_limit: ByteSize,
    /// Names besides the loopback ones that the `Host` header may carry.
    pub(crate) allowed_hosts: Vec<String>,
    /// Origins besides the server's own whose pages may call it.
    pub(crate) allowed_origins: Vec<String>,
    /// What is logged and how.
    pub(crate) log: Log,
    /// Tools by role.
    pub(crate) tools: BTreeMap<String, ToolSetting>,
    /// Whether processes are held together in cgroups where there are any.
    pub(crate) cgroups: bool,
    /// Variables that every process gets besides the few standard ones.
    pub(crate) environment: BTreeMap<String, String>,
    /// Folders that script files may lie in; anywhere without any.
    pub(crate) script_folders: Vec<PathBuf>,
    /// The key that stored passwords are sealed with; one in the data folder
    /// without it.
    pub(crate) key_file: Option<PathBuf>,
    /// Databases by name.
    pub(crate) connections: BTreeMap<String, ConnectionSetting>,
    /// How many runs that were scheduled or waited may go on at once.
    pub(crate) workers: usize,
    /// What holds for all jobs of a type, by its name.
    pub(crate) job_types: BTreeMap<String, JobType>,
    /// Days and hours in which nothing fires, by the names that schedules use.
    pub(crate) calendars: BTreeMap<String, Calendar>,
    /// How SQLite files are used, all alike.
    pub(crate) sqlite: Sqlite,
    /// Bounds of one run.
    pub(crate) limits: Limits,
}

/// What holds for all jobs of a type.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct JobType {
    /// How many runs of them may go on at once; any number without it.
    pub(crate) runs: Option<NonZeroUsize>,
}

/// How SQLite files are used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Sqlite {
    memory: Option<ByteSize>,
    #[serde(deserialize_with = "some_duration")]
    busy_timeout: Option<Duration>,
}

impl Sqlite {
    /// The options, with the defaults where nothing is set.
    pub(crate) fn resolve(&self) -> SqliteOptions {
        let usual = SqliteOptions::default();
        SqliteOptions {
            memory: self.memory.map_or(usual.memory, |size| size.as_u64()),
            busy_timeout: self.busy_timeout.unwrap_or(usual.busy_timeout),
            ..usual
        }
    }
}

/// What is logged and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Log {
    /// `text` or `json`.
    pub(crate) format: LogFormat,
    /// As `--log`.
    pub(crate) filter: String,
}

/// Bounds of one run; each as `RunLimits` describes it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Limits {
    guest_memory: Option<ByteSize>,
    #[serde(deserialize_with = "some_duration")]
    compute_time: Option<Duration>,
    host_calls: Option<u64>,
    output_head: Option<ByteSize>,
    output_tail: Option<ByteSize>,
    log_line: Option<ByteSize>,
    steps: Option<usize>,
    step_details: Option<ByteSize>,
    processes: Option<u32>,
    process_tree: Option<u32>,
    process_memory: Option<ByteSize>,
    #[serde(deserialize_with = "some_duration")]
    process_cpu_time: Option<Duration>,
    open_files: Option<u64>,
    #[serde(deserialize_with = "some_duration")]
    stop_grace: Option<Duration>,
    artifact_bytes: Option<ByteSize>,
    sql_rows: Option<u64>,
    sql_bytes: Option<ByteSize>,
    sql_connections: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 5000)),
            data: None,
            shutdown_grace: Duration::from_secs(30),
            body_limit: ByteSize::mib(2),
            import_limit: ByteSize::gib(4),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            log: Log::default(),
            tools: BTreeMap::new(),
            cgroups: true,
            environment: BTreeMap::new(),
            script_folders: Vec::new(),
            key_file: None,
            connections: BTreeMap::new(),
            workers: 64,
            job_types: BTreeMap::new(),
            calendars: BTreeMap::new(),
            sqlite: Sqlite::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}

impl Config {
    /// Reads the file, or gives the defaults without one.
    pub(crate) fn read(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(file) = file else {
            return Ok(Self::default());
        };
        let doing = || format!("the configuration file {} can't be used", file.display());
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::context(Exit::Usage, error, doing()))?;
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_yaml::from_str(&text).map_err(|error| Failure::context(Exit::Usage, error, doing()))
    }
}

impl Config {
    /// The calendars as plans use them.
    pub(crate) fn calendars(&self) -> Calendars {
        let calendars = self.calendars.iter();
        calendars
            .map(|(name, calendar)| (name.clone(), Arc::new(calendar.clone())))
            .collect()
    }
}

impl Limits {
    /// The limits of a run, with the defaults where nothing is set.
    pub(crate) fn resolve(&self) -> RunLimits {
        let usual = RunLimits::default();
        let bytes = |size: Option<ByteSize>, usual: usize| {
            size.map_or(usual, |size| {
                usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
            })
        };
        RunLimits {
            guest_memory: self
                .guest_memory
                .map_or(usual.guest_memory, |size| size.as_u64()),
            compute_time: self.compute_time.unwrap_or(usual.compute_time),
            host_calls: self.host_calls.unwrap_or(usual.host_calls),
            output_head: bytes(self.output_head, usual.output_head),
            output_tail: bytes(self.output_tail, usual.output_tail),
            log_line: bytes(self.log_line, usual.log_line),
            steps: self.steps.unwrap_or(usual.steps),
            step_details: bytes(self.step_details, usual.step_details),
            processes: self.processes.unwrap_or(usual.processes),
            process_tree: self
                .process_tree
                .map_or(usual.process_tree, Bound::of_admin),
            process_memory: self
                .process_memory
                .map(|size| Bound::of_admin(size.as_u64())),
            process_cpu_time: self.process_cpu_time.map(Bound::of_admin),
            open_files: self.open_files.map(Bound::of_admin),
            stop_grace: self.stop_grace.unwrap_or(usual.stop_grace),
            sql_rows: self.sql_rows.unwrap_or(usual.sql_rows),
            artifact_bytes: self
                .artifact_bytes
                .map_or(usual.artifact_bytes, |size| size.as_u64()),
            sql_bytes: self.sql_bytes.map_or(usual.sql_bytes, |size| size.as_u64()),
            sql_connections: self.sql_connections.unwrap_or(usual.sql_connections),
        }
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        serde::de::Error::custom(format!(
            "`{text}` is no length of time such as `30s`: {error}"
        ))
    })
}

pub(crate) fn some_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn reads_every_documented_setting() {
        let config: Config = serde_yaml::from_str(include_str!("../configuration.yaml")).unwrap();
        assert_eq!(config.limits.resolve(), RunLimits::default());
        assert_eq!(config.listen, Config::default().listen);
        assert_eq!(config.shutdown_grace, Config::default().shutdown_grace);
        assert_eq!(config.body_limit, Config::default().body_limit);
        assert_eq!(config.import_limit, Config::default().import_limit);
        assert_eq!(config.log.filter, Config::default().log.filter);
        assert_eq!(config.workers, Config::default().workers);
        assert_eq!(config.cgroups, Config::default().cgroups);
        assert_eq!(config.sqlite.resolve(), SqliteOptions::default());
    }

    #[test]
    fn every_limit_is_the_one_that_was_set() {
        let text = "guestMemory: 1 MiB\ncomputeTime: 2s\nhostCalls: 3\noutputHead: 4 B\n\
            outputTail: 5 B\nlogLine: 6 B\nsteps: 7\nstepDetails: 8 B\nprocesses: 9\n\
            processTree: 14\nprocessMemory: 15 B\nprocessCpuTime: 16s\nopenFiles: 17\n\
            stopGrace: 10s\nsqlRows: 11\nsqlBytes: 12 B\nsqlConnections: 13\n\
            artifactBytes: 18 B\n";
        let limits: Limits = serde_yaml::from_str(text).unwrap();
        let expected = RunLimits {
            guest_memory: 1 << 20,
            compute_time: Duration::from_secs(2),
            host_calls: 3,
            output_head: 4,
            output_tail: 5,
            log_line: 6,
            steps: 7,
            step_details: 8,
            processes: 9,
            process_tree: Bound::of_admin(14),
            process_memory: Some(Bound::of_admin(15)),
            process_cpu_time: Some(Bound::of_admin(Duration::from_secs(16))),
            open_files: Some(Bound::of_admin(17)),
            stop_grace: Duration::from_secs(10),
            sql_rows: 11,
            artifact_bytes: 18,
            sql_bytes: 12,
            sql_connections: 13,
        };
        assert_eq!(limits.resolve(), expected);
    }

    #[test]
    fn limits_are_the_documented_ones_by_default() {
        let limits = Limits::default().resolve();
        assert_eq!(limits.guest_memory, 64 << 20);
        assert_eq!(limits.compute_time, Duration::from_secs(10));
        assert_eq!(limits.host_calls, 1_000_000);
        assert_eq!((limits.output_head, limits.output_tail), (1 << 20, 1 << 20));
        assert_eq!(limits.log_line, 16 << 10);
        assert_eq!(limits.processes, 64);
        assert_eq!((limits.sql_rows, limits.sql_bytes), (10_000, 16 << 20));
    }

    #[test]
    fn refuses_a_setting_that_it_does_not_know() {
        let error = serde_yaml::from_str::<Config>("limits:\n  guestMemori: 1 MiB\n").unwrap_err();
        assert!(error.to_string().contains("guestMemori"), "{error}");
    }
}
