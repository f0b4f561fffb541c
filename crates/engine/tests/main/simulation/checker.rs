//! Compares what ran with what was to run. As in Jepsen's test of Chronos, each
//! expected instant is an interval in which its own run must lie, and there may
//! be no other run; besides, each run must say which instant it stands for.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use std::cmp::Reverse;

use chrono::{DateTime, TimeDelta, Utc};
use jobcell_model::{Execution, RunState};

use super::kinds::{CatchUp, Kind};

/// How late anything may start that nobody kept from it.
const BOUND: TimeDelta = TimeDelta::seconds(1);
/// Up to so late a firing is on time, whatever its job asks.
const ON_TIME: TimeDelta = TimeDelta::seconds(60);

/// Spans in which no server looked at the clock.
pub(super) type Outages = Vec<(DateTime<Utc>, DateTime<Utc>)>;

/// What is to become of one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It runs, by then.
    Runs(DateTime<Utc>),
    /// It does not.
    Missed,
    /// Its jitter decides.
    Either(DateTime<Utc>),
}

/// Finds fault with the runs of one job.
pub(super) fn check(
    kind: &Kind,
    expected: &[DateTime<Utc>],
    outages: &Outages,
    runs: &[Execution],
) -> Result<(), String> {
    let fates = fates(kind, expected, outages);
    let (ran, told) = sort(runs)?;
    let instants: BTreeSet<DateTime<Utc>> = ran.keys().copied().collect();
    for (at, fate) in &fates {
        match (fate, ran.get(at)) {
            (Fate::Runs(until) | Fate::Either(until), Some(started)) => {
                if started < at || started > until {
                    return Err(format!("{at} ran at {started}, and had to by {until}"));
                }
            }
            (Fate::Runs(_), None) => return Err(format!("{at} did not run")),
            (Fate::Missed, Some(started)) => {
                return Err(format!("{at} ran at {started}, and was over by then"));
            }
            (Fate::Missed | Fate::Either(_), None) => {}
        }
    }
    if let Some(other) = instants.iter().find(|at| !fates.contains_key(at)) {
        return Err(format!("{other} ran, and is no instant of the job"));
    }
    if ran.len() + told != expected.len() {
        return Err(format!(
            "of {} instants {} ran and {told} are told as missed",
            expected.len(),
            ran.len()
        ));
    }
    solve(&fates, &ran)
}

/// Runs by their instants, and how many firings the other rows tell of.
fn sort(runs: &[Execution]) -> Result<(BTreeMap<DateTime<Utc>, DateTime<Utc>>, usize), String> {
    let (mut ran, mut told) = (BTreeMap::new(), 0);
    for run in runs {
        let at = run.scheduled_time.ok_or("a run without an instant")?;
        match run.status {
            RunState::Success => {
                if ran.insert(at, run.start_time).is_some() {
                    return Err(format!("{at} ran twice"));
                }
            }
            RunState::Skipped => {
                let message = run.error_message.as_deref().unwrap_or_default();
                let count = message
                    .split(' ')
                    .next()
                    .and_then(|count| count.parse::<usize>().ok());
                told += count.ok_or_else(|| format!("{at} was skipped: {message}"))?;
            }
            other => return Err(format!("{at} is {}", other.as_str())),
        }
    }
    Ok((ran, told))
}

/// Gives each interval its own run, whatever the runs say of themselves: the
/// earliest run goes to the interval that closes first among the open ones.
fn solve(
    fates: &BTreeMap<DateTime<Utc>, Fate>,
    ran: &BTreeMap<DateTime<Utc>, DateTime<Utc>>,
) -> Result<(), String> {
    let mut starts: Vec<DateTime<Utc>> = ran.values().copied().collect();
    starts.sort_unstable();
    let mut intervals = fates
        .iter()
        .filter_map(|(at, fate)| match fate {
            Fate::Runs(until) => Some((*at, *until)),
            Fate::Either(until) => ran.contains_key(at).then_some((*at, *until)),
            Fate::Missed => None,
        })
        .peekable();
    let mut open = BinaryHeap::new();
    for start in starts {
        while let Some((_, until)) = intervals.next_if(|(at, _)| *at <= start) {
            open.push(Reverse(until));
        }
        match open.pop() {
            Some(Reverse(until)) if until >= start => {}
            found => {
                return Err(format!(
                    "no interval is left for the run at {start}: {found:?}"
                ));
            }
        }
    }
    if let Some(left) = open
        .pop()
        .map(|Reverse(until)| until)
        .or(intervals.next().map(|(at, _)| at))
    {
        return Err(format!("no run is left for the interval up to {left}"));
    }
    Ok(())
}

fn fates(
    kind: &Kind,
    expected: &[DateTime<Utc>],
    outages: &Outages,
) -> BTreeMap<DateTime<Utc>, Fate> {
    let mut fates = BTreeMap::new();
    let mut left = expected.iter().copied().peekable();
    while let Some(at) = left.next() {
        let latest = at + kind.jitter + BOUND;
        let outage = outages
            .iter()
            .find(|(from, until)| *from < latest && at <= *until);
        let Some((_, back)) = outage else {
            fates.insert(at, Fate::Runs(latest));
            continue;
        };
        if !kind.jitter.is_zero() {
            fates.insert(at, Fate::Either(latest.max(*back + BOUND)));
            continue;
        }
        let mut lost = vec![at];
        while let Some(next) = left.next_if(|next| next <= back) {
            lost.push(next);
        }
        decide(kind.catch_up, &lost, *back, &mut fates);
    }
    fates
}

/// What becomes of the instants of one outage.
fn decide(
    policy: CatchUp,
    lost: &[DateTime<Utc>],
    back: DateTime<Utc>,
    fates: &mut BTreeMap<DateTime<Utc>, Fate>,
) {
    let (window, most) = match policy {
        CatchUp::None => (ON_TIME, 1),
        CatchUp::Latest(window) => (window, 1),
        CatchUp::All(window) => (window, 1000),
    };
    for (newer, at) in lost.iter().rev().enumerate() {
        let runs = newer < most && *at >= back - window;
        let fate = if runs {
            Fate::Runs(back + BOUND)
        } else {
            Fate::Missed
        };
        fates.insert(*at, fate);
    }
}
