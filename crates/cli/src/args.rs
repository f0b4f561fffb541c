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
    /// Take over the jobs and the history of the original system (V1)
    Migrate(Migrate),
    /// Show when jobs fire
    Schedule {
        #[command(subcommand)]
        command: Schedule,
    },
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
