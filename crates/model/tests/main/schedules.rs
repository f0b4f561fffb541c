//! Schedules: what is read, and what is refused.

use std::time::Duration;

use jobcell_model::schedule::{Schedule, Trigger};

use crate::support::{read, refused, sql};

/// A job with this schedule, in flow style; its text begins at 5:11.
fn job(schedule: &str) -> String {
    sql(&format!("schedule: {schedule}\n"))
}

#[track_caller]
fn schedule(text: &str) -> Schedule {
    read(&job(text)).spec.schedules.remove(0)
}

#[track_caller]
fn at(text: &str, expected: &str) {
    assert_eq!(
        schedule(text).trigger,
        Trigger::Once(expected.parse().unwrap()),
        "{text}"
    );
}

#[track_caller]
fn every(text: &str, seconds: u64) {
    let expected = Trigger::Interval(Duration::from_secs(seconds));
    assert_eq!(schedule(text).trigger, expected, "{text}");
}

#[test]
fn cron_is_read_with_its_zone() {
    let found =
        schedule("{type: cron, expression: '0 9 * * MON-FRI', timezone: Europe/Oslo, jitter: 5m}");
    assert_eq!(found.trigger, Trigger::Cron("0 9 * * MON-FRI".to_owned()));
    assert_eq!(found.timezone.name(), "Europe/Oslo");
    assert_eq!(found.jitter, Duration::from_secs(300));
    assert_eq!(
        schedule("{type: cron, cron: '@daily'}").timezone.name(),
        "UTC"
    );
}

#[test]
fn intervals_come_as_text_number_or_units() {
    every("{type: interval, every: 1h30m}", 5400);
    every("{type: interval, every: 90}", 90);
    every("{type: interval, every: {hours: 1, minutes: 30}}", 5400);
    every(
        "{type: interval, interval: {weeks: 1, days: 1, seconds: 1}}",
        691_201,
    );
    every("{type: interval, expression: 1d 2h 0m 0s}", 93_600);
}

#[test]
fn one_time_comes_with_an_offset_or_in_the_zone() {
    at(
        "{type: once, at: '2027-03-01T09:00:00+01:00'}",
        "2027-03-01T08:00:00Z",
    );
    at(
        "{type: once, at: 2027-03-01T09:00:00Z, timezone: Asia/Tokyo}",
        "2027-03-01T09:00:00Z",
    );
    at(
        "{type: once, at: '2027-03-01 09:00', timezone: America/New_York}",
        "2027-03-01T14:00:00Z",
    );
    at(
        "{type: date, run_date: '2025-09-01T09:00:00'}",
        "2025-09-01T09:00:00Z",
    );
    at(
        "{type: once, runDate: '2025-09-01T09:00:00.250'}",
        "2025-09-01T09:00:00.250Z",
    );
}

#[test]
fn a_local_time_that_comes_twice_is_the_first_with_a_warning() {
    let fold = job("{type: once, at: '2027-10-31T02:30', timezone: Europe/Berlin}");
    at(
        "{type: once, at: '2027-10-31T02:30', timezone: Europe/Berlin}",
        "2027-10-31T00:30:00Z",
    );
    let warnings = read(&fold).warnings;
    assert_eq!(
        (warnings[0].code, warnings[0].line),
        ("ambiguous_time", Some(5))
    );
    assert!(
        warnings[0]
            .hint
            .as_ref()
            .unwrap()
            .contains("2027-10-31T02:30:00+02:00"),
        "{warnings:?}"
    );
}

#[test]
fn a_step_that_does_not_mean_what_it_says_is_warned_of() {
    let warnings = read(&job("{type: cron, expression: '*/90 * * * *'}")).warnings;
    let found: Vec<_> = warnings
        .iter()
        .map(|one| (one.code, one.line, one.column))
        .collect();
    assert_eq!(found, [("oversized_step", Some(5), Some(36))]);
    assert!(
        warnings[0].hint.as_ref().unwrap().contains("every"),
        "{warnings:?}"
    );
}

#[test]
fn a_schedule_can_begin_and_end() {
    let found = schedule(
        "{type: interval, every: 1h, startDate: '2027-01-01T00:00:00Z', end_date: '2028-01-01T00:00:00Z'}",
    );
    assert_eq!(
        found.start_date,
        Some("2027-01-01T00:00:00Z".parse().unwrap())
    );
    assert_eq!(
        found.end_date,
        Some("2028-01-01T00:00:00Z".parse().unwrap())
    );
}

#[test]
fn impossible_schedules_are_refused_with_the_place() {
    let check = |text: &str, code: &str, column, key: &str, words: &[&str]| {
        refused(
            &job(text),
            code,
            (5, column),
            &format!("/schedule{key}"),
            words,
        );
    };
    check(
        "{type: cron, expression: '0 0 30 2 *'}",
        "never_fires",
        36,
        "/expression",
        &["never fires"],
    );
    check(
        "{type: cron, expression: '61 * * * *'}",
        "bad_cron",
        36,
        "/expression",
        &["61", "minute hour"],
    );
    check(
        "{type: cron, expression: '* * * *'}",
        "bad_cron",
        36,
        "/expression",
        &["4 fields"],
    );
    check(
        "{type: cron, expression: 5}",
        "wrong_type",
        36,
        "/expression",
        &["quotes"],
    );
    check(
        "{type: cron, expression: ' '}",
        "empty",
        36,
        "/expression",
        &[],
    );
    check(
        "{type: cron}",
        "missing_key",
        11,
        "/expression",
        &["`expression`"],
    );
    check(
        "{type: cron, cron: '0 0 * * *', expression: '0 0 * * *'}",
        "duplicate_key",
        43,
        "/expression",
        &["same as `cron`", "line 5"],
    );
    check(
        "{type: cron, expression: '0 0 * * *', enabled: true}",
        "unknown_key",
        49,
        "/enabled",
        &["known here"],
    );
    check(
        "{type: interval, every: 0}",
        "out_of_range",
        35,
        "/every",
        &["at least 1 second"],
    );
    check(
        "{type: interval, every: -5}",
        "out_of_range",
        35,
        "/every",
        &[],
    );
    check(
        "{type: interval, every: soon}",
        "bad_duration",
        35,
        "/every",
        &["1h30m"],
    );
    check(
        "{type: interval, every: {}}",
        "out_of_range",
        35,
        "/every",
        &["at least"],
    );
    check(
        "{type: interval, every: {hours: -1}}",
        "out_of_range",
        43,
        "/every/hours",
        &["hours"],
    );
    check(
        "{type: interval, every: {hour: 1, days: 1}}",
        "unknown_key",
        36,
        "/every/hour",
        &["`hours`"],
    );
    check(
        "{type: interval, every: {weeks: 99999}}",
        "out_of_range",
        35,
        "/every",
        &["ten years"],
    );
    check("{type: once}", "missing_key", 11, "/at", &["`at`"]);
    check(
        "{type: once, at: tomorrow}",
        "bad_date",
        28,
        "/at",
        &["tomorrow", "2027-"],
    );
    check(
        "{type: once, at: '2027-02-30T00:00:00Z'}",
        "bad_date",
        28,
        "/at",
        &[],
    );
    check(
        "{type: once, at: '0001-01-01T00:00:00Z'}",
        "bad_date",
        28,
        "/at",
        &["1970"],
    );
    check(
        "{type: weekly}",
        "not_allowed",
        18,
        "/type",
        &["cron, interval, once"],
    );
    check("{}", "missing_key", 11, "/type", &[]);
    check("daily", "wrong_type", 11, "", &["mapping"]);
    let zone = "{type: cron, expression: '0 0 * * *', timezone: Europe/Berln}";
    check(
        zone,
        "unknown_zone",
        59,
        "/timezone",
        &["Europe/Berln", "did you mean `Europe/Berlin`?"],
    );
    let gap = "{type: once, at: '2027-03-28T02:30', timezone: Europe/Berlin}";
    check(
        gap,
        "bad_date",
        28,
        "/at",
        &["does not exist", "Europe/Berlin"],
    );
    let ends = "{type: interval, every: 1h, startDate: '2028-01-01T00:00:00Z', endDate: '2027-01-01T00:00:00Z'}";
    check(ends, "out_of_range", 83, "/endDate", &["not after"]);
    let early = "{type: once, at: '2027-01-01T00:00:00Z', startDate: '2027-01-02T00:00:00Z'}";
    check(
        early,
        "never_fires",
        63,
        "/startDate",
        &["never fires", "before `startDate`"],
    );
    let late = "{type: once, at: '2027-01-02T00:00:00Z', endDate: '2027-01-01T00:00:00Z'}";
    check(
        late,
        "never_fires",
        61,
        "/endDate",
        &["never fires", "after `endDate`"],
    );
}
