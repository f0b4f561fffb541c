//! Intervals as V1 wrote them: `1d 2h 0m 0s`, or an object of units. Never
//! takes zero for an interval.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::configuration::folded;
use crate::reason::Reason;
use crate::row::{number_of, shown};

const UNITS: [(&[&str], u64); 5] = [
    (&["w", "wk", "week", "weeks"], 604_800),
    (&["d", "day", "days"], 86_400),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600),
    (&["m", "min", "mins", "minute", "minutes"], 60),
    (&["s", "sec", "secs", "second", "seconds"], 1),
];
/// The longest that V2 takes: ten years.
const LONGEST: u64 = 10 * 366 * 86_400;

/// Reads an interval: text, a number of seconds, or an object of units.
pub(crate) fn read(value: &Value) -> Result<Duration, Reason> {
    let bad = |why| Reason::BadInterval {
        found: shown(&crate::row::text_of(value).unwrap_or_default(), 60),
        why,
    };
    let seconds = match value {
        Value::Object(units) => of_object(units).map_err(bad)?,
        Value::String(text) => of_text(text).map_err(bad)?,
        Value::Number(_) => whole(value).ok_or_else(|| bad("it is no whole number of seconds"))?,
        _ => return Err(bad("it is neither text nor an object of units")),
    };
    match seconds {
        0 => Err(Reason::ZeroInterval),
        1..=LONGEST => Ok(Duration::from_secs(seconds)),
        _ => Err(bad("it is longer than ten years")),
    }
}

/// One unit with its count, as in `interval_minutes: 1`.
pub(crate) fn of_unit(unit: &str, count: &Value) -> Result<Duration, Reason> {
    let object = Map::from_iter([(unit.to_owned(), count.clone())]);
    read(&Value::Object(object))
}

fn seconds_of(unit: &str) -> Option<(usize, u64)> {
    let unit = unit.to_lowercase();
    let mut units = UNITS.iter().enumerate();
    units.find_map(|(index, (names, seconds))| {
        names.contains(&unit.as_str()).then_some((index, *seconds))
    })
}

fn of_object(units: &Map<String, Value>) -> Result<u64, &'static str> {
    let mut sum = 0_u64;
    for (unit, count) in units {
        if count.is_null() {
            continue;
        }
        let (_, seconds) = seconds_of(&folded(unit)).ok_or("it has a unit that is not known")?;
        let count = whole(count).ok_or("a count in it is no whole number")?;
        sum = sum.saturating_add(count.saturating_mul(seconds));
    }
    Ok(sum)
}

fn of_text(text: &str) -> Result<u64, &'static str> {
    let text = text.trim();
    if text.starts_with('{') {
        return match serde_json::from_str(text) {
            Ok(Value::Object(units)) => of_object(&units),
            _ => Err("it is no object of units"),
        };
    }
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(seconds);
    }
    let (mut rest, mut sum, mut seen) = (text, 0_u64, Vec::new());
    if rest.is_empty() {
        return Err("it is blank");
    }
    while !rest.is_empty() {
        let digits = rest.len()
            - rest
                .trim_start_matches(|one: char| one.is_ascii_digit())
                .len();
        let count = rest[..digits]
            .parse::<u64>()
            .map_err(|_| "a count is missing")?;
        rest = rest[digits..].trim_start();
        let letters = rest.len() - rest.trim_start_matches(char::is_alphabetic).len();
        let (unit, seconds) =
            seconds_of(&rest[..letters]).ok_or("it has a unit that is not known")?;
        if seen.contains(&unit) {
            return Err("a unit comes twice");
        }
        seen.push(unit);
        sum = sum.saturating_add(count.saturating_mul(seconds));
        rest = rest[letters..].trim_start_matches([' ', '\t', ',']);
    }
    Ok(sum)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole and between 0 and 2^53"
)]
fn whole(value: &Value) -> Option<u64> {
    let number = number_of(value)?;
    let fits = number.fract() == 0.0 && (0.0..9e15).contains(&number);
    fits.then_some(number as u64)
}

/// An interval as V2 writes it: `1d 2h`.
pub(crate) fn written(every: Duration) -> String {
    let mut rest = every.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let parts = units.iter().filter_map(|(unit, seconds)| {
        let count = rest / seconds;
        rest %= seconds;
        (count > 0).then(|| format!("{count}{unit}"))
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seconds(value: Value) -> Result<u64, Reason> {
        read(&value).map(|every| every.as_secs())
    }

    #[test]
    fn reads_every_spelling_that_v1_had() {
        for (given, expected) in [
            (json!("1d 2h 0m 0s"), 93_600),
            (json!("1d 2h"), 93_600),
            (json!("2H30M"), 9_000),
            (json!("1 day, 2 hours"), 93_600),
            (json!("1w"), 604_800),
            (json!("3600"), 3_600),
            (json!(90), 90),
            (
                json!({"days": 1, "hours": 2, "minutes": 0, "seconds": 0}),
                93_600,
            ),
            (json!({"weeks": "1", "days": null}), 604_800),
            (json!("{\"hours\": 24}"), 86_400),
        ] {
            assert_eq!(seconds(given.clone()), Ok(expected), "{given}");
        }
    }

    #[test]
    fn zero_is_no_interval() {
        for given in [
            json!("0d 0h 0m 0s"),
            json!({}),
            json!({"days": 0}),
            json!(0),
        ] {
            assert_eq!(seconds(given.clone()), Err(Reason::ZeroInterval), "{given}");
        }
    }

    #[test]
    fn what_can_not_be_read_is_refused() {
        for given in [
            json!(""),
            json!("soon"),
            json!("1x"),
            json!("1d 2"),
            json!("1d 1d"),
            json!("-1h"),
            json!("1.5h"),
            json!({"months": 1}),
            json!({"days": -1}),
            json!({"days": 0.5}),
            json!("99999999999999999999d"),
            json!({"weeks": 9_000_000}),
            json!([1]),
            json!(true),
        ] {
            let error = seconds(given.clone());
            assert!(
                matches!(error, Err(Reason::BadInterval { .. })),
                "{given}: {error:?}"
            );
        }
    }

    #[test]
    fn writes_what_v2_reads() {
        assert_eq!(written(Duration::from_secs(93_600)), "1d 2h");
        assert_eq!(written(Duration::from_secs(61)), "1m 1s");
    }
}
