//! The process ends at every point at which something is written, before it and
//! after it, and another one takes over: no firing is lost and none runs twice,
//! what failed is tried again, what follows follows once, and nothing is left
//! running.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jobcell_engine::{Engine, EngineConfig, JobTypes, ManualClock, NewJob};
use jobcell_model::RunState::{Failed, Interrupted, Success};
use jobcell_model::{Execution, JobRef};
use jobcell_store::Store;

use crate::simulation::checker::{self, Outages, Rules};
use crate::simulation::job_types;
use crate::simulation::kinds::CatchUp;
use crate::simulation::random::Random;
use crate::support::{PATIENCE, noon, runs};
use crate::test_store::TestStore;

/// Jobs that fire every minute or follow, in every way in which runs are written.
const JOBS: [(&str, &str); 7] = [
    ("plain", "concurrency: {policy: allow}\n"),
    (
        "queued",
        "concurrency: {policy: queue, queue: {max: 1000, maxAge: 7d}}\n",
    ),
    (
        "keyed",
        "concurrency: {key: k, policy: queue, queue: {max: 1000, maxAge: 7d}}\n",
    ),
    (
        "keyed-too",
        "concurrency: {key: k, policy: queue, queue: {max: 1000, maxAge: 7d}}\n",
    ),
    (
        "failing",
        "concurrency: {policy: allow}\nretryPolicy: {maxRetries: 2, retryDelay: 20}\n",
    ),
    (
        "follower",
        "after: [{job: plain, on: always}]\nconcurrency: {policy: allow}\n",
    ),
    (
        "last",
        "after: [{job: failing, on: failure}]\nconcurrency: {policy: allow}\n",
    ),
];
const SCHEDULED: usize = 5;
const EVERY_MINUTE: &str = "schedule: {type: cron, expression: \"* * * * *\"}\n\
    catchUp: {policy: all, window: 7d, max: 1000}\n";
const STEP: i64 = 10;

struct Crashing {
    _folder: tempfile::TempDir,
    store: Arc<TestStore>,
    types: JobTypes,
    clock: Arc<ManualClock>,
    now: DateTime<Utc>,
    engine: Option<Engine>,
    outages: Outages,
}

impl Crashing {
    async fn begin(types: &JobTypes) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut this = Self {
            store: TestStore::new(folder.path()),
            _folder: folder,
            types: types.clone(),
            clock: Arc::new(ManualClock::at(noon())),
            now: noon(),
            engine: None,
            outages: Outages::new(),
        };
        assert!(this.start().await);
        for (number, (key, keys)) in JOBS.iter().enumerate() {
            let deed = if *key == "failing" { "fail" } else { "nothing" };
            let schedule = if number < SCHEDULED { EVERY_MINUTE } else { "" };
            let yaml = format!("id: {key}\nname: Job\ntype: Hostile\ndo: {deed}\n{schedule}{keys}");
            let new = NewJob {
                yaml,
                ..NewJob::default()
            };
            this.engine.as_ref().unwrap().create_job(new).await.unwrap();
        }
        this
    }

    /// A process starts, and says whether it lived to do so.
    async fn start(&mut self) -> bool {
        self.clock = Arc::new(ManualClock::at(self.now));
        let clock = self.clock.clone();
        let config = EngineConfig::new(self.store.clone(), clock, self.types.clone());
        self.engine = Engine::start(config).await.ok();
        self.engine.is_some() && !self.store.is_dead()
    }

    /// Lets some seconds pass, to a full ten of them.
    async fn step(&mut self) {
        let over = self.now.timestamp() % STEP;
        self.advance(TimeDelta::seconds(STEP - over)).await;
    }

    /// Goes on until all has run that is due, or the process ends.
    async fn advance(&mut self, by: TimeDelta) {
        self.now += by;
        self.clock.set(self.now);
        let settled = async {
            while self.is_busy().await {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(PATIENCE, settled).await.is_err() {
            let engine = self.engine.as_ref().unwrap();
            panic!(
                "{} run and {} wait at {}; in the store: due {:?}, pending {:?}, open {:?}",
                engine.running(),
                engine.waiting(),
                self.now,
                self.store.next_due().await,
                self.store.pending_executions().await,
                self.store.open_executions().await,
            );
        }
    }

    async fn is_busy(&self) -> bool {
        let engine = self.engine.as_ref().unwrap();
        let ask = async || {
            let due = self.store.next_due().await?;
            let pending = self.store.pending_executions().await?;
            let ready = |run: &Execution| run.not_before.is_none_or(|at| at <= self.now);
            Ok::<_, jobcell_store::StorageError>(
                due.is_some_and(|due| due <= self.now)
                    || pending.iter().any(ready)
                    || !self.store.open_executions().await?.is_empty(),
            )
        };
        // A process that has ended has nothing more to do.
        engine.running() > 0 || ask().await.unwrap_or(false)
    }

    /// Ends the process, if it has not, and starts others until one lives.
    async fn take_over(&mut self, after: TimeDelta, random: &mut Random) {
        let ended = self.now;
        loop {
            if let Some(engine) = self.engine.take() {
                engine.drain(Duration::ZERO).await;
            }
            self.store.revive().await;
            self.now = ended + after;
            // Some end while they start.
            if random.one_in(4) {
                self.store.dies_after(random.below(12).into());
            }
            if self.start().await {
                self.advance(TimeDelta::zero()).await;
            }
            if !self.store.is_dead() {
                break;
            }
        }
        self.outages.push((ended, self.now));
    }

    /// Lets all end that goes on, and finds fault with it.
    async fn check(mut self, about: &str) {
        if self.store.is_dead() {
            self.take_over(TimeDelta::seconds(1), &mut Random(0)).await;
        }
        self.store.revive().await;
        for _ in 0..12 {
            self.step().await;
        }
        assert_eq!(self.store.verify(), [""; 0], "{about}");
        let expected: Vec<_> = (1..)
            .map(|minute| noon() + TimeDelta::minutes(minute))
            .take_while(|at| *at <= self.now)
            .collect();
        for (key, _) in &JOBS[..SCHEDULED] {
            let all = runs(&self.store, &JobRef::parse(key)).await;
            let (retries, first): (Vec<_>, Vec<_>) = all.into_iter().partition(|run| run.is_retry);
            let rules = Rules {
                jitter: TimeDelta::zero(),
                catch_up: CatchUp::All(TimeDelta::days(7)),
                ends: &[Success, Failed, Interrupted],
            };
            let fault = checker::check(rules, &expected, &self.outages, &first).err();
            assert_eq!(fault, None, "{key}, {about}");
            tried_again(&first, &retries, about);
        }
        let plain = runs(&self.store, &JobRef::parse("plain")).await;
        follow_once(
            &plain,
            &runs(&self.store, &JobRef::parse("follower")).await,
            about,
        );
        let failing = runs(&self.store, &JobRef::parse("failing")).await;
        let given_up: Vec<_> = failing
            .into_iter()
            .filter(|run| run.status.is_final())
            .filter(|run| run.status == Interrupted || run.retry_count == 2)
            .collect();
        follow_once(
            &given_up,
            &runs(&self.store, &JobRef::parse("last")).await,
            about,
        );
    }
}

/// Each run that failed was tried again, once, unless it was the last.
fn tried_again(first: &[Execution], retries: &[Execution], about: &str) {
    let all: Vec<_> = first.iter().chain(retries).collect();
    let mut wanted = BTreeSet::new();
    for run in &all {
        if run.status == Failed && run.retry_count < 2 {
            let parent = run.parent_execution_id.unwrap_or(run.execution_id);
            wanted.insert((parent, run.retry_count + 1));
        }
    }
    let found: Vec<_> = retries
        .iter()
        .map(|run| (run.parent_execution_id.unwrap(), run.retry_count))
        .collect();
    assert_eq!(found.len(), wanted.len(), "{about}");
    assert_eq!(
        found.into_iter().collect::<BTreeSet<_>>(),
        wanted,
        "{about}"
    );
}

/// Each of these runs was followed, once, and nothing else was.
fn follow_once(ended: &[Execution], followers: &[Execution], about: &str) {
    let ended: BTreeSet<_> = ended.iter().map(|run| Some(run.execution_id)).collect();
    let followed: Vec<_> = followers.iter().map(|run| run.triggered_by).collect();
    assert_eq!(followed.len(), ended.len(), "{about}");
    assert_eq!(
        followed.into_iter().collect::<BTreeSet<_>>(),
        ended,
        "{about}"
    );
    assert!(followers.iter().all(|run| run.status.is_final()), "{about}");
}

#[tokio::test]
async fn the_process_ends_at_every_write_and_nothing_is_lost_or_done_twice() {
    let types = job_types();
    let mut random = Random(1);
    for half_writes in 0_i64.. {
        let mut world = Crashing::begin(&types).await;
        world.store.dies_after(half_writes);
        // Two firings of each job, with all that they bring about.
        for _ in 0..12 {
            world.step().await;
            if world.store.is_dead() {
                world.take_over(TimeDelta::seconds(100), &mut random).await;
            }
        }
        let done = world.outages.is_empty();
        world
            .check(&format!("after {half_writes} half writes"))
            .await;
        if done {
            assert!(half_writes > 60, "{half_writes}");
            return;
        }
    }
}

#[tokio::test]
async fn the_process_ends_hundreds_of_times_and_nothing_is_lost_or_done_twice() {
    let types = job_types();
    let (mut random, mut ends) = (Random(2), 0);
    for world_number in 0..12 {
        let mut world = Crashing::begin(&types).await;
        for _ in 0..25 {
            world.store.dies_after(random.below(160).into());
            while !world.store.is_dead() {
                world.step().await;
            }
            let gap = TimeDelta::seconds((1 + random.below(300)).into());
            world.take_over(gap, &mut random).await;
        }
        ends += world.outages.len();
        world.check(&format!("in world {world_number}")).await;
    }
    assert_eq!(ends, 300);
}
