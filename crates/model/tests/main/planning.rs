//! Intervals, bounds, jitter, and several schedules of one job.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jobcell_model::plan::{Calendars, NoFiring, Plan, PlanError, Reason, zone_database_version};
use jobcell_model::schedule::{Schedule, Trigger};

use crate::support::{at, cron_plan, schedule};

const CREATED: &str = "2027-01-01T00:00:30Z";

fn cron(expression: &str) -> Schedule {
    schedule(Trigger::Cron(expression.to_owned()), chrono_tz::UTC)
}

fn every(seconds: f64) -> Schedule {
    let every = Duration::from_secs_f64(seconds);
    schedule(Trigger::Interval(every), chrono_tz::UTC)
}

fn plan(schedules: &[Schedule]) -> Plan {
    Plan::new(schedules, b"job", at(CREATED), &Calendars::new()).unwrap()
}

#[track_caller]
fn fires(plan: &Plan, after: &str, expected: &[&str]) {
    let found: Vec<_> = plan.after(at(after)).take(expected.len() + 1).collect();
    let found: Vec<_> = found.iter().map(|firing| firing.nominal).collect();
    let expected: Vec<_> = expected.iter().map(|text| at(text)).collect();
    assert_eq!(found[..expected.len().min(found.len())], expected);
}

#[test]
fn an_interval_counts_from_creation_which_is_no_firing() {
    let plan = plan(&[every(3600.0)]);
    fires(
        &plan,
        "2026-01-01T00:00:00Z",
        &["2027-01-01T01:00:30Z", "2027-01-01T02:00:30Z"],
    );
    fires(&plan, "2027-01-01T01:00:30Z", &["2027-01-01T02:00:30Z"]);
    fires(&plan, "2027-01-01T01:00:29.999Z", &["2027-01-01T01:00:30Z"]);
    fires(&plan, "2499-01-01T00:00:00Z", &["2499-01-01T00:00:30Z"]);
}

#[test]
fn an_interval_with_a_start_fires_at_it_and_keeps_to_elapsed_time() {
    let start = Schedule {
        start_date: Some(at("2027-03-27T10:00:00+01:00")),
        timezone: chrono_tz::Europe::Berlin,
        ..every(86_400.0)
    };
    let plan = plan(&[start]);
    fires(
        &plan,
        "2027-01-01T00:00:00Z",
        &["2027-03-27T10:00:00+01:00", "2027-03-28T11:00:00+02:00"],
    );
}

#[test]
fn an_interval_may_hold_parts_of_a_second_and_never_drifts() {
    let plan = plan(&[every(1.5)]);
    fires(
        &plan,
        CREATED,
        &["2027-01-01T00:00:31.5Z", "2027-01-01T00:00:33Z"],
    );
    let far = at(CREATED) + TimeDelta::milliseconds(1500) * 1_000_000_000;
    assert_eq!(
        plan.next_after(far - TimeDelta::nanoseconds(1))
            .unwrap()
            .nominal,
        far
    );
}

#[test]
fn one_instant_fires_once() {
    let once = schedule(Trigger::Once(at("2027-05-01T00:00:00.25Z")), chrono_tz::UTC);
    let plan = plan(&[once]);
    fires(
        &plan,
        "2027-05-01T00:00:00.249Z",
        &["2027-05-01T00:00:00.25Z"],
    );
    assert_eq!(
        plan.search_after(at("2027-05-01T00:00:00.25Z")),
        Err(NoFiring::Ended)
    );
}

#[test]
fn start_and_end_are_firings_themselves() {
    let bounded = Schedule {
        start_date: Some(at("2027-02-01T00:00:00Z")),
        end_date: Some(at("2027-02-03T00:00:00Z")),
        ..cron("@daily")
    };
    let found: Vec<_> = plan(&[bounded])
        .after(at(CREATED))
        .map(|one| one.nominal)
        .collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(
        (found[0], found[2]),
        (at("2027-02-01T00:00:00Z"), at("2027-02-03T00:00:00Z"))
    );
    let late = Schedule {
        start_date: Some(at("2027-02-01T00:00:00.5Z")),
        ..cron("@daily")
    };
    fires(&plan(&[late]), CREATED, &["2027-02-02T00:00:00Z"]);
}

#[test]
fn an_instant_between_seconds_comes_after_its_second() {
    let plan = cron_plan("* * * * * *", chrono_tz::UTC);
    fires(&plan, "2027-01-01T00:00:00.5Z", &["2027-01-01T00:00:01Z"]);
    fires(
        &plan,
        "1969-12-31T23:59:58.5Z",
        &["1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"],
    );
}

#[test]
fn jitter_moves_what_is_due_by_the_same_for_each_firing_of_a_job() {
    let jittered = Schedule {
        jitter: Duration::from_secs(600),
        ..cron("@hourly")
    };
    let offset = |seed: &[u8]| {
        let plan = Plan::new(
            std::slice::from_ref(&jittered),
            seed,
            at(CREATED),
            &Calendars::new(),
        );
        let plan = plan.unwrap();
        let firings: Vec<_> = plan.after(at(CREATED)).take(50).collect();
        let offset = firings[0].due - firings[0].nominal;
        for firing in &firings {
            assert_eq!(firing.due - firing.nominal, offset);
            let milliseconds = offset.num_milliseconds().unsigned_abs();
            assert_eq!(firing.reasons, [Reason::Jitter { milliseconds }]);
        }
        // What is due next is asked for in terms of what is due.
        assert_eq!(plan.next_after(firings[0].due), Some(firings[1].clone()));
        assert_eq!(
            plan.next_after(firings[1].nominal),
            Some(firings[1].clone())
        );
        offset
    };
    assert_eq!(offset(b"job"), offset(b"job"));
    assert_ne!(offset(b"job"), offset(b"jobs"));
    assert!(offset(b"job") < TimeDelta::minutes(10));
}

#[test]
fn several_schedules_have_one_firing_for_an_instant() {
    let plan = plan(&[
        cron("0 */2 * * *"),
        cron("0 0,3 * * *"),
        every(0.5 * 86_400.0 - 30.0),
    ]);
    let firings: Vec<_> = plan.after(at(CREATED)).take(9).collect();
    let told: Vec<_> = firings
        .iter()
        .map(|one| (one.nominal.format("%d %H:%M").to_string(), one.schedule))
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|(time, index)| (time.as_str(), *index))
        .collect();
    assert_eq!(
        told,
        [
            ("01 02:00", 0),
            ("01 03:00", 1),
            ("01 04:00", 0),
            ("01 06:00", 0),
            ("01 08:00", 0),
            ("01 10:00", 0),
            ("01 12:00", 0),
            ("01 14:00", 0),
            ("01 16:00", 0),
        ],
        "the interval's first, at 12:00 too, is the first schedule's"
    );
}

#[test]
fn of_two_schedules_for_an_instant_the_one_due_first_counts() {
    let jittered = Schedule {
        jitter: Duration::from_secs(7200),
        ..cron("0 * * * *")
    };
    let plan = plan(&[jittered, cron("0 */2 * * *")]);
    let firings: Vec<_> = plan.after(at(CREATED)).take(200).collect();
    let mut nominal: Vec<_> = firings.iter().map(|one| one.nominal).collect();
    assert!(firings.is_sorted_by(|one, next| one.due < next.due));
    nominal.sort();
    nominal.dedup();
    assert_eq!(nominal.len(), firings.len());
    for firing in &firings {
        let even = firing
            .nominal
            .format("%H")
            .to_string()
            .parse::<u32>()
            .unwrap()
            % 2
            == 0;
        assert_eq!(firing.schedule, usize::from(even), "{firing:?}");
    }
}

#[test]
fn a_span_leaves_out_its_begin_and_holds_its_end() {
    let plan = cron_plan("@hourly", chrono_tz::UTC);
    let count = |from: &str, until: &str| plan.between(at(from), at(until)).count();
    assert_eq!(count("2027-01-01T00:00:00Z", "2027-01-01T02:00:00Z"), 2);
    assert_eq!(count("2026-12-31T23:59:59Z", "2027-01-01T01:59:59Z"), 2);
    assert_eq!(count("2027-01-01T02:00:00Z", "2027-01-01T00:00:00Z"), 0);
    assert_eq!(
        plan.between(DateTime::<Utc>::MIN_UTC, at("1900-01-01T05:00:00Z"))
            .count(),
        5
    );
}

#[test]
fn what_can_not_be_planned_is_told() {
    let plan = |schedule: Schedule| Plan::new(&[schedule], b"", at(CREATED), &Calendars::new());
    assert!(matches!(plan(cron("0 0 30 2 *")), Err(PlanError::Cron(_))));
    let excluding = Schedule {
        exclude: vec!["holidays".to_owned()],
        ..cron("@daily")
    };
    let unknown = PlanError::UnknownCalendar {
        name: "holidays".to_owned(),
    };
    assert_eq!(plan(excluding).unwrap_err(), unknown);
    assert_eq!(
        Plan::new(&[], b"", at(CREATED), &Calendars::new())
            .unwrap()
            .next_after(at(CREATED)),
        None
    );
}

#[test]
fn the_zone_database_has_a_version() {
    assert_eq!(zone_database_version().len(), 5);
}
