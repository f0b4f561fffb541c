//! Exit codes, and failures that carry one. The only place that decides them.

use std::fmt::Display;
use std::process::ExitCode;

use crate::out::complain;

/// How the process ends. The numbers are documented in `--help` and stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for was done.
    Success = 0,
    /// A job ran and did not succeed.
    JobFailed = 1,
    /// The arguments or the configuration are wrong.
    Usage = 2,
    /// A job file is not valid, or can't be read.
    InvalidJob = 3,
    /// The data folder, its store, the address or standard output can't be used.
    Unavailable = 4,
    /// A job was stopped because its time was over.
    JobTimedOut = 5,
    /// A migration left out rows of V1 that are broken.
    Incomplete = 6,
    /// A defect of Jobcell.
    Internal = 70,
    /// Interrupted by Ctrl-C or a signal.
    Cancelled = 130,
}

/// The table in `--help`.
pub(crate) const TABLE: &str = "\
Exit codes:
  0    done; the job succeeded, the files are valid
  1    the job ran and failed
  2    wrong arguments or configuration
  3    a job file is not valid, or can't be read
  4    the data folder, its store, the address or standard output can't be used
  5    the job was stopped because its `timeout` was over
  6    some rows of V1 are broken and were not migrated; the report lists them
  70   a defect of Jobcell
  130  cancelled by Ctrl-C or a signal";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    error: anyhow::Error,
}

impl Display for Failure {
    /// What went wrong, without its causes.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(formatter)
    }
}

impl Failure {
    /// A failure that ends the process with this code.
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            error: error.into(),
        }
    }

    /// The same with what was being done.
    pub(crate) fn context(
        exit: Exit,
        error: impl Into<anyhow::Error>,
        doing: impl Display + Send + Sync + 'static,
    ) -> Self {
        Self {
            exit,
            error: error.into().context(doing),
        }
    }

    /// A failure with a sentence of its own.
    pub(crate) fn message(exit: Exit, message: impl Display) -> Self {
        Self {
            exit,
            error: anyhow::anyhow!("{message}"),
        }
    }

    /// Whether one of its causes is of this kind, and so.
    pub(crate) fn is<E: std::error::Error + Send + Sync + 'static>(
        &self,
        so: impl Fn(&E) -> bool,
    ) -> bool {
        self.error.downcast_ref::<E>().is_some_and(so)
    }

    /// Says what went wrong and why, one cause a line.
    pub(crate) fn print(&self) {
        complain!("jobcell: {self}");
        for cause in self.error.chain().skip(1) {
            complain!("  because {cause}");
        }
    }
}
