//! Ten years of a thousand jobs of every kind, on a clock that is set: through
//! all changes of their zones' clocks, outages, suspensions, and clocks that are
//! put back. What ran is then compared with what was to run.

pub(crate) mod checker;
pub(crate) mod kinds;
pub(crate) mod random;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jobcell_engine::{Engine, EngineConfig, JobTypes, ManualClock, NewJob};
use jobcell_model::plan::Calendar;
use jobcell_model::{
    Execution, ExecutionId, JobId, OutputSummary, ProcessFacts, RunState, Trigger,
};
use jobcell_plugin_host::{HostConfig, PluginHost};
use jobcell_store::{RedbStore, Store};

use crate::support::PATIENCE;
use checker::Outages;
use kinds::Kind;
use random::Random;

/// What happens at some instant.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// The server ends, and starts again then.
    Down(DateTime<Utc>),
    /// The machine sleeps until then.
    Asleep(DateTime<Utc>),
    /// The clock is put back by so much.
    Back(TimeDelta),
}

struct World {
    store: Arc<RedbStore>,
    types: JobTypes,
    clock: Arc<ManualClock>,
    engine: Engine,
}

impl World {
    async fn begin(now: DateTime<Utc>) -> Self {
        let store = Arc::new(RedbStore::in_memory().unwrap());
        let types = job_types();
        let clock = Arc::new(ManualClock::at(now));
        let engine = start(&store, &types, &clock).await;
        Self {
            store,
            types,
            clock,
            engine,
        }
    }

    /// Goes on to the end, through these events.
    async fn run(&mut self, events: &BTreeMap<DateTime<Utc>, Event>, end: DateTime<Utc>) {
        let mut events = events.iter().peekable();
        loop {
            let due = self.store.next_due().await.unwrap();
            let due = due.unwrap_or(end);
            if let Some((at, event)) = events.next_if(|(at, _)| **at < due) {
                self.happens(*at, *event).await;
            } else if due >= end {
                self.clock.set(end);
                return self.settled(end).await;
            } else {
                self.clock.set(due);
                self.settled(due).await;
            }
        }
    }

    async fn happens(&mut self, at: DateTime<Utc>, event: Event) {
        match event {
            Event::Down(until) => {
                self.engine.drain(Duration::ZERO).await;
                self.clock = Arc::new(ManualClock::at(until));
                self.engine = start(&self.store, &self.types, &self.clock).await;
                self.settled(until).await;
            }
            Event::Asleep(until) => {
                self.clock.set(until);
                self.settled(until).await;
            }
            Event::Back(by) => {
                self.clock.set(at);
                self.settled(at).await;
                self.clock.set(at - by);
                self.settled(at - by).await;
            }
        }
    }

    async fn is_busy(&self, now: DateTime<Utc>) -> bool {
        // What is cheap to ask first; a run that is on no list yet is in the store.
        self.engine.running() + self.engine.waiting() > 0
            || self
                .store
                .next_due()
                .await
                .unwrap()
                .is_some_and(|due| due <= now)
            || !self.store.pending_executions().await.unwrap().is_empty()
            || !self.store.open_executions().await.unwrap().is_empty()
    }

    /// Waits until all that is due has run.
    async fn settled(&self, now: DateTime<Utc>) {
        let settled = async {
            while self.is_busy(now).await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, settled).await.unwrap();
    }

    async fn history(&self, job: JobId) -> Vec<Execution> {
        let (mut runs, mut after): (Vec<Execution>, Option<ExecutionId>) = (Vec::new(), None);
        loop {
            let page = self.store.history(job, after, 1000).await.unwrap();
            after = page.items.last().map(|run| run.execution_id);
            runs.extend(page.items);
            if !page.more {
                return runs;
            }
        }
    }
}

async fn start(store: &Arc<RedbStore>, types: &JobTypes, clock: &Arc<ManualClock>) -> Engine {
    let mut config = EngineConfig::new(store.clone(), clock.clone(), types.clone());
    let calendar = Calendar {
        dates: kinds::holidays(),
        windows: Vec::new(),
    };
    let calendars = &mut config.calendars;
    calendars.insert("holidays".to_owned(), Arc::new(calendar));
    Engine::start(config).await.unwrap()
}

/// One job type, whose runs do nothing or fail.
pub(crate) fn job_types() -> JobTypes {
    let config = HostConfig {
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("images")),
        ..HostConfig::default()
    };
    let host = PluginHost::new(config, Vec::new()).unwrap();
    let bundled = jobcell_bundle::hostile();
    JobTypes::new([host.load(bundled.name, bundled.component).unwrap()]).unwrap()
}

/// A run that did what it was for.
#[cfg(test)]
pub(crate) fn sample_run() -> Execution {
    Execution {
        execution_id: ExecutionId::generate(),
        job_id: JobId::generate(),
        job_key: "job".to_owned(),
        job_name: "Job".to_owned(),
        job_type: "Hostile".to_owned(),
        job_revision: 1,
        status: RunState::Success,
        trigger: Trigger::Scheduled,
        scheduled_time: None,
        start_time: DateTime::UNIX_EPOCH,
        end_time: None,
        duration_seconds: None,
        error_message: None,
        error_code: None,
        return_code: None,
        step_results: Vec::new(),
        executed_by: "scheduler".to_owned(),
        execution_timezone: "UTC".to_owned(),
        server_info: String::new(),
        plugin: String::new(),
        memory_usage_mb: None,
        cpu_time_seconds: None,
        retry_count: 0,
        max_retries: 0,
        is_retry: false,
        parent_execution_id: None,
        not_before: None,
        blocked_by: None,
        triggered_by: None,
        concurrency_key: None,
        parameters: Vec::new(),
        output: OutputSummary::default(),
        processes: ProcessFacts::default(),
    }
}

/// Outages of minutes to days, none of which overlap, and clocks put back.
fn events(
    random: &mut Random,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
) -> (BTreeMap<DateTime<Utc>, Event>, Outages) {
    let (mut events, mut outages) = (BTreeMap::new(), Outages::new());
    let mut at = start;
    loop {
        at += TimeDelta::minutes((1 + random.below(120 * 24 * 60)).into());
        let until = at + TimeDelta::minutes((5 + random.below(4 * 24 * 60)).into());
        if until >= end {
            return (events, outages);
        }
        match random.below(3) {
            0 => {
                let back = TimeDelta::minutes((1 + random.below(120)).into());
                events.insert(at, Event::Back(back));
                continue;
            }
            1 => events.insert(at, Event::Asleep(until)),
            _ => events.insert(at, Event::Down(until)),
        };
        outages.push((at, until));
        at = until;
    }
}

#[tokio::test]
async fn ten_years_of_a_thousand_jobs_fire_as_their_schedules_say() {
    let start: DateTime<Utc> = "2026-11-25T12:00:00Z".parse().unwrap();
    let end: DateTime<Utc> = "2036-11-25T12:13:00Z".parse().unwrap();
    let mut random = Random(20_261_125);
    let (events, outages) = events(&mut random, start, end);
    let mut world = World::begin(start).await;
    let mut jobs = Vec::new();
    for number in 0..1000 {
        let kind = Kind::random(&mut random, start, end);
        let yaml = kind.yaml(&format!("job-{number}"));
        let new = NewJob {
            yaml: yaml.clone(),
            ..NewJob::default()
        };
        let stored = world.engine.create_job(new).await;
        let stored = stored.unwrap_or_else(|error| panic!("{error:?}\n{yaml}"));
        jobs.push((stored.record.job_id, kind, yaml));
    }
    world.run(&events, end).await;
    assert_eq!(world.store.verify().unwrap(), [""; 0]);
    let mut count = 0;
    for (job, kind, yaml) in &jobs {
        let runs = world.history(*job).await;
        let expected = kind.expected(start, end);
        count += expected.len();
        if let Err(fault) = checker::check(kind.rules(), &expected, &outages, &runs) {
            panic!("{fault}\n{yaml}");
        }
    }
    assert!(count > 40_000, "{count}");
}
