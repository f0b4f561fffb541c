//! Compares what ran with what was to run. As in Jepsen's test of Chronos, each
//! expected instant is an interval in which its own run must lie, and there may
//! be no other run; besides, each run must say which instant it stands for.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use std::cmp::Reverse;

use chrono::{DateTime, TimeDelta, Utc};
use jobcell_model::{Execution, RunState};

use super::kinds::CatchUp;

/// How late anything may start that nobody kept from it.
const BOUND: TimeDelta = TimeDelta::seconds(1);
/// Up to so late a firing is on time, whatever its job asks.
const ON_TIME: TimeDelta = TimeDelta::seconds(60);

/// What a job's runs are held against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// How late each may be by its job's jitter.
    pub(crate) jitter: TimeDelta,
    /// What is made up for.
    pub(crate) catch_up: CatchUp,
    /// How a run may have ended.
    pub(crate) ends: &'static [RunState],
}

/// Spans in which no server looked at the clock.
pub(crate) type Outages = Vec<(DateTime<Utc>, DateTime<Utc>)>;

/// When the run of each instant started.
type Starts = BTreeMap<DateTime<Utc>, DateTime<Utc>>;

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
pub(crate) fn check(
    rules: Rules,
    expected: &[DateTime<Utc>],
    outages: &Outages,
    runs: &[Execution],
) -> Result<(), String> {
    let fates = fates(rules, expected, outages);
    let (ran, told) = sort(rules, runs)?;
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
fn sort(rules: Rules, runs: &[Execution]) -> Result<(Starts, usize), String> {
    let (mut ran, mut told) = (Starts::new(), 0);
    for run in runs {
        let at = run.scheduled_time.ok_or("a run without an instant")?;
        match run.status {
            ended if rules.ends.contains(&ended) => {
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
fn solve(fates: &BTreeMap<DateTime<Utc>, Fate>, ran: &Starts) -> Result<(), String> {
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
    rules: Rules,
    expected: &[DateTime<Utc>],
    outages: &Outages,
) -> BTreeMap<DateTime<Utc>, Fate> {
    let mut fates = BTreeMap::new();
    let mut left = expected.iter().copied().peekable();
    while let Some(at) = left.next() {
        let latest = at + rules.jitter + BOUND;
        let outage = outages
            .iter()
            .find(|(from, until)| *from < latest && at <= *until);
        let Some((_, back)) = outage else {
            fates.insert(at, Fate::Runs(latest));
            continue;
        };
        if !rules.jitter.is_zero() {
            fates.insert(at, Fate::Either(latest.max(*back + BOUND)));
            continue;
        }
        let mut lost = vec![at];
        while let Some(next) = left.next_if(|next| next <= back) {
            lost.push(next);
        }
        decide(rules.catch_up, &lost, *back, &mut fates);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::sample_run;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn ran(instant: i64, started: DateTime<Utc>) -> Execution {
        Execution {
            scheduled_time: Some(at(instant)),
            start_time: started,
            ..sample_run()
        }
    }

    fn told(instant: i64, count: usize) -> Execution {
        Execution {
            status: RunState::Skipped,
            error_message: Some(format!("{count} firings were missed")),
            ..ran(instant, at(instant))
        }
    }

    fn fault(catch_up: CatchUp, runs: &[Execution]) -> Option<String> {
        let rules = Rules {
            jitter: TimeDelta::zero(),
            catch_up,
            ends: &[RunState::Success],
        };
        // Five instants, the server away during the third and the fourth.
        let expected: Vec<_> = [0, 10, 20, 30, 40].map(at).into();
        let outages = vec![(at(15), at(35))];
        check(rules, &expected, &outages, runs).err()
    }

    #[test]
    fn finds_no_fault_with_what_is_right() {
        let latest = CatchUp::Latest(TimeDelta::hours(1));
        let right = [
            ran(0, at(0)),
            ran(10, at(10)),
            told(20, 1),
            ran(30, at(35)),
            ran(40, at(40)),
        ];
        assert_eq!(fault(latest, &right), None);
        let all = CatchUp::All(TimeDelta::hours(1));
        let made_up = [
            ran(0, at(0)),
            ran(10, at(10)),
            ran(20, at(35)),
            ran(30, at(35)),
            ran(40, at(40)),
        ];
        assert_eq!(fault(all, &made_up), None);
        assert!(fault(latest, &made_up).unwrap().contains("was over"));
        assert!(fault(all, &right).unwrap().contains("did not run"));
    }

    #[test]
    fn finds_what_is_missing_doubled_late_early_or_uncalled_for() {
        let latest = CatchUp::Latest(TimeDelta::hours(1));
        let right = || {
            vec![
                ran(0, at(0)),
                ran(10, at(10)),
                told(20, 1),
                ran(30, at(35)),
                ran(40, at(40)),
            ]
        };
        let with = |change: &dyn Fn(&mut Vec<Execution>)| {
            let mut runs = right();
            change(&mut runs);
            fault(latest, &runs).unwrap()
        };
        assert!(with(&|runs| drop(runs.remove(1))).contains("did not run"));
        assert!(with(&|runs| runs.push(ran(10, at(10)))).contains("twice"));
        assert!(with(&|runs| runs[1] = ran(10, at(11))).contains("had to by"));
        assert!(with(&|runs| runs[1] = ran(10, at(9))).contains("had to by"));
        assert!(with(&|runs| runs.push(ran(11, at(11)))).contains("no instant"));
        assert!(with(&|runs| drop(runs.remove(2))).contains("told as missed"));
        let unended = |runs: &mut Vec<Execution>| runs[4].status = RunState::Running;
        assert!(with(&unended).contains("is running"));
    }
}
