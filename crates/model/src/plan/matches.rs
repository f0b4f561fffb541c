//! The local times that a cron expression matches, in order, as if there were
//! no zones. Never knows an offset.

use chrono::{Datelike, NaiveDateTime};
use croner::Cron;

use super::LAST_YEAR;
use crate::cron::{self, CronError};

/// A cron expression as a set of local times.
#[derive(Debug, Clone)]
pub(crate) struct Matches {
    cron: Cron,
    /// Whether it follows elapsed time, by Debian cron's rule.
    pub(crate) elapsed: bool,
}

impl Matches {
    /// Reads an expression.
    pub(crate) fn new(expression: &str) -> Result<Self, CronError> {
        Ok(Self {
            cron: cron::parse(expression)?,
            elapsed: cron::follows_elapsed_time(expression),
        })
    }

    /// The first match after a local time.
    pub(crate) fn after(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        self.find(local, false)
    }

    /// The first match at a local time or after it.
    pub(crate) fn from(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        self.find(local, true)
    }

    /// The crate gets local time in the guise of UTC, in which it has no clock
    /// changes to be wrong about.
    fn find(&self, local: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        let found = self.cron.find_next_occurrence(&local.and_utc(), inclusive);
        let found = found.ok()?.naive_utc();
        (found.year() <= LAST_YEAR).then_some(found)
    }
}
