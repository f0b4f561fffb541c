//! Debian cron's rule, fact by fact, where clocks change by an hour.

use crate::support::{at, cron_plan, fires};

const BERLIN: &str = "Europe/Berlin";
const SPRING: &str = "2027-03-27T12:00:00Z";
const AUTUMN: &str = "2027-10-30T12:00:00Z";

#[test]
fn a_fixed_time_in_a_gap_fires_at_the_first_instant_after_it_once() {
    fires(
        BERLIN,
        "30 2 * * *",
        SPRING,
        &[
            "2027-03-28T03:00:00+02:00 the clocks are put forward over 2027-03-28 02:30:00",
            "2027-03-29T02:30:00+02:00",
        ],
    );
    fires(
        BERLIN,
        "0,30 2 * * *",
        SPRING,
        &[
            "2027-03-28T03:00:00+02:00 the clocks are put forward over 2027-03-28 02:00:00, 2027-03-28 02:30:00",
            "2027-03-29T02:00:00+02:00",
        ],
    );
    fires(
        BERLIN,
        "0,30 2,3 * * *",
        SPRING,
        &[
            "2027-03-28T03:00:00+02:00 the clocks are put forward over 2027-03-28 02:00:00, 2027-03-28 02:30:00",
            "2027-03-28T03:30:00+02:00",
            "2027-03-29T02:00:00+02:00",
        ],
    );
    fires(
        BERLIN,
        "0,10,20,30,40 2 * * *",
        SPRING,
        &[
            "2027-03-28T03:00:00+02:00 the clocks are put forward over 2027-03-28 02:00:00, 2027-03-28 02:10:00, 2027-03-28 02:20:00 and 2 more",
        ],
    );
    fires(
        BERLIN,
        "30 30 2 * * *",
        SPRING,
        &[
            "2027-03-28T03:00:00+02:00 the clocks are put forward over 2027-03-28 02:30:30",
            "2027-03-29T02:30:30+02:00",
        ],
    );
    fires(
        BERLIN,
        "* 30 2 * * *",
        SPRING,
        &[
            "2027-03-28T03:00:00+02:00 the clocks are put forward over 2027-03-28 02:30:00, 2027-03-28 02:30:01, 2027-03-28 02:30:02 and 57 more",
            "2027-03-29T02:30:00+02:00",
        ],
    );
    fires(
        BERLIN,
        "0 2 28 3 *",
        SPRING,
        &[
            "2027-03-28T03:00:00+02:00 the clocks are put forward over 2027-03-28 02:00:00",
            "2028-03-28T02:00:00+02:00",
        ],
    );
}

#[test]
fn a_fixed_time_in_a_fold_fires_at_the_first_of_the_two() {
    fires(
        BERLIN,
        "30 2 * * *",
        AUTUMN,
        &[
            "2027-10-31T02:30:00+02:00 the first of two times that it is 2027-10-31 02:30:00",
            "2027-11-01T02:30:00+01:00",
        ],
    );
    fires(
        BERLIN,
        "15,45 2,3 * * *",
        AUTUMN,
        &[
            "2027-10-31T02:15:00+02:00 the first of two times that it is 2027-10-31 02:15:00",
            "2027-10-31T02:45:00+02:00 the first of two times that it is 2027-10-31 02:45:00",
            "2027-10-31T03:15:00+01:00",
            "2027-10-31T03:45:00+01:00",
        ],
    );
    fires(
        BERLIN,
        "30 2 * * *",
        "2027-10-31T01:15:00Z",
        &["2027-11-01T02:30:00+01:00"],
    );
    fires(
        BERLIN,
        "0,30 0-4 * * *",
        "2027-10-31T00:10:00Z",
        &[
            "2027-10-31T02:30:00+02:00 the first of two times that it is 2027-10-31 02:30:00",
            "2027-10-31T03:00:00+01:00",
            "2027-10-31T03:30:00+01:00",
        ],
    );
}

#[test]
fn a_wildcard_follows_elapsed_time() {
    fires(
        BERLIN,
        "*/30 2 * * *",
        SPRING,
        &["2027-03-29T02:00:00+02:00"],
    );
    fires(
        BERLIN,
        "*/30 2 * * *",
        AUTUMN,
        &[
            "2027-10-31T02:00:00+02:00",
            "2027-10-31T02:30:00+02:00",
            "2027-10-31T02:00:00+01:00 the clocks were put back: the second time",
            "2027-10-31T02:30:00+01:00 the clocks were put back: the second time",
            "2027-11-01T02:00:00+01:00",
        ],
    );
    fires(
        BERLIN,
        "*/30 * * * *",
        "2027-03-28T00:29:00Z",
        &[
            "2027-03-28T01:30:00+01:00",
            "2027-03-28T03:00:00+02:00",
            "2027-03-28T03:30:00+02:00",
        ],
    );
    fires(
        BERLIN,
        "0 * * * *",
        "2027-10-30T23:30:00Z",
        &[
            "2027-10-31T02:00:00+02:00",
            "2027-10-31T02:00:00+01:00 the clocks were put back: the second time",
            "2027-10-31T03:00:00+01:00",
            "2027-10-31T04:00:00+01:00",
        ],
    );
    fires(
        BERLIN,
        "@hourly",
        "2027-03-28T00:30:00Z",
        &["2027-03-28T03:00:00+02:00", "2027-03-28T04:00:00+02:00"],
    );
    fires(
        BERLIN,
        "15 */2 * * *",
        "2027-10-30T21:30:00Z",
        &[
            "2027-10-31T00:15:00+02:00",
            "2027-10-31T02:15:00+02:00",
            "2027-10-31T02:15:00+01:00 the clocks were put back: the second time",
            "2027-10-31T04:15:00+01:00",
        ],
    );
    fires(
        BERLIN,
        "0 */20 2 * * *",
        "2027-10-31T00:25:00Z",
        &[
            "2027-10-31T02:40:00+02:00",
            "2027-10-31T02:00:00+01:00 the clocks were put back: the second time",
            "2027-10-31T02:20:00+01:00 the clocks were put back: the second time",
            "2027-10-31T02:40:00+01:00 the clocks were put back: the second time",
            "2027-11-01T02:00:00+01:00",
        ],
    );
    fires(
        BERLIN,
        "*/15 2 28 3 *",
        SPRING,
        &["2028-03-28T02:00:00+02:00"],
    );
}

#[test]
fn without_changes_the_rule_is_simple() {
    fires(
        "UTC",
        "30 2 * * *",
        SPRING,
        &["2027-03-28T02:30:00+00:00", "2027-03-29T02:30:00+00:00"],
    );
    fires(
        "Asia/Kathmandu",
        "0 0 29 2 *",
        SPRING,
        &["2028-02-29T00:00:00+05:45", "2032-02-29T00:00:00+05:45"],
    );
    fires(
        "Etc/GMT+12",
        "@yearly",
        SPRING,
        &["2028-01-01T00:00:00-12:00", "2029-01-01T00:00:00-12:00"],
    );
    fires(
        BERLIN,
        "0 2 * * MON",
        "2150-03-28T00:00:00Z",
        &["2150-03-30T02:00:00+01:00", "2150-04-06T02:00:00+01:00"],
    );
}

#[test]
fn nothing_fires_before_1900_and_after_2500() {
    let plan = cron_plan("0 0 * * *", chrono_tz::UTC);
    let first = plan
        .next_after(chrono::DateTime::<chrono::Utc>::MIN_UTC)
        .unwrap();
    assert_eq!(first.nominal, at("1900-01-02T00:00:00Z"));
    let last = plan.next_after(at("2500-12-30T00:00:00Z")).unwrap();
    assert_eq!(last.nominal, at("2500-12-31T00:00:00Z"));
    assert_eq!(plan.next_after(last.nominal), None);
    assert_eq!(
        plan.next_after(chrono::DateTime::<chrono::Utc>::MAX_UTC),
        None
    );
}
