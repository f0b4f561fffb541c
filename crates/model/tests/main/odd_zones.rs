//! Debian cron's rule, fact by fact, in zones whose clocks change by other than
//! an hour at night.

use crate::support::fires;

#[test]
fn half_an_hour_is_a_change_too() {
    let howe = "Australia/Lord_Howe";
    fires(
        howe,
        "15 2 * * *",
        "2027-10-02T00:00:00Z",
        &[
            "2027-10-03T02:30:00+11:00 the clocks are put forward over 2027-10-03 02:15:00",
            "2027-10-04T02:15:00+11:00",
        ],
    );
    fires(
        howe,
        "30 2 * * *",
        "2027-10-02T00:00:00Z",
        &["2027-10-03T02:30:00+11:00", "2027-10-04T02:30:00+11:00"],
    );
    fires(
        howe,
        "*/15 * * * *",
        "2027-10-02T15:14:00Z",
        &[
            "2027-10-03T01:45:00+10:30",
            "2027-10-03T02:30:00+11:00",
            "2027-10-03T02:45:00+11:00",
        ],
    );
    fires(
        howe,
        "45 1 * * *",
        "2027-04-03T00:00:00Z",
        &[
            "2027-04-04T01:45:00+11:00 the first of two times that it is 2027-04-04 01:45:00",
            "2027-04-05T01:45:00+10:30",
        ],
    );
    fires(
        howe,
        "45 * * * *",
        "2027-04-03T13:50:00Z",
        &[
            "2027-04-04T01:45:00+11:00",
            "2027-04-04T01:45:00+10:30 the clocks were put back: the second time",
            "2027-04-04T02:45:00+10:30",
        ],
    );
}

#[test]
fn midnight_may_be_missing_or_come_twice() {
    fires(
        "America/Sao_Paulo",
        "@daily",
        "2018-11-03T12:00:00Z",
        &[
            "2018-11-04T01:00:00-02:00 the clocks are put forward over 2018-11-04 00:00:00",
            "2018-11-05T00:00:00-02:00",
        ],
    );
    fires(
        "America/Sao_Paulo",
        "30 23 * * *",
        "2018-02-17T12:00:00Z",
        &[
            "2018-02-17T23:30:00-02:00 the first of two times that it is 2018-02-17 23:30:00",
            "2018-02-18T23:30:00-03:00",
        ],
    );
    fires(
        "America/Sao_Paulo",
        "0 * * * *",
        "2018-11-04T02:30:00Z",
        &["2018-11-04T01:00:00-02:00", "2018-11-04T02:00:00-02:00"],
    );
    fires(
        "Asia/Beirut",
        "0 0 * * SUN",
        "2025-03-29T12:00:00Z",
        &[
            "2025-03-30T01:00:00+03:00 the clocks are put forward over 2025-03-30 00:00:00",
            "2025-04-06T00:00:00+03:00",
        ],
    );
    fires(
        "America/Havana",
        "30 0 9 3 *",
        "2025-03-08T12:00:00Z",
        &[
            "2025-03-09T01:00:00-04:00 the clocks are put forward over 2025-03-09 00:30:00",
            "2026-03-09T00:30:00-04:00",
        ],
    );
    fires(
        "America/Havana",
        "@daily",
        "2025-11-01T12:00:00Z",
        &[
            "2025-11-02T00:00:00-04:00 the first of two times that it is 2025-11-02 00:00:00",
            "2025-11-03T00:00:00-05:00",
        ],
    );
    fires(
        "America/Havana",
        "0 * * * *",
        "2025-11-02T03:30:00Z",
        &[
            "2025-11-02T00:00:00-04:00",
            "2025-11-02T00:00:00-05:00 the clocks were put back: the second time",
            "2025-11-02T01:00:00-05:00",
        ],
    );
}

#[test]
fn a_day_may_be_missing() {
    fires(
        "Pacific/Apia",
        "0 12 * * *",
        "2011-12-29T00:00:00Z",
        &[
            "2011-12-29T12:00:00-10:00",
            "2011-12-31T00:00:00+14:00 the clocks are put forward over 2011-12-30 12:00:00",
            "2011-12-31T12:00:00+14:00",
        ],
    );
    fires(
        "Pacific/Apia",
        "0 6,12,18 30 12 *",
        "2011-12-29T00:00:00Z",
        &[
            "2011-12-31T00:00:00+14:00 the clocks are put forward over 2011-12-30 06:00:00, 2011-12-30 12:00:00, 2011-12-30 18:00:00",
            "2012-12-30T06:00:00+14:00",
        ],
    );
    fires(
        "Pacific/Apia",
        "0 */12 * * *",
        "2011-12-29T12:00:00Z",
        &[
            "2011-12-29T12:00:00-10:00",
            "2011-12-31T00:00:00+14:00",
            "2011-12-31T12:00:00+14:00",
        ],
    );
    fires(
        "Pacific/Apia",
        "0,1 0-23 30 12 *",
        "2011-12-29T12:00:00Z",
        &[
            "2011-12-31T00:00:00+14:00 the clocks are put forward over 2011-12-30 00:00:00, 2011-12-30 00:01:00, 2011-12-30 01:00:00 and 45 more",
        ],
    );
    fires(
        "Pacific/Kwajalein",
        "30 9 * * *",
        "1993-08-20T00:00:00Z",
        &[
            "1993-08-20T09:30:00-12:00",
            "1993-08-22T00:00:00+12:00 the clocks are put forward over 1993-08-21 09:30:00",
            "1993-08-22T09:30:00+12:00",
        ],
    );
}

#[test]
fn summer_may_be_the_standard_and_shifts_may_be_odd() {
    fires(
        "Europe/Dublin",
        "30 1 * * *",
        "2027-03-27T12:00:00Z",
        &[
            "2027-03-28T02:00:00+01:00 the clocks are put forward over 2027-03-28 01:30:00",
            "2027-03-29T01:30:00+01:00",
        ],
    );
    fires(
        "Europe/Dublin",
        "30 1 * * *",
        "2027-10-30T12:00:00Z",
        &[
            "2027-10-31T01:30:00+01:00 the first of two times that it is 2027-10-31 01:30:00",
            "2027-11-01T01:30:00+00:00",
        ],
    );
    fires(
        "Africa/Casablanca",
        "30 2 * * *",
        "2026-02-14T12:00:00Z",
        &[
            "2026-02-15T02:30:00+01:00 the first of two times that it is 2026-02-15 02:30:00",
            "2026-02-16T02:30:00+00:00",
        ],
    );
    fires(
        "Africa/Casablanca",
        "30 2 * * *",
        "2026-03-21T12:00:00Z",
        &[
            "2026-03-22T03:00:00+01:00 the clocks are put forward over 2026-03-22 02:30:00",
            "2026-03-23T02:30:00+01:00",
        ],
    );
    fires(
        "Antarctica/Troll",
        "0 1-3 * * *",
        "2027-03-28T00:30:00Z",
        &[
            "2027-03-28T03:00:00+02:00 the clocks are put forward over 2027-03-28 01:00:00, 2027-03-28 02:00:00",
            "2027-03-29T01:00:00+02:00",
            "2027-03-29T02:00:00+02:00",
        ],
    );
    fires(
        "Antarctica/Troll",
        "30 * * * *",
        "2027-10-31T00:00:00Z",
        &[
            "2027-10-31T02:30:00+02:00",
            "2027-10-31T01:30:00+00:00 the clocks were put back: the second time",
            "2027-10-31T02:30:00+00:00 the clocks were put back: the second time",
            "2027-10-31T03:30:00+00:00",
        ],
    );
    fires(
        "Africa/Monrovia",
        "15 0 7 1 *",
        "1972-01-06T00:00:00Z",
        &[
            "1972-01-07T00:44:30+00:00 the clocks are put forward over 1972-01-07 00:15:00",
            "1973-01-07T00:15:00+00:00",
        ],
    );
    fires(
        "America/Caracas",
        "45 2 * * *",
        "2016-04-30T00:00:00Z",
        &[
            "2016-04-30T02:45:00-04:30",
            "2016-05-01T03:00:00-04:00 the clocks are put forward over 2016-05-01 02:45:00",
        ],
    );
    fires(
        "Asia/Pyongyang",
        "45 23 * * *",
        "2018-05-04T00:00:00Z",
        &[
            "2018-05-05T00:00:00+09:00 the clocks are put forward over 2018-05-04 23:45:00",
            "2018-05-05T23:45:00+09:00",
        ],
    );
    fires(
        "Africa/Monrovia",
        "0 12 * * *",
        "1971-12-31T00:00:00Z",
        &["1971-12-31T12:00:00-00:45"],
    );
}
