//! V1's cron expressions in V2's words. V1 had six fields and its library's
//! rules: numeric weekdays from Monday, day and weekday must both fit, `5/10`
//! runs to the end of its field. Never decides when an expression fires.

use jobcell_model::cron;

use crate::reason::Reason;
use crate::weekday::{Readings, Weekdays, readings};

/// An expression that V2 takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expression {
    pub(crate) text: String,
    /// What was decided on the way.
    pub(crate) notes: Vec<String>,
    /// With 0 for Sunday and with 0 for Monday, where that differs.
    pub(crate) readings: Option<(String, String)>,
}

/// Where each field ends, in the order of an expression with seconds.
const HIGHEST: [u32; 6] = [59, 59, 23, 31, 12, 6];
const FIELDS: usize = HIGHEST.len();
const DAY: usize = 3;
const WEEKDAY: usize = 5;

/// Reads an expression of V1.
pub(crate) fn read(text: &str, weekdays: Weekdays) -> Result<Expression, Reason> {
    let text = text.trim();
    let mut fields: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let mut notes = Vec::new();
    match fields.len() {
        6 => {}
        5 => {
            let note =
                "V1's scheduler took six fields only; five are read as cron does, from the minute";
            notes.push(note.to_owned());
        }
        _ => return whole(text),
    }
    let without_seconds = FIELDS - fields.len();
    for (index, field) in fields.iter_mut().enumerate() {
        mend(field, index + without_seconds, &mut notes);
    }
    let weekday = fields.pop().unwrap_or_default();
    let day = fields[DAY - without_seconds].clone();
    let with = |weekday: &str| {
        let weekday = both_must_fit(&day, weekday);
        format!("{} {weekday}", fields.join(" "))
    };
    let (text, readings) = choose(&weekday, weekdays, with, &mut notes);
    if text.contains('+') {
        notes.push("V1 ran on days that fit both day and weekday; `+` says so".to_owned());
    }
    check(&text)?;
    Ok(Expression {
        text,
        notes,
        // A reading that V2 can't plan has no instants to show.
        readings: readings.filter(|(one, other)| check(one).and(check(other)).is_ok()),
    })
}

/// The expression that counts, and both readings where they differ. `with`
/// makes an expression of a weekday.
fn choose(
    weekday: &str,
    weekdays: Weekdays,
    with: impl Fn(&str) -> String,
    notes: &mut Vec<String>,
) -> (String, Option<(String, String)>) {
    let sunday = with(weekday);
    match (readings(weekday), weekdays) {
        (Readings::Differ(other), _) => {
            notes.push(chosen_days(weekday, &other, weekdays));
            let monday = with(&other);
            let chosen = match weekdays {
                Weekdays::Sunday => sunday.clone(),
                Weekdays::Monday => monday.clone(),
            };
            (chosen, Some((sunday, monday)))
        }
        (Readings::OnlySunday, Weekdays::Monday) => {
            let note = format!("the weekday `{weekday}` has a 7, which can only count from Sunday");
            notes.push(note);
            (sunday, None)
        }
        _ => (sunday, None),
    }
}

/// What has no fields to mend: a name such as `@daily`, or something wrong.
fn whole(text: &str) -> Result<Expression, Reason> {
    check(text)?;
    Ok(Expression {
        text: text.to_owned(),
        notes: vec!["V1's scheduler took six fields only; V2 knows this name".to_owned()],
        readings: None,
    })
}

fn check(text: &str) -> Result<(), Reason> {
    cron::parse(text)
        .map(drop)
        .map_err(|error| Reason::BadCron {
            error: error.to_string(),
        })
}

fn chosen_days(weekday: &str, monday: &str, weekdays: Weekdays) -> String {
    match weekdays {
        Weekdays::Sunday => format!(
            "the weekday `{weekday}` counts from Sunday, as V1's form did; V1's scheduler counted from Monday ({monday})"
        ),
        Weekdays::Monday => format!(
            "the weekday `{weekday}` counted from Monday, as V1's scheduler did: {monday}; V1's form counted from Sunday"
        ),
    }
}

/// Puts V1's spellings into V2's, item by item.
fn mend(field: &mut String, index: usize, notes: &mut Vec<String>) {
    if index == DAY && field.eq_ignore_ascii_case("last") {
        notes.push("the day `last` is written `L`".to_owned());
        "L".clone_into(field);
        return;
    }
    if index == WEEKDAY {
        // `3/2` is mended with the days that it names, if need be.
        if let Some(open) = open_range(field, index) {
            notes.push(format!("the weekday `{field}` is written `{open}`"));
            *field = open;
        }
        return;
    }
    let items = field
        .split(',')
        .map(|item| open_range(item, index).unwrap_or_else(|| item.to_owned()));
    let mended = items.collect::<Vec<_>>().join(",");
    if mended != *field {
        notes.push(format!("`{field}` is written `{mended}`"));
        *field = mended;
    }
}

/// `5/10` as `5-59/10`, and `0/15` as `*/15` where the clock is meant.
fn open_range(item: &str, index: usize) -> Option<String> {
    let (first, step) = item.split_once('/')?;
    let number = first.parse::<u32>().ok()?;
    step.parse::<u32>().ok()?;
    let clock = index < DAY;
    Some(if clock && number == 0 {
        format!("*/{step}")
    } else {
        format!("{first}-{}/{step}", HIGHEST[index])
    })
}

/// V1 ran a job on days that fit both fields; cron takes either, unless a `+`
/// says otherwise.
fn both_must_fit(day: &str, weekday: &str) -> String {
    let wild = |field: &str| field.starts_with(['*', '?']);
    if wild(day) || wild(weekday) || weekday.starts_with('+') {
        return weekday.to_owned();
    }
    format!("+{weekday}")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn text(expression: &str, weekdays: Weekdays) -> String {
        read(expression, weekdays).unwrap().text
    }

    #[test]
    fn keeps_what_both_mean_alike() {
        for expression in [
            "0 0 12 * * ?",
            "0 */15 * * * ?",
            "0 0 0 1 * ?",
            "0 0 9 ? * MON-FRI",
            "0 0 0 L * ?",
        ] {
            let read = read(expression, Weekdays::Monday).unwrap();
            assert_eq!(read.text, expression);
            assert!(read.notes.is_empty() && read.readings.is_none(), "{read:?}");
        }
    }

    #[test]
    fn numeric_weekdays_follow_the_choice() {
        assert_eq!(text("0 0 9 * * 1-5", Weekdays::Sunday), "0 0 9 * * 1-5");
        assert_eq!(text("0 0 9 * * 1-5", Weekdays::Monday), "0 0 9 * * TUE-SAT");
        assert_eq!(text("0 2 * * 0", Weekdays::Monday), "0 2 * * MON");
        assert_eq!(text("0 2 * * 7", Weekdays::Monday), "0 2 * * 7");
    }

    #[test]
    fn both_readings_are_told_whatever_was_chosen() {
        let expected = ("0 0 0 * * 0".to_owned(), "0 0 0 * * MON".to_owned());
        for weekdays in [Weekdays::Sunday, Weekdays::Monday] {
            let read = read("0 0 0 * * 0", weekdays).unwrap();
            assert_eq!(read.readings.as_ref(), Some(&expected));
        }
    }

    #[test]
    fn open_ranges_are_closed() {
        assert_eq!(text("0 0/15 * * * ?", Weekdays::Sunday), "0 */15 * * * ?");
        assert_eq!(
            text("0 5/10 8/2 * * ?", Weekdays::Sunday),
            "0 5-59/10 8-23/2 * * ?"
        );
        assert_eq!(text("0 0 0 1/7 * ?", Weekdays::Sunday), "0 0 0 1-31/7 * ?");
        assert_eq!(text("0 0 0 ? * 1/2", Weekdays::Sunday), "0 0 0 ? * 1-6/2");
        assert_eq!(text("0 0 0 last * ?", Weekdays::Sunday), "0 0 0 L * ?");
    }

    #[test]
    fn day_and_weekday_must_both_fit() {
        assert_eq!(text("0 0 9 1-7 * 1", Weekdays::Sunday), "0 0 9 1-7 * +1");
        assert_eq!(text("0 0 9 1-7 * 0", Weekdays::Monday), "0 0 9 1-7 * +MON");
        let (_, monday) = read("0 0 9 13 * */2", Weekdays::Sunday)
            .unwrap()
            .readings
            .unwrap();
        assert_eq!(monday, "0 0 9 13 * +SUN,MON,WED,FRI");
    }

    #[test]
    fn refuses_what_it_can_not_read() {
        for expression in [
            "",
            "* * *",
            "0 0 0 1 1 ? 2027",
            "0 0 25 * * ?",
            "0 0 0 31 2 ?",
            "x",
        ] {
            let error = read(expression, Weekdays::Sunday);
            assert!(matches!(error, Err(Reason::BadCron { .. })), "{expression}");
        }
    }
}
