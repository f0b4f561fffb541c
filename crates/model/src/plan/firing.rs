//! One firing, and why it is when it is. Never computes one.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde::Serialize;

/// An instant at which a job is to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// The instant that the schedule names. It is the firing's identity.
    pub nominal: DateTime<Utc>,
    /// When the job is to start: the nominal instant and the job's jitter.
    pub due: DateTime<Utc>,
    /// Which of the job's schedules it belongs to, from 0.
    pub schedule: usize,
    /// The zone of that schedule.
    pub zone: Tz,
    /// What is special about it.
    pub reasons: Vec<Reason>,
}

impl Firing {
    /// The calendar that excludes it: it does not take place.
    #[must_use]
    pub fn excluded_by(&self) -> Option<&str> {
        self.reasons.iter().find_map(|reason| match reason {
            Reason::Blackout { calendar } => Some(calendar.as_str()),
            _ => None,
        })
    }

    /// Whether it takes place, be it late.
    #[must_use]
    pub fn takes_place(&self) -> bool {
        let kept = |reason: &Reason| matches!(reason, Reason::Blackout { .. } | Reason::Missed);
        !self.reasons.iter().any(kept)
    }

    /// The nominal instant in its schedule's zone.
    #[must_use]
    pub fn local(&self) -> DateTime<Tz> {
        self.nominal.with_timezone(&self.zone)
    }
}

/// Why a firing is not simply when its schedule says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Reason {
    /// The clocks are put forward over local times of the schedule; this is the
    /// first instant after them.
    Gap(Swallowed),
    /// Its local time comes twice, as the clocks are put back; this is the
    /// first.
    Fold {
        /// The local time.
        local: NaiveDateTime,
    },
    /// Its local time comes for the second time, and its schedule follows
    /// elapsed time.
    SecondPass,
    /// It is due later than its schedule says.
    Jitter {
        /// By how many milliseconds.
        milliseconds: u64,
    },
    /// A calendar excludes it: it does not take place.
    Blackout {
        /// The calendar's name.
        calendar: String,
    },
    /// No server runs when it is due; it takes place when one does.
    CaughtUp {
        /// When that is.
        at: DateTime<Utc>,
    },
    /// No server runs when it is due, and it is not made up for: it does not
    /// take place.
    Missed,
}

/// Local times that a gap swallowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Swallowed {
    /// The first three of them.
    pub local_times: Vec<NaiveDateTime>,
    /// How many there are; 1,000 stands for more as well.
    pub count: u32,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap(swallowed) => {
                let named: Vec<String> = swallowed
                    .local_times
                    .iter()
                    .map(ToString::to_string)
                    .collect();
                write!(f, "the clocks are put forward over {}", named.join(", "))?;
                match (swallowed.count as usize).saturating_sub(named.len()) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Self::Fold { local } => write!(f, "the first of two times that it is {local}"),
            Self::SecondPass => f.write_str("the clocks were put back: the second time"),
            Self::Jitter { milliseconds } => {
                let later = Duration::from_millis(*milliseconds);
                write!(f, "jitter of {}", humantime::format_duration(later))
            }
            Self::Blackout { calendar } => write!(f, "excluded by the calendar `{calendar}`"),
            Self::CaughtUp { at } => {
                let at = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
                write!(f, "no server runs: made up for at {at}")
            }
            Self::Missed => f.write_str("no server runs: missed, and not made up for"),
        }
    }
}

/// Why nothing fires any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoFiring {
    /// The schedule has no further instant before the planner's end, the year
    /// 2500.
    #[error("nothing fires any more")]
    Ended,
    /// Further instants are all excluded, as far as was looked.
    #[error("every firing is excluded by the calendar `{calendar}` ({skipped} were looked at)")]
    Excluded {
        /// The calendar that excluded the last one looked at.
        calendar: String,
        /// How many were looked at.
        skipped: u32,
    },
}
