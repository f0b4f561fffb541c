//! Limits that runs of several jobs share: a key, and a job type.

use jobcell_engine::StartError;
use jobcell_model::RunState::{Cancelled, Pending, Running, Skipped, Success};

use crate::scene::Scene;
use crate::support::{at, by_hand};

const KEYED: &str = "schedule: {type: cron, expression: \"* * * * *\"}\n\
    concurrency: {key: warehouse, limit: 1, policy: ";

fn keyed(policy: &str) -> String {
    format!("{KEYED}{policy}}}\n")
}

#[tokio::test]
async fn a_firing_is_skipped_while_another_job_holds_its_key() {
    let scene = Scene::new().await;
    let load = scene
        .endless("load", "concurrency: {key: warehouse}\n")
        .await;
    let sweep = scene.job("sweep", &keyed("skip")).await;
    let holder = scene.engine.start_run(&load, by_hand()).await.unwrap();
    let refused = scene
        .engine
        .start_run(&sweep, by_hand())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(&refused, StartError::Busy { execution_id, .. } if *execution_id == holder.execution_id),
        "{refused:?}"
    );
    scene.clock.set(at("12:01:00"));
    let runs = scene.when(&sweep, &[Skipped]).await;
    assert_eq!(runs[0].blocked_by, Some(holder.execution_id));
    let said = runs[0].error_message.as_deref().unwrap();
    assert!(said.contains("the key `warehouse`"), "{said}");
}

#[tokio::test]
async fn a_firing_waits_for_the_job_that_holds_its_key() {
    let scene = Scene::new().await;
    let load = scene
        .endless("load", "concurrency: {key: warehouse}\n")
        .await;
    let sweep = scene.job("sweep", &keyed("queue")).await;
    let holder = scene.engine.start_run(&load, by_hand()).await.unwrap();
    scene.clock.set(at("12:01:00"));
    scene.when(&sweep, &[Pending]).await;
    let by = "the test";
    scene
        .engine
        .cancel_run(holder.execution_id, by)
        .await
        .unwrap();
    scene.when(&load, &[Cancelled]).await;
    scene.when(&sweep, &[Success]).await;
    assert_eq!(scene.engine.waiting(), 0);
}

#[tokio::test]
async fn a_firing_takes_the_place_of_the_job_that_holds_its_key() {
    let scene = Scene::new().await;
    let load = scene
        .endless("load", "concurrency: {key: warehouse}\n")
        .await;
    let sweep = scene.job("sweep", &keyed("replace")).await;
    scene.engine.start_run(&load, by_hand()).await.unwrap();
    scene.clock.set(at("12:01:00"));
    let replaced = scene.when(&load, &[Cancelled]).await;
    let runs = scene.when(&sweep, &[Success]).await;
    assert_eq!(replaced[0].error_code.as_deref(), Some("replaced"));
    let said = replaced[0].error_message.as_deref().unwrap();
    assert!(said.contains(&runs[0].execution_id.to_string()), "{said}");
}

#[tokio::test]
async fn no_more_runs_of_a_type_go_on_than_the_admin_allows() {
    let limit = |config: &mut jobcell_engine::EngineConfig| {
        config.runs_by_type.insert("SQL".to_owned(), 2);
    };
    let scene = Scene::with(limit).await;
    let fires = "schedule: {type: cron, expression: \"1 12 * * *\"}\n";
    let mut jobs = Vec::new();
    for number in 0..4 {
        jobs.push(scene.endless(&format!("job-{number}"), fires).await);
    }
    scene.clock.set(at("12:01:00"));
    let running = || async {
        let mut running = Vec::new();
        for job in &jobs {
            let runs = crate::support::runs(&scene.store, job).await;
            running.extend(runs.into_iter().filter(|run| run.status == Running));
        }
        running
    };
    let settled = |count: usize| async move { count };
    let mut ended = 0;
    while ended < 4 {
        let left = 4 - ended;
        let going = loop {
            let going = running().await;
            if going.len() == left.min(2) && scene.engine.waiting() == left.saturating_sub(2) {
                break going;
            }
            assert!(going.len() <= settled(2).await);
            tokio::task::yield_now().await;
        };
        let refused = scene.engine.start_run(&jobs[0], by_hand()).await.err();
        if left >= 2 {
            let refused = refused.unwrap();
            assert!(
                matches!(&refused, StartError::TypeBusy { job_type } if job_type == "SQL"),
                "{refused:?}"
            );
        }
        let first = going[0].execution_id;
        scene.engine.cancel_run(first, "the test").await.unwrap();
        ended += 1;
    }
}

#[tokio::test]
async fn one_that_waits_for_its_type_can_be_cancelled() {
    let scene = Scene::with(|config| {
        config.runs_by_type.insert("SQL".to_owned(), 1);
    })
    .await;
    let holder = scene.endless("holder", "").await;
    let fires = "schedule: {type: cron, expression: \"* * * * *\"}\n\
        concurrency: {policy: queue}\n";
    let job = scene.job("job", fires).await;
    let held = scene.engine.start_run(&holder, by_hand()).await.unwrap();
    scene.clock.set(at("12:01:00"));
    scene.when(&job, &[Pending]).await;
    scene.clock.set(at("12:02:00"));
    let runs = scene.when(&job, &[Pending, Pending]).await;
    let first = runs[0].execution_id;
    scene.engine.cancel_run(first, "the test").await.unwrap();
    scene.when(&job, &[Cancelled, Pending]).await;
    scene
        .engine
        .cancel_run(held.execution_id, "the test")
        .await
        .unwrap();
    scene.when(&job, &[Cancelled, Success]).await;
    assert_eq!(scene.engine.waiting(), 0);
}

#[tokio::test]
async fn a_job_without_a_limit_holds_no_key() {
    let scene = Scene::new().await;
    let keys = "concurrency: {key: warehouse, policy: allow}\n";
    let free = scene.endless("free", keys).await;
    let bound = scene.job("bound", "concurrency: {key: warehouse}\n").await;
    scene.engine.start_run(&free, by_hand()).await.unwrap();
    let run = scene.run(&bound).await;
    assert_eq!(run.status, Success);
    assert_eq!(run.concurrency_key.as_deref(), Some("warehouse"));
}

#[tokio::test]
async fn with_one_worker_the_more_urgent_job_starts_first() {
    let scene = Scene::with(|config| config.workers = 1).await;
    let fires =
        |minute: u32| format!("schedule: {{type: cron, expression: \"{minute} 12 * * *\"}}\n");
    let holder = scene.endless("holder", &fires(1)).await;
    let low = scene
        .endless("low", &format!("{}priority: -5\n", fires(2)))
        .await;
    let usual = scene.endless("usual", &fires(2)).await;
    let high = scene
        .endless("high", &format!("{}priority: 5\n", fires(3)))
        .await;
    scene.clock.set(at("12:01:00"));
    let mut going = scene.when(&holder, &[Running]).await[0].execution_id;
    scene.clock.set(at("12:02:00"));
    scene.when(&low, &[Pending]).await;
    scene.when(&usual, &[Pending]).await;
    // It comes last of all.
    scene.clock.set(at("12:03:00"));
    scene.when(&high, &[Pending]).await;
    scene.queued(3).await;
    let mut left = vec![&low, &usual, &high];
    while let Some(next) = left.pop() {
        scene.engine.cancel_run(going, "the test").await.unwrap();
        going = scene.when(next, &[Running]).await[0].execution_id;
        for other in &left {
            scene.when(other, &[Pending]).await;
        }
    }
}
