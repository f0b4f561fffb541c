//! Local time and UTC: which instant a local time names, and when the clocks
//! of a zone change. Never asks what time it is.
//!
//! Instants have whole seconds here; no zone's clocks change between two.

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

/// How far apart offsets are probed for a change. Two changes that cancel each
/// other out within less would go unseen; no zone has any.
const PROBE: i64 = 6 * 3600;

/// What a local time names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// One instant.
    Once(DateTime<Utc>),
    /// Two: the clocks are put back over it.
    Twice(DateTime<Utc>, DateTime<Utc>),
    /// None: the clocks are put forward over it, at this instant.
    Never(DateTime<Utc>),
}

/// The offset that a zone has at an instant.
pub(crate) fn offset(zone: Tz, at: DateTime<Utc>) -> TimeDelta {
    let offset = zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    TimeDelta::seconds(i64::from(offset.local_minus_utc()))
}

/// The local time at an instant; none beyond the calendar.
pub(crate) fn local(zone: Tz, at: DateTime<Utc>) -> Option<NaiveDateTime> {
    at.naive_utc().checked_add_signed(offset(zone, at))
}

/// What a local time names; none beyond the calendar.
pub(crate) fn named(zone: Tz, local: NaiveDateTime) -> Option<Named> {
    use chrono::LocalResult::{Ambiguous, None as Missing, Single};
    let instant = |offset: chrono::FixedOffset| {
        let offset = TimeDelta::seconds(i64::from(offset.local_minus_utc()));
        local
            .checked_sub_signed(offset)
            .map(|naive| naive.and_utc())
    };
    match zone.offset_from_local_datetime(&local) {
        Single(offset) => instant(offset.fix()).map(Named::Once),
        Ambiguous(first, second) => {
            Some(Named::Twice(instant(first.fix())?, instant(second.fix())?))
        }
        Missing => {
            // What the gap's end is in UTC follows from its begin: the clocks
            // are put forward in that instant.
            let (begin, before) = GapInfo::new(&local, &zone)?.begin?;
            let before = TimeDelta::seconds(i64::from(before.fix().local_minus_utc()));
            let change = begin.checked_sub_signed(before)?;
            Some(Named::Never(change.and_utc()))
        }
    }
}

/// The first instant after `after` and not after `until` at which the offset
/// is another one.
pub(crate) fn change_within(
    zone: Tz,
    after: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let before = offset(zone, after);
    let (mut same, end) = (after.timestamp(), until.timestamp());
    while same < end {
        let probe = same.saturating_add(PROBE).min(end);
        if offset(zone, DateTime::from_timestamp(probe, 0)?) != before {
            return bisect(zone, before, same, probe);
        }
        same = probe;
    }
    None
}

/// The first second with another offset; `other` is known to be one.
fn bisect(zone: Tz, before: TimeDelta, mut same: i64, mut other: i64) -> Option<DateTime<Utc>> {
    while other - same > 1 {
        let middle = same + (other - same) / 2;
        if offset(zone, DateTime::from_timestamp(middle, 0)?) == before {
            same = middle;
        } else {
            other = middle;
        }
    }
    DateTime::from_timestamp(other, 0)
}
