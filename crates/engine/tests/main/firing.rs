//! Jobs fire when their schedules say, once for each instant.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use jobcell_engine::{Engine, JobChange, ManualClock};
use jobcell_model::{Execution, JobRef, RunState, Trigger};
use jobcell_store::Store;

use crate::support::{PATIENCE, at, create, create_named, engine_at, noon, runs, runs_when};
use crate::test_store::TestStore;

const HOURLY: &str = "schedule: {type: cron, expression: \"0 * * * *\"}\n";

struct Scene {
    _folder: tempfile::TempDir,
    store: Arc<TestStore>,
    clock: Arc<ManualClock>,
    engine: Engine,
}

impl Scene {
    async fn at_noon() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = TestStore::new(folder.path());
        let clock = Arc::new(ManualClock::at(noon()));
        let engine = engine_at(store.clone(), folder.path(), clock.clone()).await;
        Self {
            _folder: folder,
            store,
            clock,
            engine,
        }
    }

    /// Ends the engine, and starts another at this time.
    async fn restart_at(&mut self, time: &str) {
        self.engine.drain(Duration::ZERO).await;
        self.clock.set(at(time));
        let folder = self._folder.path();
        self.engine = engine_at(self.store.clone(), folder, self.clock.clone()).await;
    }
}

fn all_ended(count: usize) -> impl Fn(&[Execution]) -> bool {
    move |runs| runs.len() == count && runs.iter().all(|run| run.status.is_final())
}

fn scheduled(runs: &[Execution]) -> Vec<String> {
    runs.iter()
        .map(|run| run.scheduled_time.unwrap().format("%H:%M:%S").to_string())
        .collect()
}

#[tokio::test]
async fn fires_at_its_time_and_says_when_it_does_next() {
    let scene = Scene::at_noon().await;
    let job = create(&scene.engine, "SELECT 1", HOURLY).await;
    let stored = scene.store.job(&job).await.unwrap().unwrap();
    assert_eq!(stored.next_scheduled_time, Some(at("13:00:00")));
    scene.clock.set(at("13:00:00"));
    let ran = runs_when(&scene.store, &job, all_ended(1)).await;
    assert_eq!(ran[0].status, RunState::Success);
    assert_eq!(ran[0].trigger, Trigger::Scheduled);
    assert_eq!(ran[0].executed_by, "scheduler");
    assert_eq!(ran[0].scheduled_time, Some(at("13:00:00")));
    let stored = scene.store.job(&job).await.unwrap().unwrap();
    assert_eq!(stored.next_scheduled_time, Some(at("14:00:00")));
    let firing = scene.store.firing(ran[0].job_id, at("13:00:00")).await;
    assert_eq!(firing.unwrap(), Some(ran[0].execution_id));
}

#[tokio::test]
async fn a_clock_that_is_set_back_fires_nothing_twice() {
    let scene = Scene::at_noon().await;
    let job = create(&scene.engine, "SELECT 1", HOURLY).await;
    scene.clock.set(at("13:00:10"));
    runs_when(&scene.store, &job, all_ended(1)).await;
    scene.clock.set(at("12:30:00"));
    scene.clock.set(at("13:00:20"));
    scene.clock.set(at("14:00:00"));
    let ran = runs_when(&scene.store, &job, all_ended(2)).await;
    assert_eq!(scheduled(&ran), ["13:00:00", "14:00:00"]);
}

#[tokio::test]
async fn what_was_missed_is_made_up_for_once_and_the_rest_accounted_for() {
    let mut scene = Scene::at_noon().await;
    let job = create(&scene.engine, "SELECT 1", HOURLY).await;
    scene.restart_at("17:30:00").await;
    let ran = runs_when(&scene.store, &job, all_ended(2)).await;
    assert_eq!(ran[0].status, RunState::Skipped);
    assert_eq!(ran[0].error_code.as_deref(), Some("missed"));
    let said = ran[0].error_message.as_deref().unwrap();
    assert!(
        said.starts_with("4 firings from 2026-11-25T13:00:00"),
        "{said}"
    );
    assert_eq!(ran[1].status, RunState::Success);
    assert_eq!(ran[1].scheduled_time, Some(at("17:00:00")));
    // What was skipped counts for nothing.
    let stored = scene.store.job(&job).await.unwrap().unwrap();
    assert_eq!(stored.statistics.total_executions, 1);
    assert_eq!(stored.next_scheduled_time, Some(at("18:00:00")));
}

#[tokio::test]
async fn all_that_was_missed_is_made_up_for_where_the_job_asks() {
    let mut scene = Scene::at_noon().await;
    let keys = format!(
        "{HOURLY}catchUp: {{policy: all, window: 6h, max: 3}}\nconcurrency: {{policy: allow}}\n"
    );
    let job = create(&scene.engine, "SELECT 1", &keys).await;
    scene.restart_at("17:30:00").await;
    let ran = runs_when(&scene.store, &job, all_ended(4)).await;
    let done: Vec<Execution> = ran
        .iter()
        .filter(|run| run.status == RunState::Success)
        .cloned()
        .collect();
    assert_eq!(scheduled(&done), ["15:00:00", "16:00:00", "17:00:00"]);
    assert_eq!(ran[0].error_code.as_deref(), Some("missed"));
}

#[tokio::test]
async fn nothing_is_made_up_for_where_the_job_asks_for_none() {
    let mut scene = Scene::at_noon().await;
    let keys = format!("{HOURLY}catchUp: {{policy: none}}\n");
    let job = create(&scene.engine, "SELECT 1", &keys).await;
    scene.restart_at("14:30:00").await;
    let ran = runs_when(&scene.store, &job, all_ended(1)).await;
    assert_eq!(ran[0].status, RunState::Skipped);
    scene.clock.set(at("15:00:00"));
    let ran = runs_when(&scene.store, &job, all_ended(2)).await;
    assert_eq!(ran[1].status, RunState::Success);
}

#[tokio::test]
async fn a_disabled_job_fires_no_more_and_an_enabled_one_again() {
    let scene = Scene::at_noon().await;
    let job = create(&scene.engine, "SELECT 1", HOURLY).await;
    let other = create_named(&scene.engine, "other", "SELECT 1", HOURLY).await;
    enable(&scene.engine, &job, false).await;
    let stored = scene.store.job(&job).await.unwrap().unwrap();
    assert_eq!(stored.next_scheduled_time, None);
    scene.clock.set(at("13:00:00"));
    runs_when(&scene.store, &other, all_ended(1)).await;
    assert!(runs(&scene.store, &job).await.is_empty());
    enable(&scene.engine, &job, true).await;
    scene.clock.set(at("14:00:00"));
    let ran = runs_when(&scene.store, &job, all_ended(1)).await;
    assert_eq!(scheduled(&ran), ["14:00:00"]);
}

async fn enable(engine: &Engine, job: &JobRef, enabled: bool) {
    let change = JobChange {
        enabled: Some(enabled),
        ..JobChange::default()
    };
    engine.change_job(job, change).await.unwrap();
}

#[tokio::test]
async fn many_jobs_due_at_once_fire_once_each() {
    let scene = Scene::at_noon().await;
    let mut jobs = Vec::new();
    for number in 0..300 {
        let key = format!("job-{number}");
        jobs.push(create_named(&scene.engine, &key, "SELECT 1", HOURLY).await);
    }
    scene.clock.set(at("13:00:00"));
    for job in &jobs {
        let ran = runs_when(&scene.store, job, all_ended(1)).await;
        assert_eq!(scheduled(&ran), ["13:00:00"]);
    }
    assert_eq!(scene.store.verify(), [""; 0]);
}

#[tokio::test]
async fn a_claim_that_fails_takes_no_other_firing_with_it() {
    let scene = Scene::at_noon().await;
    let mut jobs = Vec::new();
    for number in 0..20 {
        let key = format!("job-{number}");
        jobs.push(create_named(&scene.engine, &key, "SELECT 1", HOURLY).await);
    }
    scene.store.failing_claims.store(1, Ordering::SeqCst);
    scene.clock.set(at("13:00:00"));
    let refused = || scene.store.failing_claims.load(Ordering::SeqCst) == 0;
    // The one that failed is claimed when the store is asked again, which is a
    // second later on a clock that the planner reads when it likes.
    let every_one_ran = async {
        while !refused() {
            tokio::task::yield_now().await;
        }
        let mut now = at("13:00:00");
        for job in &jobs {
            while !all_ended(1)(&runs(&scene.store, job).await) {
                now += TimeDelta::milliseconds(100);
                scene.clock.set(now.min(at("13:30:00")));
                tokio::task::yield_now().await;
            }
            assert_eq!(scheduled(&runs(&scene.store, job).await), ["13:00:00"]);
        }
    };
    tokio::time::timeout(PATIENCE, every_one_ran).await.unwrap();
}
