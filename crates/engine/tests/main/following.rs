//! Jobs that start when a run of another one ends.

use jobcell_engine::SaveJobError;
use jobcell_engine::{JobChange, NewJob};
use jobcell_model::RunState::{self, Cancelled, Failed, Interrupted, Pending, Skipped, Success};
use jobcell_model::{JobRef, Trigger};
use jobcell_store::Store;

use crate::scene::Scene;
use crate::support::{at, by_hand, create_named, noon};

fn after(outcome: &str) -> String {
    format!("after: [{{job: load, on: {outcome}}}]\n")
}

async fn followers(scene: &Scene) -> [JobRef; 3] {
    let mut jobs = Vec::new();
    for outcome in ["success", "failure", "always"] {
        jobs.push(scene.job(&format!("on-{outcome}"), &after(outcome)).await);
    }
    jobs.try_into().unwrap()
}

#[tokio::test]
async fn a_job_starts_after_the_ends_that_it_names() {
    let scene = Scene::new().await;
    let [good, bad, always] = followers(&scene).await;
    let load = scene.job("load", "").await;
    let parent = scene.run(&load).await;
    let runs = scene.when(&good, &[Success]).await;
    assert_eq!(runs[0].trigger, Trigger::Dependency);
    assert_eq!(runs[0].triggered_by, Some(parent.execution_id));
    assert_eq!(runs[0].executed_by, "test");
    assert_eq!(runs[0].parent_execution_id, None);
    scene.when(&always, &[Success]).await;
    scene.when(&bad, &[]).await;

    let broken = JobChange {
        yaml: Some("id: load\nname: Load\ntype: SQL\nquery: SELECT nonsense\n".to_owned()),
        ..JobChange::default()
    };
    scene.engine.change_job(&load, broken).await.unwrap();
    let parent = scene.run(&load).await;
    let runs = scene.when(&bad, &[Success]).await;
    assert_eq!(runs[0].triggered_by, Some(parent.execution_id));
    scene.when(&always, &[Success, Success]).await;
    scene.when(&good, &[Success]).await;
    assert_eq!(scene.store.verify(), [""; 0]);
}

#[tokio::test]
async fn what_follows_is_recorded_in_the_same_commit_as_the_end() {
    let scene = Scene::new().await;
    let follower = scene.job("next", &after("always")).await;
    let load = scene.job("load", "").await;
    // The process ends after the write that records the end: admitted, ended.
    scene.store.dies_after(3);
    let started = scene.engine.start_run(&load, by_hand()).await.unwrap();
    assert!(started.finished().await.is_err());
    assert!(scene.store.is_dead());
    scene.engine.drain(std::time::Duration::ZERO).await;
    scene.store.revive().await;
    let waits = scene.store.pending_executions().await.unwrap();
    assert_eq!(waits.len(), 1);
    assert_eq!(scene.store.verify(), [""; 0]);
    // And the next process starts it.
    let scene = scene.restart(noon(), |_| {}).await;
    scene.when(&follower, &[Success]).await;
}

#[tokio::test]
async fn what_is_tried_again_has_not_ended_for_those_that_follow() {
    let scene = Scene::new().await;
    let [_, bad, always] = followers(&scene).await;
    let policy = "retryPolicy: {maxRetries: 1, retryDelay: 30}\n";
    let load = create_named(&scene.engine, "load", "SELECT nonsense", policy).await;
    scene.run(&load).await;
    scene.when(&load, &[Failed, Pending]).await;
    scene.when(&bad, &[]).await;
    scene.clock.set(at("12:00:30"));
    let runs = scene.when(&load, &[Failed, Failed]).await;
    let started = scene.when(&bad, &[Success]).await;
    assert_eq!(started[0].triggered_by, Some(runs[1].execution_id));
    scene.when(&always, &[Success]).await;
}

#[tokio::test]
async fn a_retry_that_is_cancelled_ends_the_job_for_those_that_follow() {
    let scene = Scene::new().await;
    let [good, bad, _] = followers(&scene).await;
    let policy = "retryPolicy: {maxRetries: 1, retryDelay: 30}\n";
    let load = create_named(&scene.engine, "load", "SELECT nonsense", policy).await;
    let first = scene.run(&load).await;
    scene.when(&load, &[Failed, Pending]).await;
    scene
        .engine
        .cancel_run(first.execution_id, "the test")
        .await
        .unwrap();
    let runs = scene.when(&load, &[Failed, Cancelled]).await;
    let started = scene.when(&bad, &[Success]).await;
    assert_eq!(started[0].triggered_by, Some(runs[1].execution_id));
    scene.when(&good, &[]).await;
}

#[tokio::test]
async fn a_run_that_a_crash_cut_short_is_followed_as_one_that_failed() {
    let scene = Scene::new().await;
    let [good, bad, _] = followers(&scene).await;
    let load = scene.endless("load", "").await;
    // The process ends before the end of the run is recorded.
    scene.store.dies_after(2);
    let started = scene.engine.start_run(&load, by_hand()).await.unwrap();
    let cancelled = scene.engine.cancel_run(started.execution_id, "the end");
    cancelled.await.unwrap();
    assert!(started.finished().await.is_err());
    scene.engine.drain(std::time::Duration::ZERO).await;
    scene.store.revive().await;
    let scene = scene.restart(at("12:10:00"), |_| {}).await;
    let runs = scene.when(&load, &[Interrupted]).await;
    let started = scene.when(&bad, &[Success]).await;
    assert_eq!(started[0].triggered_by, Some(runs[0].execution_id));
    scene.when(&good, &[]).await;
}

#[tokio::test]
async fn a_follower_gets_the_parameters_that_it_has() {
    let scene = Scene::new().await;
    let own = "parameters: {Day: tuesday, Own: 7}\n";
    let next = scene
        .job("next", &format!("{}{own}", after("success")))
        .await;
    let last = scene
        .job("last", "after: [{job: next}]\nparameters: {Day: friday}\n")
        .await;
    let given = "parameters: {Day: monday, Other: x}\n";
    let load = scene.job("load", given).await;
    scene.run(&load).await;
    let runs = scene.when(&next, &[Success]).await;
    let given: Vec<_> = runs[0]
        .parameters
        .iter()
        .map(|given| (given.name.as_str(), given.value.clone()))
        .collect();
    assert_eq!(given, [("Day", "monday".into())]);
    // And what it was given goes on to those that follow it.
    let runs = scene.when(&last, &[Success]).await;
    assert_eq!(runs[0].parameters.len(), 1);
    assert_eq!(runs[0].parameters[0].value, "monday");
}

#[tokio::test]
async fn a_follower_asks_for_room_as_a_firing_does() {
    let scene = Scene::new().await;
    let next = scene.endless("next", &after("success")).await;
    let load = scene.job("load", "").await;
    let holder = scene.engine.start_run(&next, by_hand()).await.unwrap();
    scene.run(&load).await;
    let runs = scene.when(&next, &[RunState::Running, Skipped]).await;
    assert_eq!(runs[1].blocked_by, Some(holder.execution_id));
    assert_eq!(runs[1].trigger, Trigger::Dependency);
}

#[tokio::test]
async fn a_disabled_job_follows_nothing() {
    let scene = Scene::new().await;
    let next = scene.job("next", &after("success")).await;
    let off = JobChange {
        enabled: Some(false),
        ..JobChange::default()
    };
    scene.engine.change_job(&next, off).await.unwrap();
    let load = scene.job("load", "").await;
    scene.run(&load).await;
    let on = JobChange {
        enabled: Some(true),
        ..JobChange::default()
    };
    scene.engine.change_job(&next, on).await.unwrap();
    scene.run(&load).await;
    scene.when(&next, &[Success]).await;
}

#[tokio::test]
async fn jobs_that_would_start_each_other_are_refused() {
    let scene = Scene::new().await;
    scene.job("a", "after: [{job: c}]\n").await;
    scene.job("b", "after: [{job: a}]\n").await;
    let yaml = "id: c\nname: C\ntype: SQL\nquery: SELECT 1\nafter:\n  - job: b\n";
    let new = NewJob {
        yaml: yaml.to_owned(),
        ..NewJob::default()
    };
    let refused = scene.engine.create_job(new).await;
    let Err(SaveJobError::Invalid(problems)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(problems[0].code, "dependency_cycle");
    assert_eq!(problems[0].line, Some(6));
    let said = &problems[0].message;
    assert!(said.contains("`c`, `a`, `b`"), "{said}");
}
