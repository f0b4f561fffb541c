//! Which firings were missed while nobody looked, and which of them are made up
//! for. Never takes longer for having been away longer.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

use super::Plan;
use super::firing::Firing;
use crate::spec::{CatchUp, CatchUpPolicy};

/// How many skipped firings are counted.
const MOST_COUNTED: usize = 1000;

/// What was missed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missed {
    /// To be started now, the oldest first.
    pub fire: Vec<Firing>,
    /// How many others were missed.
    pub skipped_count: usize,
    /// Whether there are more of them than were counted.
    pub at_least: bool,
}

impl Plan {
    /// What was due after `last_due` and not after `now`, by a job's policy:
    /// the newest of what lies in its window, as many as it takes.
    #[must_use]
    pub fn missed(&self, last_due: DateTime<Utc>, now: DateTime<Utc>, policy: &CatchUp) -> Missed {
        let window = TimeDelta::from_std(policy.window).ok();
        let from = window.and_then(|window| now.checked_sub_signed(window));
        // A firing that is just as old as the window is wide lies in it.
        let from = from.and_then(|from| from.checked_sub_signed(TimeDelta::nanoseconds(1)));
        let from = from.map_or(last_due, |from| from.max(last_due));
        let fire = match policy.policy {
            CatchUpPolicy::None => Vec::new(),
            CatchUpPolicy::Latest => self.newest(from, now, 1),
            CatchUpPolicy::All => self.newest(from, now, policy.max as usize),
        };
        let first = fire.first().map(|firing| firing.due);
        // Those made up for are the newest, so the skipped ones come before.
        let until = first.and_then(|due| due.checked_sub_signed(TimeDelta::nanoseconds(1)));
        let skipped = self.between(last_due, until.unwrap_or(now));
        let skipped_count = skipped.take(MOST_COUNTED + 1).count();
        Missed {
            fire,
            skipped_count: skipped_count.min(MOST_COUNTED),
            at_least: skipped_count > MOST_COUNTED,
        }
    }

    /// The newest firings of a span, found by halving it until it holds a few
    /// more than are wanted.
    fn newest(&self, from: DateTime<Utc>, until: DateTime<Utc>, wanted: usize) -> Vec<Firing> {
        let budget = wanted.saturating_mul(2).saturating_add(64);
        let (mut many, mut few) = (from, until);
        let mut start = from;
        loop {
            let mut newest = VecDeque::with_capacity(wanted + 1);
            let mut count = 0;
            for firing in self.between(start, until).take(budget + 1) {
                count += 1;
                newest.push_back(firing);
                if newest.len() > wanted {
                    newest.pop_front();
                }
            }
            if count > budget {
                many = start;
                // Not more than one a millisecond and schedule can be due.
                if few - many <= TimeDelta::milliseconds(1) {
                    return newest.into();
                }
            } else if count >= wanted || start == from {
                return newest.into();
            } else {
                few = start;
            }
            // Half of a difference can't leave the calendar.
            start = many + (few - many) / 2;
        }
    }
}
