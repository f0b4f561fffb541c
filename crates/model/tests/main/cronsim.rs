//! Jobcell beside an independent implementation of Debian cron's rule: PyPI's
//! cronsim, over thousands of random expressions, zones and starts.
//!
//! Python has a zone database of its own. Starts lie between 1990 and 2035, in
//! which no release of late years has changed much; should one do, this test
//! says so.

use std::io::Write;
use std::process::{Command, Stdio};

use chrono::{DateTime, LocalResult, NaiveTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use jobcell_model::cron::{self, CronError};
use serde_json::{Value, json};

use crate::random::Random;
use crate::support::cron_plan;

const CASES: usize = 8000;
const FIRINGS: usize = 5;

struct Case {
    expression: String,
    zone: Tz,
    start: DateTime<Utc>,
}

/// A way in which cronsim differs, which we do not follow.
struct Difference {
    why: &'static str,
    /// Whether it explains two different answers.
    explains: fn(&Case, ours: &[i64], theirs: &[i64]) -> bool,
}

const DIFFERENCES: [Difference; 5] = [
    Difference {
        why: "cronsim reads `3-3/2` as `3/2`: from 3 to the end of the field; \
              a range from 3 to 3 holds 3 alone",
        explains: |case, _, _| {
            case.expression
                .split([' ', ','])
                .any(is_stepped_range_of_one)
        },
    },
    Difference {
        why: "cronsim goes round in a circle where the clocks are put back over midnight: \
              it answers with the same instant for ever, or not at all",
        explains: |case, ours, theirs| {
            let repeats = theirs.windows(2).any(|two| two[0] == two[1]);
            (theirs.is_empty() || repeats)
                && midnights(case, ours).any(|one| one.earliest() != one.latest())
        },
    },
    Difference {
        why: "cronsim goes from hour to hour by 3,600 s of elapsed time, and so past local times \
              where clocks change by a part of an hour, or within one",
        explains: |case, ours, theirs| {
            is_elapsed(&case.expression)
                && theirs
                    .iter()
                    .all(|at| ours.contains(at) || at > &ours[FIRINGS - 1])
                && changes_within_an_hour(case)
        },
    },
    Difference {
        why: "cronsim forgets in which of two passes it starts, and answers with an instant \
              before the start",
        explains: |case, ours, theirs| {
            let (past, rest): (Vec<i64>, Vec<i64>) =
                theirs.iter().partition(|at| **at <= case.start.timestamp());
            !past.is_empty() && ours.starts_with(&rest)
        },
    },
    Difference {
        why: "cronsim loses a day whose midnight is in a gap when it follows elapsed time, or \
              takes the first instant of that day for midnight",
        explains: |case, ours, _| {
            is_elapsed(&case.expression)
                && midnights(case, ours).any(|one| one.earliest().is_none())
        },
    },
];

/// Zones whose history was thrown together with that of a city in 2024: some
/// distributions of the zone database have undone it.
const HISTORY_DIFFERS: [&str; 4] = ["WET", "CET", "MET", "EET"];

/// `3-3/2`
fn is_stepped_range_of_one(item: &str) -> bool {
    let range = item
        .split_once('/')
        .and_then(|(range, _)| range.split_once('-'));
    range.is_some_and(|(from, to)| from == to)
}

fn is_elapsed(expression: &str) -> bool {
    expression
        .split(' ')
        .take(2)
        .any(|field| field.starts_with('*'))
}

/// The midnights of the days around the start and around our first firing.
fn midnights(case: &Case, ours: &[i64]) -> impl Iterator<Item = LocalResult<DateTime<Tz>>> {
    let zone = case.zone;
    let first = ours.first().and_then(|at| DateTime::from_timestamp(*at, 0));
    let dates = [Some(case.start), first].into_iter().flatten();
    let dates = dates.map(move |at| at.with_timezone(&zone).date_naive());
    let days = dates.flat_map(|date| (-1..6).map(move |day| date + TimeDelta::days(day)));
    days.map(move |day| zone.from_local_datetime(&day.and_time(NaiveTime::MIN)))
}

/// Within four days of the start: by a part of an hour, or not at a full hour.
fn changes_within_an_hour(case: &Case) -> bool {
    let offset = |minute: i64| {
        let at = case.start + TimeDelta::minutes(minute);
        i64::from(
            case.zone
                .offset_from_utc_datetime(&at.naive_utc())
                .fix()
                .local_minus_utc(),
        )
    };
    let mut changes = (-60..4 * 1440).filter(|minute| offset(minute + 1) != offset(*minute));
    changes.any(|minute| {
        let at = case.start.timestamp() + (minute + 1) * 60 + offset(minute);
        (offset(minute + 1) - offset(minute)) % 3600 != 0 || at % 3600 != 0
    })
}

fn cases() -> Vec<Case> {
    let mut random = Random(20_260_726);
    let one = |random: &mut Random| {
        let mut zone = random.zone();
        while HISTORY_DIFFERS.contains(&zone.name()) {
            zone = random.zone();
        }
        Case {
            expression: random.expression(),
            zone,
            start: random.start(zone, (1990, 2035)),
        }
    };
    (0..CASES).map(|_| one(&mut random)).collect()
}

/// What cronsim answers to each case.
fn answers(cases: &[Case]) -> Vec<Value> {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/cronsim_answers.py"
    );
    let mut python = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 is missing: this test compares with PyPI's cronsim");
    let lines: String = cases
        .iter()
        .map(|case| {
            let Case {
                expression,
                zone,
                start,
            } = case;
            let (zone, start) = (zone.name(), start.timestamp());
            json!({"expression": expression, "zone": zone, "start": start, "count": FIRINGS})
                .to_string()
                + "\n"
        })
        .collect();
    let mut stdin = python.stdin.take().unwrap();
    // From a thread: both pipes would be full else.
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = python.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    writer.join().unwrap().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What Jobcell answers; nothing for what it refuses because it never fires.
fn ours(case: &Case) -> Vec<i64> {
    if let Err(CronError::Never { .. }) = cron::parse(&case.expression) {
        return Vec::new();
    }
    let plan = cron_plan(&case.expression, case.zone);
    let firings = plan.after(case.start).take(FIRINGS);
    firings.map(|firing| firing.nominal.timestamp()).collect()
}

#[test]
fn cronsim_says_the_same_or_the_table_says_why_not() {
    let cases = cases();
    let answers = answers(&cases);
    assert_eq!(answers.len(), cases.len());
    let mut unexplained = Vec::new();
    let mut used = [0; DIFFERENCES.len()];
    for (case, answer) in cases.iter().zip(&answers) {
        let theirs: Vec<i64> = serde_json::from_value(answer["times"].clone()).unwrap_or_default();
        let ours = ours(case);
        if ours == theirs {
            continue;
        }
        let mut known = DIFFERENCES.iter().zip(&mut used);
        if let Some((_, count)) = known.find(|(one, _)| (one.explains)(case, &ours, &theirs)) {
            *count += 1;
        } else {
            let local = |times: &[i64]| -> Vec<String> {
                let times = times
                    .iter()
                    .map(|at| DateTime::from_timestamp(*at, 0).unwrap());
                times
                    .map(|at| at.with_timezone(&case.zone).to_rfc3339())
                    .collect()
            };
            let start = case.start.with_timezone(&case.zone).to_rfc3339();
            unexplained.push(format!(
                "{} in {} after {start}\n  ours   {:?}\n  theirs {:?} {}",
                case.expression,
                case.zone,
                local(&ours),
                local(&theirs),
                answer["error"]
            ));
        }
    }
    assert!(
        unexplained.is_empty(),
        "{} of {CASES} differ:\n{}",
        unexplained.len(),
        unexplained[..unexplained.len().min(40)].join("\n")
    );
    for (difference, count) in DIFFERENCES.iter().zip(used) {
        assert!(count > 0, "no longer so: {}", difference.why);
        assert!(count < CASES / 20, "{count} cases: {}", difference.why);
    }
}
