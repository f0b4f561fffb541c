//! The command line. Doc comments here are the help text.

mod migrate;

use std::net::SocketAddr;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use jobcell_model::plan::Outage;

use crate::exit;
pub(crate) use migrate::{Migrate, Samples, Weekdays};

/// Run PowerShell and SQL jobs in sandboxed WebAssembly plugins
#[derive(Debug, Parser)]
#[command(name = "jobcell", version, after_help = exit::TABLE, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Configuration file (YAML)
    #[arg(long, global = true, value_name = "FILE", env = "JOBCELL_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// How log lines are written to standard error
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        env = "JOBCELL_LOG_FORMAT"
    )]
    pub(crate) log_format: Option<LogFormat>,

    /// What is logged: error, warn, info, debug, trace, or a filter such as
    /// `jobcell_engine=debug`
    #[arg(long, global = true, value_name = "FILTER", env = "JOBCELL_LOG")]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the REST API and keep jobs with their history
    Serve(Serve),
    /// Run the sample jobs in a temporary store and show what they do
    Demo,
    /// Run one job file now, without a server and without a record
    Run(Run),
    /// Check job files and show what is wrong, with line and column
    Validate(Validate),
    /// Show what this machine has for jobs (tools, their versions, connections,
    /// how processes are held together) and what is missing
    Doctor(Doctor),
    /// Manage the databases that jobs may use, on a server that runs
    Connection(Connection),
    /// Take over the jobs and the history of the original system (V1)
    Migrate(Migrate),
    /// Show when jobs fire
    Schedule {
        #[command(subcommand)]
        command: Schedule,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Connection {
    #[command(subcommand)]
    pub(crate) command: ConnectionCommand,

    /// The server's address
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:5000",
        env = "JOBCELL_SERVER"
    )]
    pub(crate) server: String,

    /// How the answer is printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionCommand {
    /// List all connections
    List,
    /// Show one connection; never its password
    Show {
        /// Its name
        name: String,
    },
    /// Add a connection
    Add {
        /// What jobs will call it
        name: String,
        #[command(flatten)]
        settings: Box<ConnectionSettings>,
    },
    /// Change some settings of a connection; the others stay
    Set {
        /// Its name
        name: String,
        #[command(flatten)]
        settings: Box<ConnectionSettings>,
    },
    /// Remove a connection; runs that use it go on
    Remove {
        /// Its name
        name: String,
    },
    /// Open a connection and ask the database something
    Test {
        /// Its name
        name: String,
    },
}

/// The settings of a connection. `--x ''` sets one back to what is usual.
#[derive(Debug, Args)]
pub(crate) struct ConnectionSettings {
    /// sqlite, postgresql, mysql, mariadb or sqlserver
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,

    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,

    /// Whether jobs may use it
    #[arg(long, value_name = "true|false")]
    pub(crate) enabled: Option<bool>,

    /// Job types that may use it, with commas between them; all without
    #[arg(long, value_name = "TYPES")]
    pub(crate) job_types: Option<String>,

    /// Absolute path of a SQLite file
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<String>,

    /// Name or address of a server
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,

    /// Its port
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,

    /// The database to be in
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,

    /// Who connects
    #[arg(long, value_name = "NAME")]
    pub(crate) username: Option<String>,

    /// File whose first line is the password, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// Have no password any more
    #[arg(long, conflicts_with = "password_file")]
    pub(crate) no_password: bool,

    /// disable, prefer, require or verifyFull
    #[arg(long, value_name = "MODE")]
    pub(crate) tls: Option<String>,

    /// File on the server with certificates that vouch for the database's
    #[arg(long, value_name = "PATH")]
    pub(crate) ca_file: Option<String>,

    /// Whether jobs may only read it
    #[arg(long, value_name = "true|false")]
    pub(crate) read_only: Option<bool>,

    /// Seconds that connecting may take
    #[arg(long, value_name = "SECONDS")]
    pub(crate) connect_timeout: Option<u64>,

    /// Seconds that one statement may take
    #[arg(long, value_name = "SECONDS")]
    pub(crate) statement_timeout: Option<u64>,

    /// Connections that may be open at one time
    #[arg(long, value_name = "COUNT")]
    pub(crate) max_open: Option<u32>,

    /// Seconds that one which nobody uses stays open
    #[arg(long, value_name = "SECONDS")]
    pub(crate) idle_time: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Schedule {
    /// List the instants of a schedule, each with what is special about it
    Explain(Explain),
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Explain {
    /// Job file whose schedules are explained, or `-` for standard input
    #[arg(group = "what")]
    pub(crate) file: Option<PathBuf>,

    /// Cron expression: 5 fields, 6 with leading seconds, or a name such as @daily;
    /// weekdays count from Sunday, 0 and 7 are both Sunday
    #[arg(long, value_name = "EXPR", group = "what")]
    pub(crate) cron: Option<String>,

    /// IANA zone that the expression is read in
    #[arg(
        long,
        value_name = "TZ",
        default_value = "UTC",
        conflicts_with = "file"
    )]
    pub(crate) timezone: String,

    /// List what is due after this instant (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<DateTime<Utc>>,

    /// List nothing after this instant [default: as many as asked for]
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<DateTime<Utc>>,

    /// Suppose that no server runs between two instants, FROM/UNTIL: what `catchUp`
    /// makes up for is listed as such
    #[arg(long, value_name = "SPAN")]
    pub(crate) down: Option<Outage>,

    /// How many instants
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) count: u32,

    /// How the list is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:5000]
    #[arg(long, value_name = "ADDRESS", env = "JOBCELL_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,

    #[command(flatten)]
    pub(crate) data: Data,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// How the report is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    #[command(flatten)]
    pub(crate) data: Data,
}

#[derive(Debug, Args)]
pub(crate) struct Data {
    /// Data folder [default: the user's data folder, e.g. ~/.local/share/jobcell]
    #[arg(long = "data", value_name = "DIR", env = "JOBCELL_DATA")]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Job file, or `-` for standard input
    pub(crate) file: PathBuf,

    /// Set or replace a parameter of the job; may be repeated
    #[arg(long = "parameter", short = 'p', value_name = "NAME=VALUE")]
    pub(crate) parameters: Vec<String>,

    /// Folder for the files that the run leaves; without it they are not kept
    #[arg(long, value_name = "DIR")]
    pub(crate) artifacts: Option<PathBuf>,

    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    #[command(flatten)]
    pub(crate) data: Data,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Job files, or `-` for standard input
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// How the findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}
