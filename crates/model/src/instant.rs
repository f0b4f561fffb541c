//! Dates with times: RFC 3339, or local in a time zone. Never asks for the
//! time of day.

use chrono::{DateTime, Datelike, LocalResult, NaiveDateTime, Utc};
use chrono_tz::Tz;

use crate::fields::Taken;
use crate::wording::shown;

const FORMATS: [&str; 4] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
];

/// Reads a date with its time.
pub(crate) fn read(taken: &Taken<'_>, zone: Tz) -> Option<DateTime<Utc>> {
    let text = taken.text()?.trim();
    let instant = match DateTime::parse_from_rfc3339(text) {
        Ok(instant) => instant.to_utc(),
        Err(_) => local(taken, text, zone)?,
    };
    if (1970..=9999).contains(&instant.year()) {
        return Some(instant);
    }
    let message = format!("`{}` must lie in the years 1970 to 9999", taken.key);
    taken.wrong("bad_date", message, None);
    None
}

fn local(taken: &Taken<'_>, text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    let parsed = |format: &&str| NaiveDateTime::parse_from_str(text, format).ok();
    let Some(local) = FORMATS.iter().find_map(parsed) else {
        let hint = "write it as `2027-03-28T09:00:00`, in the schedule's zone, or with an offset";
        taken.wrong(
            "bad_date",
            format!("`{}` is no date and time", shown(text)),
            Some(hint),
        );
        return None;
    };
    match local.and_local_timezone(zone) {
        LocalResult::Single(instant) => Some(instant.to_utc()),
        LocalResult::Ambiguous(first, _) => {
            let message = format!("{local} comes twice in {zone}: the clocks are put back then");
            let hint = format!("the first is taken, as if it were `{}`", first.to_rfc3339());
            let place = taken.node.place;
            taken
                .notes
                .warning("ambiguous_time", &taken.pointer, place, message, Some(hint));
            Some(first.to_utc())
        }
        LocalResult::None => {
            let message =
                format!("{local} does not exist in {zone}: the clocks are put forward then");
            let hint = "take a time outside of the change, or write it with an offset";
            taken.wrong("bad_date", message, Some(hint));
            None
        }
    }
}
