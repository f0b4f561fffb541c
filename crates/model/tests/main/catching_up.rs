//! Firings that were missed: which are made up for, in bounded time.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use jobcell_model::plan::{Calendars, Missed, Outage, Plan, Span};
use jobcell_model::schedule::{Schedule, Trigger};
use jobcell_model::{CatchUp, CatchUpPolicy};

use crate::support::{at, cron_plan, schedule};

fn policy(policy: CatchUpPolicy, window: u64, max: u32) -> CatchUp {
    CatchUp {
        policy,
        window: Duration::from_secs(window),
        max,
    }
}

#[track_caller]
fn check(missed: &Missed, fire: &[&str], skipped: usize) {
    let found: Vec<_> = missed.fire.iter().map(|one| one.nominal).collect();
    let expected: Vec<_> = fire.iter().map(|text| at(text)).collect();
    assert_eq!(
        (found, missed.skipped_count, missed.at_least),
        (expected, skipped, false)
    );
}

const LAST: &str = "2027-01-01T00:00:00Z";
const NOW: &str = "2027-01-01T05:30:00Z";

fn hourly(catch_up: CatchUp) -> Missed {
    cron_plan("@hourly", chrono_tz::UTC).missed(at(LAST), at(NOW), &catch_up)
}

#[test]
fn none_are_made_up_for_and_all_are_counted() {
    check(&hourly(policy(CatchUpPolicy::None, 86_400, 100)), &[], 5);
}

#[test]
fn the_latest_is_made_up_for_when_it_lies_in_the_window() {
    let latest = hourly(policy(CatchUpPolicy::Latest, 3600, 100));
    check(&latest, &["2027-01-01T05:00:00Z"], 4);
    check(
        &hourly(policy(CatchUpPolicy::Latest, 1800, 1)),
        &["2027-01-01T05:00:00Z"],
        4,
    );
    check(&hourly(policy(CatchUpPolicy::Latest, 1799, 1)), &[], 5);
}

#[test]
fn all_are_made_up_for_up_to_the_newest_so_many() {
    let all = hourly(policy(CatchUpPolicy::All, 7200, 100));
    check(&all, &["2027-01-01T04:00:00Z", "2027-01-01T05:00:00Z"], 3);
    let two = hourly(policy(CatchUpPolicy::All, 86_400, 2));
    check(&two, &["2027-01-01T04:00:00Z", "2027-01-01T05:00:00Z"], 3);
    let five = hourly(policy(CatchUpPolicy::All, 86_400, 9));
    assert_eq!((five.fire.len(), five.skipped_count), (5, 0));
}

#[test]
fn nothing_is_missed_when_clocks_went_back_or_stood_still() {
    let plan = cron_plan("* * * * *", chrono_tz::UTC);
    let all = policy(CatchUpPolicy::All, 86_400, 100);
    assert_eq!(plan.missed(at(NOW), at(NOW), &all), Missed::default());
    assert_eq!(plan.missed(at(NOW), at(LAST), &all), Missed::default());
}

#[test]
fn what_jitter_put_off_is_not_missed_yet() {
    let jittered = Schedule {
        jitter: Duration::from_secs(3600),
        ..schedule(Trigger::Cron("@hourly".to_owned()), chrono_tz::UTC)
    };
    let plan = Plan::new(&[jittered], b"job", at(LAST), &Calendars::new()).unwrap();
    let due = plan.next_after(at(LAST)).unwrap().due;
    let all = policy(CatchUpPolicy::All, 86_400, 100);
    let just_before = due - chrono::TimeDelta::milliseconds(1);
    assert_eq!(plan.missed(at(LAST), just_before, &all), Missed::default());
    assert_eq!(plan.missed(at(LAST), due, &all).fire.len(), 1);
}

#[test]
fn millions_of_missed_firings_cost_no_more_than_some() {
    let year = "2026-01-01T00:00:00Z";
    for expression in [
        "* * * * * *",
        "* * * 1 1 *",
        "* * * * * 1",
        "0 0 0 1 1 *",
        "*/7 0 0-5 * * *",
    ] {
        let plan = cron_plan(expression, chrono_tz::Europe::Berlin);
        for (which, max) in [
            (CatchUpPolicy::Latest, 1),
            (CatchUpPolicy::All, 100),
            (CatchUpPolicy::All, 10_000),
        ] {
            let before = Instant::now();
            let missed = plan.missed(
                at(year),
                at("2026-12-30T12:00:00Z"),
                &policy(which, 366 * 86_400, max),
            );
            assert!(
                before.elapsed() < Duration::from_secs(20),
                "{expression}: {:?}",
                before.elapsed()
            );
            let newest = newest(&plan, at(year), at("2026-12-30T12:00:00Z"), max as usize);
            let found: Vec<_> = missed.fire.iter().map(|one| one.nominal).collect();
            assert_eq!(found, newest, "{expression}");
            assert!(missed.skipped_count <= 1000);
            assert_eq!(
                missed.at_least,
                missed.skipped_count == 1000,
                "{expression}"
            );
        }
    }
}

/// The newest firings by walking back in steps of a day.
fn newest(
    plan: &Plan,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    wanted: usize,
) -> Vec<DateTime<Utc>> {
    let mut start = until;
    loop {
        start = (start - chrono::TimeDelta::days(1)).max(from);
        let found: Vec<_> = plan.between(start, until).map(|one| one.nominal).collect();
        if found.len() >= wanted || start == from {
            return found[found.len() - wanted.min(found.len())..].to_vec();
        }
    }
}

/// What is special about each hour of a span with a time without a server.
fn forecast(catch_up: CatchUp, down: &str) -> Vec<(bool, String)> {
    let span = Span {
        after: at(LAST),
        until: at(NOW),
        outage: Some(down.parse().unwrap()),
    };
    let plan = cron_plan("@hourly", chrono_tz::UTC);
    let firings = plan.forecast(span, &catch_up);
    firings
        .map(|firing| {
            let reasons: Vec<String> = firing.reasons.iter().map(ToString::to_string).collect();
            (firing.takes_place(), reasons.join("; "))
        })
        .collect()
}

#[test]
fn a_forecast_tells_what_an_outage_does_to_each_firing() {
    let down = "2027-01-01T02:00:00Z/2027-01-01T04:10:00Z";
    let on_time = (true, String::new());
    let missed = (
        false,
        "no server runs: missed, and not made up for".to_owned(),
    );
    let made_up = (
        true,
        "no server runs: made up for at 2027-01-01T04:10:00Z".to_owned(),
    );
    let latest = forecast(policy(CatchUpPolicy::Latest, 3600, 100), down);
    let expected = [&on_time, &missed, &missed, &made_up, &on_time];
    assert_eq!(latest.iter().collect::<Vec<_>>(), expected);
    let all = forecast(policy(CatchUpPolicy::All, 2 * 3600, 100), down);
    let expected = [&on_time, &missed, &made_up, &made_up, &on_time];
    assert_eq!(all.iter().collect::<Vec<_>>(), expected);
    let none = forecast(policy(CatchUpPolicy::None, 3600, 100), down);
    let expected = [&on_time, &missed, &missed, &missed, &on_time];
    assert_eq!(none.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn an_outage_is_two_instants_in_order() {
    for wrong in [
        "",
        "2027-01-01T02:00:00Z",
        "2027-01-01/2027-01-02",
        "2027-01-01T02:00:00Z/2027-01-01T02:00:00Z",
        "2027-01-01T02:00:00Z/2027-01-01T01:00:00Z",
        "a/b",
    ] {
        assert!(wrong.parse::<Outage>().is_err(), "{wrong}");
    }
}
