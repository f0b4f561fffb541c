//! Firings of all schedules of a job in one order, each nominal instant once.
//! Never decides which of them are started.

use chrono::{DateTime, Utc};

use super::firing::Firing;
use super::line::Line;

/// Firings in the order in which they are due.
#[derive(Debug, Clone)]
pub struct Firings<'a> {
    lines: &'a [Line],
    /// Each schedule's next firing.
    heads: Vec<Option<Firing>>,
    /// Up to when heads are taken. They are replaced when more is asked for:
    /// most callers want one firing.
    taken: Option<DateTime<Utc>>,
    until: DateTime<Utc>,
    with_excluded: bool,
}

impl<'a> Firings<'a> {
    pub(super) fn new(
        lines: &'a [Line],
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        with_excluded: bool,
    ) -> Self {
        let mut firings = Self {
            lines,
            heads: vec![None; lines.len()],
            taken: None,
            until,
            with_excluded,
        };
        (0..lines.len()).for_each(|index| firings.advance(index, after));
        firings
    }

    fn advance(&mut self, index: usize, after: DateTime<Utc>) {
        let (Some(line), Some(head)) = (self.lines.get(index), self.heads.get_mut(index)) else {
            return;
        };
        let found = if self.with_excluded {
            line.any_due_after(after)
        } else {
            line.due_after(after).ok()
        };
        *head = found.filter(|firing| firing.due <= self.until);
    }

    /// Takes the first of the heads: of those due at the same time one that
    /// takes place, and then the one whose schedule is written first.
    fn take_first(&mut self) -> Option<Firing> {
        if let Some(due) = self.taken.take() {
            for index in 0..self.heads.len() {
                let head = self.heads.get(index).and_then(Option::as_ref);
                if head.is_some_and(|head| head.due == due) {
                    self.advance(index, due);
                }
            }
        }
        let order = |firing: &&Firing| (firing.due, firing.excluded_by().is_some());
        let first = self.heads.iter().flatten().min_by_key(order)?.clone();
        self.taken = Some(first.due);
        Some(first)
    }

    /// Whether another schedule has a firing for the same instant that is due
    /// earlier.
    fn is_told(&self, firing: &Firing) -> bool {
        let own = self
            .lines
            .get(firing.schedule)
            .map_or(0, |line| line.jitter);
        let mut earlier = self.lines.iter().filter(|line| line.jitter < own);
        earlier.any(|line| line.fires_at(firing.nominal))
    }
}

impl Iterator for Firings<'_> {
    type Item = Firing;

    fn next(&mut self) -> Option<Firing> {
        // A schedule's firings that another one has told of lie within its
        // jitter, a week at the most, after the last of the other.
        loop {
            let first = self.take_first()?;
            if !self.is_told(&first) {
                return Some(first);
            }
        }
    }
}
