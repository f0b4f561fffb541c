//! Cron expressions: reading them, and whether they can fire at all.
//! Numeric weekdays count from Sunday: 0 and 7 are both Sunday. A day must
//! match day and weekday where one of both begins with `*`, else one of them.
//! Never asks for the time of day.

use chrono::{DateTime, TimeZone, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::wording::shown;

/// An expression that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// It is no cron expression.
    #[error("`{expression}` is no cron expression: {reason}")]
    Syntax {
        /// What was given, cut short where it is long.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No instant ever matches it.
    #[error("`{expression}` never fires: there is no such date")]
    Never {
        /// What was given.
        expression: String,
    },
}

/// The longest expression, in bytes.
const LONGEST: usize = 256;
const NAMES: [&str; 7] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// One of the fields of an expression.
struct Field {
    name: &'static str,
    from: u32,
    to: u32,
    /// Words that stand for numbers.
    words: &'static [&'static str],
}

const FIELDS: [Field; 6] = [
    Field {
        name: "second",
        from: 0,
        to: 59,
        words: &[],
    },
    Field {
        name: "minute",
        from: 0,
        to: 59,
        words: &[],
    },
    Field {
        name: "hour",
        from: 0,
        to: 23,
        words: &[],
    },
    Field {
        name: "day",
        from: 1,
        to: 31,
        words: &[],
    },
    Field {
        name: "month",
        from: 1,
        to: 12,
        words: &MONTHS,
    },
    Field {
        name: "weekday",
        from: 0,
        to: 7,
        words: &WEEKDAYS,
    },
];

/// Reads an expression of 5 fields, of 6 with leading seconds, or a name such
/// as `@daily`.
///
/// # Errors
/// When it can't be read, or never fires.
pub fn parse(expression: &str) -> Result<Cron, CronError> {
    let expression = expression.trim();
    let cron = read(expression).map_err(|reason| CronError::Syntax {
        expression: shown(expression),
        reason,
    })?;
    if can_fire(&cron) {
        return Ok(cron);
    }
    Err(CronError::Never {
        expression: shown(expression),
    })
}

/// A part whose step is wider than its field, with the field's name: it fires
/// less often than it seems to say, or more.
pub(crate) fn oversized_step(expression: &str) -> Option<(String, &'static str)> {
    let parts: Vec<&str> = expression.split_whitespace().collect();
    fields(&parts).iter().zip(&parts).find_map(|(field, part)| {
        let oversized = part.split(',').find(|item| {
            let step = item
                .split_once('/')
                .and_then(|(_, step)| step.parse::<u32>().ok());
            step.is_some_and(|step| step > field.to - field.from)
        });
        oversized.map(|item| (item.to_owned(), field.name))
    })
}

/// Whether an expression follows elapsed time where clocks change, by Debian
/// cron's rule: its minute or hour begins with `*`.
pub(crate) fn follows_elapsed_time(expression: &str) -> bool {
    let expression = expression.trim();
    if expression.starts_with('@') {
        return expression.eq_ignore_ascii_case("@hourly");
    }
    let parts: Vec<&str> = expression.split_whitespace().collect();
    let parts = parts.iter().zip(fields(&parts));
    let mut clock = parts.filter(|(_, field)| matches!(field.name, "minute" | "hour"));
    clock.any(|(part, _)| is_wild(part))
}

fn is_wild(part: &str) -> bool {
    part.starts_with(['*', '?'])
}

fn read(expression: &str) -> Result<Cron, String> {
    if expression.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} characters"));
    }
    if expression.starts_with('@') {
        let lower = expression.to_lowercase();
        return match lower.as_str() {
            "@midnight" => reader("@daily"),
            name if NAMES.contains(&name) => reader(name),
            _ => Err(format!("the names are {}", NAMES.join(", "))),
        };
    }
    let parts: Vec<&str> = expression.split_whitespace().collect();
    if !(5..=6).contains(&parts.len()) {
        return Err(format!(
            "it has {} fields; write minute, hour, day, month and weekday, with seconds before them if need be",
            parts.len()
        ));
    }
    let fields = fields(&parts);
    for (field, part) in fields.iter().zip(&parts) {
        check_words(field, part)?;
    }
    reader(expression).map_err(|reason| {
        let mut each = fields.iter().zip(&parts).enumerate();
        let named =
            each.find_map(|(index, (field, part))| wrong_alone(field, part, index, parts.len()));
        named.unwrap_or(reason)
    })
}

fn fields(parts: &[&str]) -> &'static [Field] {
    if parts.len() == FIELDS.len() {
        &FIELDS
    } else {
        &FIELDS[1..]
    }
}

/// The parser takes the name of a weekday for a number in every field.
fn check_words(field: &Field, part: &str) -> Result<(), String> {
    let upper = part.to_uppercase();
    let others = MONTHS
        .iter()
        .chain(&WEEKDAYS)
        .filter(|word| !field.words.contains(word));
    match others.into_iter().find(|word| upper.contains(**word)) {
        Some(word) => Err(field.wrong(&format!("{word} is no {}", field.name), part)),
        None => Ok(()),
    }
}

/// What is wrong with one field when it is read by itself, so that an error
/// can name it.
fn wrong_alone(field: &Field, part: &str, index: usize, count: usize) -> Option<String> {
    let mut alone = vec!["*"; count];
    alone[index] = part;
    let reason = reader(&alone.join(" ")).err()?;
    Some(field.wrong(reason.trim_end_matches('.'), part))
}

impl Field {
    fn wrong(&self, reason: &str, part: &str) -> String {
        let Self { name, from, to, .. } = self;
        format!(
            "{reason} in `{}`; a {name} is from {from} to {to}",
            shown(part)
        )
    }
}

fn reader(expression: &str) -> Result<Cron, String> {
    // Debian cron's rule for days. The crate takes `*/2` for no wildcard.
    let parts: Vec<&str> = expression.split_whitespace().collect();
    let days = parts.iter().zip(fields(&parts));
    let mut days = days.filter(|(_, field)| matches!(field.name, "day" | "weekday"));
    let parser = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .dom_and_dow(days.any(|(part, _)| is_wild(part)))
        .build();
    parser.parse(expression).map_err(|error| match error {
        croner::errors::CronError::InvalidPattern(reason)
        | croner::errors::CronError::IllegalCharacters(reason)
        | croner::errors::CronError::ComponentError(reason) => reason,
        other => other.to_string(),
    })
}

/// Looks for one instant. The search ends by itself at the year 5000, and
/// starts late enough that this is soon: 400 years hold every calendar.
fn can_fire(cron: &Cron) -> bool {
    let start: Option<DateTime<Utc>> = Utc.with_ymd_and_hms(4590, 1, 1, 0, 0, 0).single();
    start.is_some_and(|start| cron.find_next_occurrence(&start, true).is_ok())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// The first instants after Tuesday, 24 November 2026, midnight.
    fn firings(expression: &str) -> Vec<String> {
        let start: DateTime<Utc> = "2026-11-24T00:00:00Z".parse().unwrap();
        let firings = parse(expression).unwrap().iter_after(start).take(2);
        firings
            .map(|at| at.format("%a %F %T").to_string())
            .collect()
    }

    #[test]
    fn fires_when_cron_does() {
        let check = |expression: &str, first: &str, second: &str| {
            assert_eq!(firings(expression), [first, second], "{expression}");
        };
        check(
            "0 */6 * * *",
            "Tue 2026-11-24 06:00:00",
            "Tue 2026-11-24 12:00:00",
        );
        check(
            "*/15 * * * * *",
            "Tue 2026-11-24 00:00:15",
            "Tue 2026-11-24 00:00:30",
        );
        check(
            "0 0 12 * * ?",
            "Tue 2026-11-24 12:00:00",
            "Wed 2026-11-25 12:00:00",
        );
        check(
            "0 2 * * 0",
            "Sun 2026-11-29 02:00:00",
            "Sun 2026-12-06 02:00:00",
        );
        check(
            "0 2 * * 7",
            "Sun 2026-11-29 02:00:00",
            "Sun 2026-12-06 02:00:00",
        );
        check(
            "0 9 * * mon-fri",
            "Tue 2026-11-24 09:00:00",
            "Wed 2026-11-25 09:00:00",
        );
        check(
            "0 0 9 * * 1-5",
            "Tue 2026-11-24 09:00:00",
            "Wed 2026-11-25 09:00:00",
        );
        check(
            "0 0 1 JAN,JUL *",
            "Fri 2027-01-01 00:00:00",
            "Thu 2027-07-01 00:00:00",
        );
        check(
            "0 0 L * *",
            "Mon 2026-11-30 00:00:00",
            "Thu 2026-12-31 00:00:00",
        );
        check(
            "0 0 LW * *",
            "Mon 2026-11-30 00:00:00",
            "Thu 2026-12-31 00:00:00",
        );
        check(
            "0 0 15W * *",
            "Tue 2026-12-15 00:00:00",
            "Fri 2027-01-15 00:00:00",
        );
        check(
            "0 0 * * 5#2",
            "Fri 2026-12-11 00:00:00",
            "Fri 2027-01-08 00:00:00",
        );
        check(
            "0 0 * * 5L",
            "Fri 2026-11-27 00:00:00",
            "Fri 2026-12-25 00:00:00",
        );
        check(
            "0 0 13 * 5",
            "Fri 2026-11-27 00:00:00",
            "Fri 2026-12-04 00:00:00",
        );
        check(
            "0 0 29 2 *",
            "Tue 2028-02-29 00:00:00",
            "Sun 2032-02-29 00:00:00",
        );
        check(
            "@daily",
            "Wed 2026-11-25 00:00:00",
            "Thu 2026-11-26 00:00:00",
        );
        check(
            " @Midnight ",
            "Wed 2026-11-25 00:00:00",
            "Thu 2026-11-26 00:00:00",
        );
        check(
            "@hourly",
            "Tue 2026-11-24 01:00:00",
            "Tue 2026-11-24 02:00:00",
        );
    }

    #[test]
    fn days_that_begin_with_a_star_must_match_with_the_weekday() {
        let every_other_day = firings("0 0 */2 * MON");
        assert_eq!(
            every_other_day,
            ["Mon 2026-12-07 00:00:00", "Mon 2026-12-21 00:00:00"]
        );
        let even_weekday = firings("0 0 13 * */2");
        assert_eq!(
            even_weekday,
            ["Sun 2026-12-13 00:00:00", "Sat 2027-02-13 00:00:00"]
        );
    }

    #[test]
    fn wildcards_of_minute_and_hour_follow_elapsed_time() {
        for elapsed in [
            "*/5 2 * * *",
            "0 * * * *",
            "0 */6 * * *",
            "0 * 2 * * *",
            "? 2 * * *",
            " @Hourly",
        ] {
            assert!(follows_elapsed_time(elapsed), "{elapsed}");
        }
        for fixed in [
            "0,30 2 * * *",
            "0-59 0-23 * * *",
            "* 0 2 * * *",
            "0 2 */2 * *",
            "@daily",
            "",
        ] {
            assert!(!follows_elapsed_time(fixed), "{fixed}");
        }
    }

    #[test]
    fn refuses_what_it_can_not_read_and_names_the_field() {
        let check = |expression: &str, words: &[&str]| {
            let error = parse(expression).unwrap_err();
            assert!(matches!(error, CronError::Syntax { .. }), "{error:?}");
            let said = error.to_string();
            assert!(
                words.iter().all(|word| said.contains(word)),
                "{words:?} are not in: {said}"
            );
        };
        check("", &["0 fields"]);
        check("* * * *", &["4 fields"]);
        check("* * * * * * *", &["7 fields"]);
        check("every day", &["2 fields"]);
        check("@sometimes", &["@daily", "@hourly"]);
        check("@every 5m", &["the names are"]);
        check("61 * * * *", &["`61`", "minute is from 0 to 59"]);
        check("0 25 * * *", &["`25`", "hour is from 0 to 23"]);
        check("0 0 0 * *", &["day is from 1 to 31"]);
        check("0 0 * 13 *", &["month is from 1 to 12"]);
        check("0 0 * * 8", &["weekday is from 0 to 7"]);
        check("60 0 0 * * *", &["second is from 0 to 59"]);
        check("5/10 * * * *", &["`5/10`", "\"*/10\""]);
        check("10-5 * * * *", &["`10-5`"]);
        check("MON * * * *", &["MON is no minute"]);
        check("0 0 * MON *", &["MON is no month"]);
        check("0 0 * * JAN", &["JAN is no weekday"]);
        check(&"1,".repeat(200), &["longer than 256"]);
    }

    #[test]
    fn refuses_what_never_fires_at_once() {
        let before = std::time::Instant::now();
        for expression in [
            "0 0 30 2 *",
            "0 0 31 4,6,9,11 *",
            "* * * 31 2 *",
            "0 0 31 2 +MON",
        ] {
            assert!(
                matches!(parse(expression), Err(CronError::Never { .. })),
                "{expression}"
            );
        }
        assert!(before.elapsed().as_secs() < 5, "{:?}", before.elapsed());
    }

    #[test]
    fn finds_steps_that_are_wider_than_their_field() {
        let step = |part: &str, field| Some((part.to_owned(), field));
        assert_eq!(oversized_step("*/90 * * * *"), step("*/90", "minute"));
        assert_eq!(oversized_step("0 0 0,*/24 * * *"), step("*/24", "hour"));
        assert_eq!(oversized_step("*/59 */23 * * *"), None);
        assert_eq!(oversized_step("@daily"), None);
    }
}
