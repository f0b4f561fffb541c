//! Days and hours on which nothing fires.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use jobcell_model::plan::{Calendar, Calendars, NoFiring, Plan, Window};
use jobcell_model::schedule::{Schedule, Trigger};

use crate::support::{at, schedule};

fn calendar(dates: &[&str], windows: &[&str]) -> Calendar {
    Calendar {
        dates: dates.iter().map(|date| date.parse().unwrap()).collect(),
        windows: windows
            .iter()
            .map(|window| window.parse().unwrap())
            .collect(),
    }
}

fn plan(expression: &str, zone: Tz, calendar: Calendar) -> Plan {
    let schedule = Schedule {
        exclude: vec!["quiet".to_owned()],
        ..schedule(Trigger::Cron(expression.to_owned()), zone)
    };
    let calendars = Calendars::from([("quiet".to_owned(), Arc::new(calendar))]);
    Plan::new(&[schedule], b"job", at("2027-01-01T00:00:00Z"), &calendars).unwrap()
}

#[track_caller]
fn fires(plan: &Plan, after: &str, expected: &[&str]) {
    let found: Vec<_> = plan.after(at(after)).take(expected.len()).collect();
    let found: Vec<_> = found.iter().map(|one| one.local().to_rfc3339()).collect();
    assert_eq!(found, expected);
}

#[test]
fn days_are_those_of_the_schedules_zone() {
    let tokyo = plan(
        "0 0 * * *",
        chrono_tz::Asia::Tokyo,
        calendar(&["2027-05-03", "2027-05-04"], &[]),
    );
    fires(
        &tokyo,
        "2027-05-01T16:00:00Z",
        &["2027-05-05T00:00:00+09:00", "2027-05-06T00:00:00+09:00"],
    );
}

#[test]
fn windows_come_once_or_each_week_and_leave_out_their_end() {
    let weekly = plan(
        "0 */6 * * *",
        chrono_tz::UTC,
        calendar(&[], &["SAT 18:00-06:00"]),
    );
    let found = &[
        "2027-01-02T12:00:00+00:00",
        "2027-01-03T06:00:00+00:00",
        "2027-01-03T12:00:00+00:00",
    ];
    fires(&weekly, "2027-01-02T06:00:00Z", found);
    let once = calendar(&[], &["2027-01-02T12:00/2027-01-05"]);
    let once = plan("0 */6 * * *", chrono_tz::UTC, once);
    fires(
        &once,
        "2027-01-02T06:00:00Z",
        &["2027-01-05T00:00:00+00:00"],
    );
    let office = plan(
        "30 * * * *",
        chrono_tz::UTC,
        calendar(&[], &["MON-FRI 09:00-17:00"]),
    );
    fires(
        &office,
        "2027-01-04T08:00:00Z",
        &["2027-01-04T08:30:00+00:00", "2027-01-04T17:30:00+00:00"],
    );
}

#[test]
fn a_preview_shows_what_is_excluded_and_by_what() {
    let plan = plan("@daily", chrono_tz::UTC, calendar(&["2027-01-03"], &[]));
    let (from, until) = (at("2027-01-01T12:00:00Z"), at("2027-01-04T00:00:00Z"));
    let all: Vec<_> = plan.between_with_excluded(from, until).collect();
    let excluded: Vec<_> = all.iter().map(|firing| firing.excluded_by()).collect();
    assert_eq!(excluded, [None, Some("quiet"), None]);
    assert_eq!(
        all[1].reasons[0].to_string(),
        "excluded by the calendar `quiet`"
    );
    assert_eq!(plan.between(from, until).count(), 2);
}

#[test]
fn a_blackout_that_ends_in_a_gap_or_a_fold_ends() {
    let berlin = chrono_tz::Europe::Berlin;
    let gap = plan(
        "*/15 * * * *",
        berlin,
        calendar(&[], &["2027-03-28T01:00/2027-03-28T02:30"]),
    );
    fires(&gap, "2027-03-27T23:50:00Z", &["2027-03-28T03:00:00+02:00"]);
    // The second pass lies in the window again.
    let fold = plan(
        "*/15 * * * *",
        berlin,
        calendar(&[], &["2027-10-31T01:00/2027-10-31T02:30"]),
    );
    let found = &[
        "2027-10-31T02:30:00+02:00",
        "2027-10-31T02:45:00+02:00",
        "2027-10-31T02:30:00+01:00",
    ];
    fires(&fold, "2027-10-30T22:50:00Z", found);
}

#[test]
fn a_year_of_blackout_is_skipped_at_once() {
    let before = Instant::now();
    let long = calendar(&[], &["2027-01-01/2028-01-01"]);
    let plan = plan("* * * * * *", chrono_tz::Europe::Berlin, long);
    fires(
        &plan,
        "2027-01-01T00:00:00Z",
        &["2028-01-01T00:00:00+01:00"],
    );
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_calendar_that_leaves_nothing_is_told() {
    for (expression, window) in [
        ("* * * * * *", "* 00:00-24:00"),
        ("0 0 * * SAT", "SAT 00:00-00:01"),
    ] {
        let plan = plan(expression, chrono_tz::UTC, calendar(&[], &[window]));
        let found = plan.search_after(at("2027-01-01T00:00:00Z")).unwrap_err();
        let NoFiring::Excluded { calendar, skipped } = found else {
            panic!("{found:?}");
        };
        assert_eq!(calendar, "quiet");
        assert!(skipped > 10_000, "{skipped}");
        assert_eq!(plan.next_after(at("2027-01-01T00:00:00Z")), None);
    }
}

#[test]
fn windows_are_read_and_written_alike() {
    for text in [
        "SAT 22:00-06:00",
        "* 00:00-00:00",
        "MON,TUE,SUN 01:30-02:00",
        "2027-12-24T12:00:00/2027-12-27T00:00:00",
    ] {
        assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
    }
    let long: Window = "sat-mon 22:00-24:00".parse().unwrap();
    assert_eq!(long.to_string(), "MON,SAT,SUN 22:00-00:00");
    for wrong in [
        "",
        "SAT",
        "SAT 25:00-26:00",
        "XXX 01:00-02:00",
        "2027-01-02/2027-01-01",
        "SAT 01:00",
        "2027-02-30/2027-03-01",
    ] {
        assert!(wrong.parse::<Window>().is_err(), "{wrong}");
    }
    let written = r#"{"dates":["2027-12-25"],"windows":["SAT 22:00-06:00"]}"#;
    let read: Calendar = serde_json::from_str(written).unwrap();
    assert_eq!(read, calendar(&["2027-12-25"], &["SAT 22:00-06:00"]));
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
    assert!(serde_json::from_str::<Calendar>(r#"{"days":[]}"#).is_err());
}
