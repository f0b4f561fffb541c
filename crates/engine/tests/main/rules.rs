//! Calendars, and what becomes of schedules whose rules change between two
//! starts of a server.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use jobcell_engine::{EngineConfig, ForeignText};
use jobcell_model::RunState::{Skipped, Success};
use jobcell_model::plan::Calendar;
use jobcell_model::{JobId, JobRef};
use jobcell_store::{Fed, Store};

use crate::scene::Scene;
use crate::support::{at, runs, runs_when};

const DAILY: &str = "schedule: {type: cron, expression: \"0 6 * * *\", exclude: [holidays]}\n";

fn day(date: &str) -> DateTime<Utc> {
    format!("{date}T06:00:00Z").parse().unwrap()
}

/// Nothing fires on these days.
fn holidays(dates: &'static [&'static str]) -> impl Fn(&mut EngineConfig) {
    move |config| {
        let calendar = Calendar {
            dates: dates.iter().map(|date| date.parse().unwrap()).collect(),
            windows: Vec::new(),
        };
        let calendars = &mut config.calendars;
        calendars.insert("holidays".to_owned(), Arc::new(calendar));
    }
}

/// When the next firing is, once it is as wanted.
async fn becomes(scene: &Scene, job: &JobRef, wanted: DateTime<Utc>) {
    let waiting = async {
        while scene.next(job).await != Some(wanted) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(crate::support::PATIENCE, waiting).await;
    assert!(waited.is_ok(), "it is {:?}", scene.next(job).await);
}

#[tokio::test]
async fn nothing_fires_on_the_days_of_its_calendar() {
    let scene = Scene::with(holidays(&["2026-11-26", "2026-11-27"])).await;
    let job = scene.job("job", DAILY).await;
    assert_eq!(scene.next(&job).await, Some(day("2026-11-28")));
    scene.clock.set(day("2026-11-28"));
    let runs = scene.when(&job, &[Success]).await;
    assert_eq!(runs[0].scheduled_time, Some(day("2026-11-28")));
}

#[tokio::test]
async fn schedules_follow_a_calendar_that_changed() {
    let scene = Scene::with(holidays(&["2026-11-26"])).await;
    let job = scene.job("job", DAILY).await;
    assert_eq!(scene.next(&job).await, Some(day("2026-11-27")));
    let scene = scene
        .restart(at("13:00:00"), holidays(&["2026-11-27"]))
        .await;
    becomes(&scene, &job, day("2026-11-26")).await;
    // A calendar without that day, but none of what it kept from firing before.
    let later = day("2026-11-26") + chrono::TimeDelta::minutes(5);
    let scene = scene.restart(later, holidays(&["2026-11-27"])).await;
    scene.when(&job, &[Success]).await;
    becomes(&scene, &job, day("2026-11-28")).await;
    let lifted = day("2026-11-27") + chrono::TimeDelta::minutes(5);
    let scene = scene.restart(lifted, holidays(&["2026-11-01"])).await;
    becomes(&scene, &job, day("2026-11-28")).await;
    assert_eq!(runs(&scene.store, &job).await.len(), 1);
}

#[tokio::test]
async fn a_job_without_its_calendar_says_so_and_fires_again_when_that_is_back() {
    let scene = Scene::with(holidays(&["2026-11-27"])).await;
    let job = scene.job("job", DAILY).await;
    let scene = scene.restart(day("2026-11-26"), |_| {}).await;
    let rows = scene.when(&job, &[Skipped]).await;
    assert_eq!(rows[0].error_code.as_deref(), Some("job_invalid"));
    let said = rows[0].error_message.as_deref().unwrap();
    assert!(said.contains("`holidays` is not known"), "{said}");
    assert_eq!(scene.next(&job).await, None);
    let back = day("2026-11-26") + chrono::TimeDelta::hours(1);
    let scene = scene.restart(back, holidays(&["2026-11-27"])).await;
    becomes(&scene, &job, day("2026-11-28")).await;
}

#[tokio::test]
async fn a_firing_that_new_zone_rules_move_into_the_past_is_made_up_for() {
    let scene = Scene::new().await;
    let keys = "schedule: {type: cron, expression: \"0 6 * * *\"}\n\
        catchUp: {policy: latest, window: 2h}\n";
    let job = scene.job("job", keys).await;
    becomes(&scene, &job, day("2026-11-26")).await;
    scene.engine.drain(std::time::Duration::ZERO).await;
    // Another zone database put it an hour later.
    let stored = scene.engine.job(&job).await.unwrap().unwrap();
    let late = day("2026-11-26") + chrono::TimeDelta::hours(1);
    let planned = jobcell_store::PlannedFiring {
        nominal: late,
        due: late,
    };
    let seen = Some(day("2026-11-26"));
    let moved = scene
        .store
        .replan_job(stored.record.job_id, 1, seen, Some(planned));
    assert!(moved.await.unwrap());
    scene
        .store
        .set_plan_basis("1999a".to_owned())
        .await
        .unwrap();
    let between = day("2026-11-26") + chrono::TimeDelta::minutes(30);
    let scene = scene.restart(between, |_| {}).await;
    let runs = scene.when(&job, &[Success]).await;
    assert_eq!(runs[0].scheduled_time, Some(day("2026-11-26")));
    becomes(&scene, &job, day("2026-11-27")).await;
}

#[tokio::test]
async fn a_job_taken_over_does_not_make_up_for_what_the_other_system_fired() {
    let scene = Scene::new().await;
    let keys = "schedule: {type: cron, expression: \"0 6 * * *\"}\n";
    let own = scene.job("own", keys).await;
    let record = scene.engine.job(&own).await.unwrap().unwrap().record;
    let long_ago = day("2023-01-01");
    let job = ForeignText {
        job_id: JobId::generate(),
        yaml: record.yaml_configuration.replace("own", "foreign"),
        created: long_ago,
        modified: long_ago,
        created_by: "v1".to_owned(),
    };
    let foreign = JobRef::Id(job.job_id);
    let ready = scene.engine.check_foreign(job).await.unwrap();
    let (feed, runs_of_it) = tokio::sync::mpsc::channel(1);
    feed.send(Fed::End).await.unwrap();
    let taken = scene.engine.take_over(vec![], vec![ready], runs_of_it);
    assert_eq!(taken.await.unwrap().jobs.len(), 1);
    scene
        .store
        .set_plan_basis("1999a".to_owned())
        .await
        .unwrap();
    let scene = scene.restart(at("13:00:00"), |_| {}).await;
    let planned_anew = async {
        while scene.store.plan_basis().await.unwrap().as_deref() == Some("1999a") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, planned_anew)
        .await
        .unwrap();
    becomes(&scene, &foreign, day("2026-11-26")).await;
    assert_eq!(runs(&scene.store, &foreign).await, []);
}

#[tokio::test]
async fn a_job_whose_count_of_firings_is_right_no_more_fires_on() {
    // Checked when it is stored, and not when a zone's rules make it another.
    let scene = Scene::with(holidays(&["2026-11-27"])).await;
    let keys = format!("{DAILY}expectFirings: {{year: 2026, count: 364}}\n");
    let job = scene.job("job", &keys).await;
    let scene = scene.restart(at("13:00:00"), holidays(&[])).await;
    scene.clock.set(day("2026-11-26"));
    let ended = |rows: &[jobcell_model::Execution]| rows.iter().any(|row| row.status == Success);
    runs_when(&scene.store, &job, ended).await;
}

#[tokio::test]
async fn a_claim_that_was_recorded_and_answered_with_a_failure_starts() {
    let scene = Scene::new().await;
    let job = scene
        .job("job", "schedule: {type: cron, expression: \"0 * * * *\"}\n")
        .await;
    scene.store.doubtful_claims.store(1, Ordering::SeqCst);
    scene.clock.set(at("13:00:00"));
    let started = async {
        let mut now = at("13:00:00");
        while runs(&scene.store, &job)
            .await
            .iter()
            .all(|run| run.status != Success)
        {
            now += chrono::TimeDelta::milliseconds(100);
            scene.clock.set(now.min(at("13:30:00")));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, started)
        .await
        .unwrap();
    assert_eq!(runs(&scene.store, &job).await.len(), 1);
}
