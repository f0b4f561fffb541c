//! A migrated job fires when V1's user meant it to, by V2's own planner; the
//! instants were worked out by hand.

use std::collections::BTreeSet;

use jobcell_migrate::{Converted, Options, Weekdays};
use jobcell_model::plan::{Calendars, Plan};
use serde_json::{Value, json};

use crate::support::{at, configured, migrated, options, read, row, scheduled, types};

/// When the migrated job fires after an instant.
#[track_caller]
fn firings(row: &Value, options: &Options<'_>, after: &str, count: usize) -> Vec<String> {
    let job = migrated(row, options);
    let document = read(&job.yaml, options.types);
    let spec = &document.spec;
    let plan = Plan::new(
        &spec.schedules,
        job.key.as_bytes(),
        job.created,
        &Calendars::new(),
    )
    .unwrap();
    let firings = plan.after(at(after)).take(count);
    firings
        .map(|firing| firing.nominal.format("%FT%TZ").to_string())
        .collect()
}

#[test]
fn weekdays_at_nine_stay_weekdays_through_the_change_of_clocks() {
    let types = types();
    let options = options(&types);
    let row = scheduled("cron", "0 0 9 * * 1-5", "Europe/London");
    // Thursday and Friday in summer time, Monday and Tuesday after it ended.
    assert_eq!(
        firings(&row, &options, "2025-10-22T12:00:00Z", 4),
        [
            "2025-10-23T08:00:00Z",
            "2025-10-24T08:00:00Z",
            "2025-10-27T09:00:00Z",
            "2025-10-28T09:00:00Z"
        ]
    );
}

#[test]
fn a_time_that_the_clocks_skip_fires_once_at_the_end_of_the_gap() {
    let types = types();
    let row = scheduled("cron", "0 30 2 * * ?", "Europe/Berlin");
    assert_eq!(
        firings(&row, &options(&types), "2026-03-28T00:00:00Z", 3),
        [
            "2026-03-28T01:30:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-30T00:30:00Z"
        ]
    );
}

#[test]
fn sunday_at_midnight_is_a_sunday_unless_the_admin_says_otherwise() {
    let types = types();
    let row = scheduled("cron", "0 0 0 * * 0", "UTC");
    let sunday = options(&types);
    let after = "2025-09-02T12:00:00Z";
    assert_eq!(
        firings(&row, &sunday, after, 2),
        ["2025-09-07T00:00:00Z", "2025-09-14T00:00:00Z"]
    );
    let monday = Options {
        weekdays: Weekdays::Monday,
        ..options(&types)
    };
    assert_eq!(
        firings(&row, &monday, after, 2),
        ["2025-09-08T00:00:00Z", "2025-09-15T00:00:00Z"]
    );
    for options in [&sunday, &monday] {
        let difference = migrated(&row, options).weekday_difference.unwrap();
        let all = [
            "2025-09-07",
            "2025-09-14",
            "2025-09-21",
            "2025-09-28",
            "2025-10-05",
        ];
        let all = all.map(|day| at(&format!("{day}T00:00:00Z")));
        assert_eq!(difference.under_sunday, all);
        assert_eq!(difference.under_monday[0], at("2025-09-08T00:00:00Z"));
        assert_eq!(difference.under_monday.len(), 5);
        assert_eq!(difference.monday_expression, "0 0 0 * * MON");
    }
}

#[test]
fn a_schedule_that_means_the_same_days_has_no_difference_to_show() {
    let types = types();
    for expression in [
        "0 0 9 * * MON-FRI",
        "0 0 0 1 * ?",
        "0 */15 * * * ?",
        "0 0 0 * * 0-6",
    ] {
        let job = migrated(&scheduled("cron", expression, "UTC"), &options(&types));
        assert_eq!(job.weekday_difference, None, "{expression}");
        assert!(
            job.yaml.contains(&format!("expression: \"{expression}\"")),
            "{}",
            job.yaml
        );
    }
}

#[test]
fn day_and_weekday_must_both_fit_as_in_v1() {
    let types = types();
    let row = scheduled("cron", "0 0 9 1-7 * 1", "UTC");
    // The first Mondays, not every Monday and all first seven days.
    assert_eq!(
        firings(&row, &options(&types), "2025-09-02T12:00:00Z", 2),
        ["2025-10-06T09:00:00Z", "2025-11-03T09:00:00Z"]
    );
}

#[test]
fn five_fields_begin_with_the_minute() {
    let types = types();
    let row = scheduled("cron", "0 */4 * * *", "America/New_York");
    assert_eq!(
        firings(&row, &options(&types), "2025-09-02T12:00:00Z", 2),
        ["2025-09-02T16:00:00Z", "2025-09-02T20:00:00Z"]
    );
}

#[test]
fn an_interval_counts_from_the_creation_or_from_its_start() {
    let types = types();
    let row = scheduled("interval", "1d 2h", "Europe/London");
    assert_eq!(
        firings(&row, &options(&types), "2025-08-20T10:15:00Z", 2),
        ["2025-08-21T12:15:00Z", "2025-08-22T14:15:00Z"]
    );
    let schedule = json!({
        "type": "interval", "interval_minutes": 1, "start_time": "2025-09-03T09:00:00",
        "timezone": "Asia/Tokyo",
    });
    let row = configured(
        "powershell",
        &json!({ "script": "Get-Date", "schedule": schedule }),
    );
    assert_eq!(
        firings(&row, &options(&types), "2025-09-02T12:00:00Z", 2),
        ["2025-09-03T00:00:00Z", "2025-09-03T00:01:00Z"]
    );
}

#[test]
fn a_naive_time_is_read_in_the_zone_of_the_job() {
    let types = types();
    let row = scheduled("date", "2025-09-10T08:30:00", "America/New_York");
    let job = migrated(&row, &options(&types));
    assert!(job.enabled);
    assert!(
        job.yaml.contains("at: \"2025-09-10T08:30:00-04:00\""),
        "{}",
        job.yaml
    );
    assert_eq!(
        firings(&row, &options(&types), "2025-09-02T12:00:00Z", 2),
        ["2025-09-10T12:30:00Z"]
    );
}

#[test]
fn what_was_typed_counts_where_v1_shifted_it() {
    let types = types();
    let schedule = json!({
        "type": "once", "run_date": "2025-09-10T13:00:00.000Z", "local_time": "2025-09-10T09:00",
        "timezone": "America/New_York",
    });
    let row = configured(
        "powershell",
        &json!({ "script": "Get-Date", "schedule": schedule }),
    );
    assert_eq!(
        firings(&row, &options(&types), "2025-09-02T12:00:00Z", 1),
        ["2025-09-10T13:00:00Z"]
    );
    let schedule = json!({
        "type": "once", "run_date": "2025-09-10T13:00:00", "local_time": "2025-09-10T09:00",
        "timezone": "America/New_York",
    });
    let row = configured(
        "powershell",
        &json!({ "script": "Get-Date", "schedule": schedule }),
    );
    assert_eq!(
        firings(&row, &options(&types), "2025-09-02T12:00:00Z", 1),
        ["2025-09-10T13:00:00Z"]
    );
    let job = migrated(&row, &options(&types));
    let mut notes = job.notes.iter();
    assert!(notes.any(|note| note.text.contains("page made 2025-09-10T17:00:00Z of it")));
}

#[test]
fn the_columns_win_over_the_configuration_and_say_so() {
    let types = types();
    let schedule = json!({ "type": "cron", "cron": "0 0 1 * * ?", "timezone": "UTC" });
    let configuration = json!({ "script": "Get-Date", "schedule": schedule });
    let mut both = scheduled("cron", "0 0 2 * * ?", "UTC");
    both["configuration"] = configuration.to_string().into();
    assert_eq!(
        firings(&both, &options(&types), "2025-09-02T12:00:00Z", 1),
        ["2025-09-03T02:00:00Z"]
    );
    assert!(
        migrated(&both, &options(&types))
            .yaml
            .contains("its configuration had another: `0 0 1 * * ?`")
    );
    both["schedule_expression"] = "0 0 1 * * ?".into();
    assert!(
        !migrated(&both, &options(&types))
            .yaml
            .contains("had another")
    );
    both["schedule_enabled"] = json!(0);
    let off = migrated(&both, &options(&types));
    assert!(
        off.yaml
            .contains("# schedule: V1's is switched off in the columns of the row"),
        "{}",
        off.yaml
    );
    assert!(!off.yaml.contains("\nschedule:"));
    let told = |job: &Converted| {
        job.notes
            .iter()
            .any(|note| note.text.contains("had another"))
    };
    assert!(told(&off));
    let odd = json!({ "script": "Get-Date", "schedule": "daily" });
    let mut row = scheduled("cron", "0 0 2 * * ?", "UTC");
    row["configuration"] = odd.to_string().into();
    assert!(told(&migrated(&row, &options(&types))));
    both["schedule_expression"] = Value::Null;
    assert_eq!(
        firings(&both, &options(&types), "2025-09-02T12:00:00Z", 1),
        ["2025-09-03T01:00:00Z"]
    );
}

#[test]
fn zones_in_another_casing_are_found_and_told() {
    let types = types();
    let job = migrated(
        &scheduled("cron", "0 0 2 * * ?", "europe/paris"),
        &options(&types),
    );
    assert!(job.yaml.contains("timezone: Europe/Paris"));
    assert!(job.yaml.contains("V1 spelled the time zone `europe/paris`"));
}

#[test]
fn dates_of_rows_are_read_in_the_assumed_zone() {
    let types = types();
    let options = Options {
        assume_timezone: chrono_tz::Tz::Asia__Kolkata,
        ..options(&types)
    };
    let job = migrated(&row(json!({})), &options);
    assert_eq!(job.created, at("2025-08-20T04:45:00Z"));
    assert_eq!(job.modified, at("2025-08-21T02:30:00Z"));
    let job = migrated(
        &row(json!({ "created_date": null, "modified_date": null })),
        &options,
    );
    assert_eq!((job.created, job.modified), (options.now, options.now));
    assert!(
        job.yaml
            .contains("V1 has no date of creation; that of the migration is taken")
    );
}

#[test]
fn every_range_of_weekdays_fires_on_the_days_that_are_meant() {
    let types = types();
    // 2025-09-07 is a Sunday.
    let days = |row: &Value, options: &Options<'_>| -> BTreeSet<usize> {
        let firings = firings(row, options, "2025-09-06T12:00:00Z", 7);
        let days = firings.iter().filter_map(|at| at.strip_prefix("2025-09-"));
        let days = days.map(|at| at[..2].parse::<usize>().unwrap());
        days.filter(|day| (7..14).contains(day))
            .map(|day| day - 7)
            .collect()
    };
    for (first, last, step) in (0..7).flat_map(|first| {
        (first..7).flat_map(move |last| (1..4).map(move |step| (first, last, step)))
    }) {
        let row = scheduled("cron", &format!("0 0 9 * * {first}-{last}/{step}"), "UTC");
        let meant: BTreeSet<usize> = (first..=last).step_by(step).collect();
        assert_eq!(days(&row, &options(&types)), meant);
        let monday = Options {
            weekdays: Weekdays::Monday,
            ..options(&types)
        };
        let shifted = meant.iter().map(|day| (day + 1) % 7).collect();
        assert_eq!(days(&row, &monday), shifted);
        let differs = migrated(&row, &monday).weekday_difference.is_some();
        assert_eq!(differs, meant != shifted);
    }
}

#[test]
fn last_and_nth_weekdays_follow_the_reading_too() {
    let types = types();
    let monday = Options {
        weekdays: Weekdays::Monday,
        ..options(&types)
    };
    let after = "2025-09-02T12:00:00Z";
    let last = scheduled("cron", "0 0 6 * * 5L", "UTC");
    assert_eq!(
        firings(&last, &options(&types), after, 1),
        ["2025-09-26T06:00:00Z"]
    );
    assert_eq!(firings(&last, &monday, after, 1), ["2025-09-27T06:00:00Z"]);
    let second = scheduled("cron", "0 0 6 * * 0#2", "UTC");
    assert_eq!(
        firings(&second, &options(&types), after, 1),
        ["2025-09-14T06:00:00Z"]
    );
    assert_eq!(
        firings(&second, &monday, after, 1),
        ["2025-09-08T06:00:00Z"]
    );
    // Friday, the thirteenth.
    let unlucky = scheduled("cron", "0 0 6 13 * 5", "UTC");
    assert_eq!(
        firings(&unlucky, &options(&types), after, 2),
        ["2026-02-13T06:00:00Z", "2026-03-13T06:00:00Z"]
    );
}
