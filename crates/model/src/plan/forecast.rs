//! What is to come of a plan, a time without a server included. Never asks what
//! time it is.

use std::collections::HashSet;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};

use super::Plan;
use super::firing::{Firing, Reason};
use crate::spec::CatchUp;
use crate::wording::shown;

/// A span of time to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// What is due after this instant is looked at.
    pub after: DateTime<Utc>,
    /// And not after this one.
    pub until: DateTime<Utc>,
    /// A time in it in which no server runs.
    pub outage: Option<Outage>,
}

/// A time in which no server runs, its end left out. Written as two instants
/// with a slash between them (ISO 8601).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// When the server ends.
    pub from: DateTime<Utc>,
    /// When it starts again.
    pub until: DateTime<Utc>,
}

/// A text that is no such time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no span of time; write two instants, as in `2027-03-28T01:00:00Z/2027-03-28T04:00:00Z`"
)]
pub struct OutageError {
    /// What was given, cut short where it is long.
    pub text: String,
}

impl FromStr for Outage {
    type Err = OutageError;

    fn from_str(text: &str) -> Result<Self, OutageError> {
        let instant = |text: &str| DateTime::parse_from_rfc3339(text.trim()).ok();
        let read = || {
            let (from, until) = text.split_once('/')?;
            let (from, until) = (instant(from)?.to_utc(), instant(until)?.to_utc());
            (from < until).then_some(Self { from, until })
        };
        read().ok_or_else(|| OutageError { text: shown(text) })
    }
}

impl Plan {
    /// All firings of a span, in order, with those that do not take place and
    /// those that take place late, which say so in their reasons.
    pub fn forecast(&self, span: Span, policy: &CatchUp) -> impl Iterator<Item = Firing> {
        let lost = span
            .outage
            .map(|outage| (outage, self.made_up(outage, policy)));
        let firings = self.between_with_excluded(span.after, span.until);
        firings.map(move |mut firing| {
            let reason = lost
                .as_ref()
                .and_then(|(outage, made_up)| fate(&firing, *outage, made_up));
            firing.reasons.extend(reason);
            firing
        })
    }

    fn made_up(&self, outage: Outage, policy: &CatchUp) -> HashSet<DateTime<Utc>> {
        let before = outage.from.checked_sub_signed(TimeDelta::nanoseconds(1));
        let before = before.unwrap_or(outage.from);
        let missed = self.missed(before, outage.until, &policy.in_effect());
        missed.fire.iter().map(|firing| firing.nominal).collect()
    }
}

/// What an outage does to a firing.
fn fate(firing: &Firing, outage: Outage, made_up: &HashSet<DateTime<Utc>>) -> Option<Reason> {
    let lost = firing.due >= outage.from && firing.due < outage.until;
    if !lost || firing.excluded_by().is_some() {
        return None;
    }
    Some(if made_up.contains(&firing.nominal) {
        Reason::CaughtUp { at: outage.until }
    } else {
        Reason::Missed
    })
}
