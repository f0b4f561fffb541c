//! Several schedules, calendars, and what a job is told that its schedules
//! come to.

use std::sync::Arc;

use jobcell_model::plan::{Calendar, Calendars};
use jobcell_model::{Context, ExpectFirings, parse_job_in};

use crate::support::{at, read, refused, sql, types};

fn warned(lines: &str) -> Vec<(&'static str, String)> {
    let warnings = read(&sql(lines)).warnings;
    warnings
        .into_iter()
        .map(|one| (one.code, one.message))
        .collect()
}

#[test]
fn a_job_may_have_several_schedules() {
    let lines = "schedule:\n  - {type: cron, expression: '@daily', timezone: Asia/Tokyo}\n  - {type: interval, every: 1h}\n";
    let spec = read(&sql(lines)).spec;
    assert_eq!(spec.schedules.len(), 2);
    assert_eq!(spec.timezone(), "Asia/Tokyo");
    refused(&sql("schedule: []\n"), "empty", (5, 11), "/schedule", &[]);
    let many = format!(
        "schedule: [{}]\n",
        "{type: interval, every: 1h},".repeat(21)
    );
    refused(
        &sql(&many),
        "out_of_range",
        (5, 11),
        "/schedule",
        &["at most 20"],
    );
    let second = sql(
        "schedule:\n  - {type: interval, every: 1h}\n  - {type: cron, expression: '61 * * * *'}\n",
    );
    refused(
        &second,
        "bad_cron",
        (7, 30),
        "/schedule/1/expression",
        &["61"],
    );
}

#[test]
fn calendars_are_checked_where_they_are_known() {
    let job = sql("schedule: {type: interval, every: 1h, exclude: [holidays, nights]}\n");
    assert_eq!(read(&job).spec.schedules[0].exclude, ["holidays", "nights"]);
    let calendars = Calendars::from([("holidays".to_owned(), Arc::new(Calendar::default()))]);
    let context = Context {
        calendars: Some(&calendars),
        now: None,
        ..Context::default()
    };
    let found = parse_job_in(&job, &types(), &context).unwrap_err();
    assert_eq!(
        (found[0].code, found[0].column),
        ("unknown_calendar", Some(59))
    );
    assert_eq!(found[0].pointer, "/schedule/exclude/1");
    let near = job.replace("nights", "hollidays");
    let found = parse_job_in(&near, &types(), &context).unwrap_err();
    assert_eq!(found[0].hint.as_deref(), Some("did you mean `holidays`?"));
    let twice = sql("schedule: {type: interval, every: 1h, exclude: [a, a]}\n");
    refused(
        &twice,
        "duplicate_key",
        (5, 52),
        "/schedule/exclude/1",
        &["twice"],
    );
}

#[test]
fn the_firings_of_a_year_are_as_many_as_expected() {
    let daily = "schedule: {type: cron, expression: '30 2 * * *', timezone: Europe/Berlin}\n";
    let spec = read(&sql(&format!(
        "{daily}expectFirings: {{year: 2027, count: 365}}\n"
    )))
    .spec;
    assert_eq!(
        spec.expect_firings,
        [ExpectFirings {
            year: 2027,
            count: 365
        }]
    );
    let years = "expectFirings: [{year: 2027, count: 365}, {year: 2028, count: 366}]\n";
    assert_eq!(
        read(&sql(&format!("{daily}{years}")))
            .spec
            .expect_firings
            .len(),
        2
    );
    // Elapsed time has an hour less in spring and one more in autumn.
    let hourly =
        "schedule: {type: cron, expression: '@hourly', timezone: Europe/Berlin, jitter: 5m}\n";
    read(&sql(&format!(
        "{hourly}expectFirings: {{year: 2027, count: 8760}}\n"
    )));
    let minutes = "schedule: {type: cron, expression: '*/5 2 * * *', timezone: Europe/Berlin}\n";
    read(&sql(&format!(
        "{minutes}expectFirings: {{year: 2027, count: 4380}}\n"
    )));
}

#[test]
fn another_count_is_refused_with_the_true_one_and_the_first_instants() {
    let job = sql(
        "schedule: {type: cron, expression: '0 0 1 * *', timezone: Asia/Tokyo}\nexpectFirings: {year: 2027, count: 365}\n",
    );
    refused(
        &job,
        "unexpected_firings",
        (6, 16),
        "/expectFirings",
        &[
            "12 times in 2027 (Asia/Tokyo), not 365",
            "2027-01-01T00:00:00+09:00, 2027-02-01",
        ],
    );
    let list = sql(
        "schedule: {type: once, at: '2027-05-01T00:00:00Z'}\nexpectFirings:\n  - {year: 2027, count: 1}\n  - {year: 2028, count: 1}\n",
    );
    refused(
        &list,
        "unexpected_firings",
        (8, 5),
        "/expectFirings/1",
        &["0 times"],
    );
    refused(
        &sql("expectFirings: {year: 2027, count: 1}\n"),
        "unexpected_firings",
        (5, 16),
        "/expectFirings",
        &["0 times"],
    );
    let many = sql(
        "schedule: {type: cron, expression: '* * * * * *'}\nexpectFirings: {year: 2027, count: 5}\n",
    );
    refused(
        &many,
        "unexpected_firings",
        (6, 16),
        "/expectFirings",
        &["more than 120000 times"],
    );
    refused(
        &sql("expectFirings: {year: 1, count: 1}\n"),
        "out_of_range",
        (5, 23),
        "/expectFirings/year",
        &[],
    );
    refused(
        &sql("expectFirings: {year: 2027}\n"),
        "missing_key",
        (5, 16),
        "/expectFirings/count",
        &[],
    );
    // A wrong schedule is one mistake.
    let wrong =
        sql("schedule: {type: cron, expression: x}\nexpectFirings: {year: 2027, count: 5}\n");
    refused(&wrong, "bad_cron", (5, 36), "/schedule/expression", &[]);
}

#[test]
fn what_can_not_be_counted_yet_is_warned_of() {
    let expect = "expectFirings: {year: 2027, count: 364}\n";
    let excluding =
        format!("schedule: {{type: cron, expression: '@daily', exclude: [xmas]}}\n{expect}");
    let found = warned(&excluding);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "unchecked");
    let open = warned(&format!(
        "schedule: {{type: interval, every: 1h}}\n{expect}"
    ));
    assert!(open[0].1.contains("startDate"), "{open:?}");
    let every_second = "{type: cron, expression: '* * * * * *'},".repeat(20);
    let many =
        format!("schedule: [{every_second}]\nexpectFirings: {{year: 2027, count: 100000}}\n");
    assert!(warned(&many)[0].1.contains("more than 12000 firings"));
    // With the calendars it is counted.
    let xmas = Calendar {
        dates: ["2027-12-25".parse().unwrap()].into(),
        ..Calendar::default()
    };
    let calendars = Calendars::from([("xmas".to_owned(), Arc::new(xmas))]);
    let context = Context {
        calendars: Some(&calendars),
        now: None,
        ..Context::default()
    };
    let job = parse_job_in(&sql(&excluding), &types(), &context).unwrap();
    assert_eq!(job.warnings, []);
    let wrong = sql(&excluding).replace("364", "365");
    assert!(parse_job_in(&wrong, &types(), &context).is_err());
}

#[test]
fn a_fixed_time_at_which_clocks_change_is_warned_of_with_the_next_date() {
    let job = |expression: &str, zone: &str| {
        format!("schedule: {{type: cron, expression: '{expression}', timezone: {zone}}}\n")
    };
    let found = warned(&job("30 2 * * *", "Europe/Berlin"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "clock_change");
    for (expression, zone) in [
        ("30 3 * * *", "Europe/Berlin"),
        ("*/5 2 * * *", "Europe/Berlin"),
        ("30 2 * * *", "UTC"),
        ("30 2 * * MON", "Europe/Berlin"),
        ("@hourly", "Europe/Berlin"),
    ] {
        assert_eq!(warned(&job(expression, zone)), [], "{expression} {zone}");
    }
    assert!(
        warned(&job("30 0 * * *", "America/Havana"))[0]
            .1
            .contains("comes twice")
    );
    let now = Some(at("2031-06-01T00:00:00Z"));
    let context = Context {
        calendars: None,
        now,
        ..Context::default()
    };
    let berlin = sql(&job("30 2 * * *", "Europe/Berlin"));
    let found = parse_job_in(&berlin, &types(), &context).unwrap();
    assert_eq!(
        found.warnings[0].message,
        "the clocks of Europe/Berlin change at a time of this schedule: 2031-10-26 02:30 comes twice, and 2032-03-28 02:30 does not exist"
    );
}
