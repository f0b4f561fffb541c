//! The planner beside an oracle that walks every minute, for random
//! expressions in all zones, around changes of their clocks.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use jobcell_model::cron::{self, CronError};
use jobcell_model::plan::Reason;
use proptest::prelude::*;

use crate::random::Random;
use crate::support::cron_plan;

const DAYS: i64 = 5;
/// What is walked before and after, so that every gap and fold is whole.
const MARGIN: i64 = 2 * 1440;

/// Each minute of a span, with its local time.
fn minutes(zone: Tz, start: DateTime<Utc>) -> Vec<(NaiveDateTime, DateTime<Utc>)> {
    let minutes = -MARGIN..DAYS * 1440 + MARGIN;
    let minutes = minutes.map(|minute| start + TimeDelta::minutes(minute));
    minutes
        .map(|at| (at.with_timezone(&zone).naive_local(), at))
        .collect()
}

fn is_match(cron: &Cron, local: NaiveDateTime) -> bool {
    cron.is_time_matching(&local.and_utc()).unwrap()
}

/// All instants whose local time matches.
fn elapsed(cron: &Cron, minutes: &[(NaiveDateTime, DateTime<Utc>)]) -> BTreeSet<DateTime<Utc>> {
    let matching = minutes.iter().filter(|(local, _)| is_match(cron, *local));
    matching.map(|(_, at)| *at).collect()
}

/// For all local times that match the first instant that has it, or else the
/// first after which it would have come.
fn fixed(cron: &Cron, minutes: &[(NaiveDateTime, DateTime<Utc>)]) -> BTreeSet<DateTime<Utc>> {
    let mut first = BTreeMap::new();
    for (local, at) in minutes {
        first.entry(*local).or_insert(*at);
    }
    for two in minutes.windows(2) {
        let mut missing = two[0].0 + TimeDelta::minutes(1);
        while missing < two[1].0 {
            first.entry(missing).or_insert(two[1].1);
            missing += TimeDelta::minutes(1);
        }
    }
    let matching = first.iter().filter(|(local, _)| is_match(cron, **local));
    matching.map(|(_, at)| *at).collect()
}

fn agree(seed: u64) {
    let mut random = Random(seed);
    let (expression, zone) = (random.expression(), random.zone());
    // Before 1972 some clocks changed at seconds, which no minute shows.
    let start = random.start(zone, (1973, 2037));
    let end = start + TimeDelta::days(DAYS);
    let cron = match cron::parse(&expression) {
        Ok(cron) => cron,
        Err(CronError::Never { .. }) => return,
        Err(error) => panic!("{error}"),
    };
    let minutes = minutes(zone, start);
    let wild = |field: &str| field.starts_with('*');
    let expected = if expression.split(' ').take(2).any(wild) {
        elapsed(&cron, &minutes)
    } else {
        fixed(&cron, &minutes)
    };
    let expected: Vec<_> = expected
        .range(start + TimeDelta::nanoseconds(1)..=end)
        .collect();
    let plan = cron_plan(&expression, zone);
    let found: Vec<_> = plan
        .between(start, end)
        .map(|firing| firing.nominal)
        .collect();
    let about = format!("{expression} in {zone} after {start}");
    assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{about}");
    // One at a time, from just before and from any moment between.
    let mut after = start;
    for at in &found {
        let between = after + (*at - after) / 2;
        for after in [after, between, *at - TimeDelta::nanoseconds(1)] {
            assert_eq!(plan.next_after(after).unwrap().nominal, *at, "{about}");
        }
        after = *at;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_minute_is_as_the_rule_says(seed: u64) {
        agree(seed);
    }

    #[test]
    fn what_is_next_comes_later_from_any_instant(seed: u64, seconds in -5_000_000_000_i64..20_000_000_000) {
        let mut random = Random(seed);
        let (expression, zone) = (random.expression(), random.zone());
        prop_assume!(cron::parse(&expression).is_ok());
        let plan = cron_plan(&expression, zone);
        let mut after = DateTime::from_timestamp(seconds, 0).unwrap();
        for _ in 0..20 {
            let Some(firing) = plan.next_after(after) else { break };
            prop_assert!(firing.nominal > after, "{expression} in {zone}: {firing:?} after {after}");
            after = firing.nominal;
        }
    }

    #[test]
    fn a_fixed_local_time_is_kept_once(seed: u64) {
        let mut random = Random(seed);
        let (mut expression, zone) = (random.expression(), random.zone());
        while expression.split(' ').take(2).any(|field| field.starts_with('*'))
            || cron::parse(&expression).is_err()
        {
            expression = random.expression();
        }
        let plan = cron_plan(&expression, zone);
        let mut seen = BTreeSet::new();
        for firing in plan.after(random.start(zone, (1973, 2090))).take(300) {
            prop_assert!(seen.insert(firing.local().naive_local()), "{expression} in {zone}: {firing:?}");
            prop_assert!(!firing.reasons.contains(&Reason::SecondPass));
        }
    }
}
