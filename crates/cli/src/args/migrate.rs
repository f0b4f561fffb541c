//! The arguments of `jobcell migrate`. Doc comments here are the help text.

use std::path::PathBuf;

use chrono_tz::Tz;
use clap::{Args, ValueEnum};

use super::{Data, Format};

/// The help's end.
pub(crate) const AFTER: &str = "\
Sources:
  sqlite:FILE                                SQLite file, opened read-only
  mssql://USER[:PASSWORD]@HOST[:PORT]/DB     SQL Server
  postgres://USER[:PASSWORD]@HOST[:PORT]/DB  PostgreSQL
  mysql://USER[:PASSWORD]@HOST[:PORT]/DB     MySQL or MariaDB
  json:FILE                                  V1's tables as arrays, or replies of its API
  yaml:FILE                                  V1's config/jobs.yaml
A server's address may end in ?tls=disable|prefer|require|verify-full. Its password
comes from the address, --password-file or the variable JOBCELL_V1_PASSWORD.

Exit codes: 0 when every row was migrated, 6 when some are broken and reported. All
of it is written in one transaction; a second run changes nothing.";

#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Migrate {
    /// Where V1's jobs are; nothing of it is ever changed
    #[arg(long, value_name = "SOURCE")]
    pub(crate) from: Option<String>,

    #[command(flatten)]
    pub(crate) data: Data,

    /// Migrate to a server that runs on this machine, e.g. http://127.0.0.1:5000; then
    /// no data folder is used
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,

    /// Report what would be migrated; write no job and no run
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Which day a 0 in V1's cron expressions is: its form meant Sunday, its
    /// scheduler took it for Monday
    #[arg(long, value_enum, default_value_t = Weekdays::Sunday)]
    pub(crate) weekdays: Weekdays,

    /// IANA zone of V1's dates, which name none
    #[arg(long, value_name = "TZ", default_value = "UTC")]
    pub(crate) assume_timezone: Tz,

    /// Migrate jobs whose script is whole but of which something else is broken,
    /// disabled and without that
    #[arg(long)]
    pub(crate) keep_broken: bool,

    /// Migrate `jobs` without their history, or only the jobs with these names or
    /// job_ids; may be repeated
    #[arg(long, value_name = "jobs|NAME")]
    pub(crate) only: Vec<String>,

    /// Whether the sample jobs are added
    #[arg(long, value_enum, default_value_t = Samples::None)]
    pub(crate) samples: Samples,

    /// How the report is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// Write the report as a web page too
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// File that holds the password of V1's database
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

/// Which weekday a 0 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Weekdays {
    /// As V1's form meant it
    Sunday,
    /// As V1's scheduler took it
    Monday,
    /// Ask where it makes a difference
    Ask,
}

/// What becomes of the sample jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Samples {
    /// Only V1's jobs
    None,
    /// V1's jobs and the samples
    Also,
    /// Only the samples
    Only,
}
