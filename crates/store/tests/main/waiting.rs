//! Runs that share a limit by a key, and runs that an end brings about.

use jobcell_model::{Execution, JobRecord, JobRef, RunState, Trigger};
use jobcell_store::{
    AdmitError, Finish, FiringClaim, JobTriggers, NewRun, PlannedFiring, RedbStore, Room,
    RunAdmission, StartError, Store, WhenFull,
};

use crate::support::{admission, at, finish, job, run_of};

async fn store_with(jobs: &[&JobRecord]) -> RedbStore {
    let store = RedbStore::in_memory().unwrap();
    for job in jobs {
        let made = store.create_job((*job).clone(), JobTriggers::default());
        made.await.unwrap();
    }
    store
}

fn keyed(job: &JobRecord) -> Execution {
    Execution {
        concurrency_key: Some("warehouse".to_owned()),
        ..run_of(job)
    }
}

fn waiting(job: &JobRecord) -> Execution {
    Execution {
        status: RunState::Pending,
        trigger: Trigger::Dependency,
        ..keyed(job)
    }
}

fn asks(execution: &Execution, limit: u32, when_full: WhenFull) -> NewRun {
    NewRun {
        execution: execution.clone(),
        room: Some(Room { limit, when_full }),
    }
}

#[tokio::test]
async fn runs_of_several_jobs_share_the_limit_of_their_key() {
    let (load, sweep) = (job("load"), job("sweep"));
    let store = store_with(&[&load, &sweep]).await;
    let first = keyed(&load);
    store.admit_run(admission(&first, 1)).await.unwrap();
    let second = keyed(&sweep);
    let refused = store.admit_run(admission(&second, 1)).await;
    assert!(
        matches!(refused, Err(AdmitError::Busy { execution_id }) if execution_id == first.execution_id),
        "{refused:?}"
    );
    // Without the key, and with room for two, it may.
    store
        .admit_run(admission(&run_of(&sweep), 1))
        .await
        .unwrap();
    store.admit_run(admission(&second, 2)).await.unwrap();
    assert_eq!(store.verify().unwrap(), [""; 0]);
    for run in [&first, &second] {
        store
            .finish_run(finish(run, RunState::Success, b""))
            .await
            .unwrap();
    }
    store.admit_run(admission(&keyed(&sweep), 1)).await.unwrap();
    assert_eq!(store.verify().unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_key_is_no_part_of_a_longer_one() {
    let load = job("load");
    let store = store_with(&[&load]).await;
    for key in ["a", "ab", "a b", "ä"] {
        let run = Execution {
            concurrency_key: Some(key.to_owned()),
            ..run_of(&load)
        };
        store.admit_run(admission(&run, 1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_run_that_waits_starts_when_nothing_holds_its_key() {
    let (load, sweep) = (job("load"), job("sweep"));
    let store = store_with(&[&load, &sweep]).await;
    let first = keyed(&load);
    store.admit_run(admission(&first, 1)).await.unwrap();
    let next = waiting(&sweep);
    let mut end = finish(&run_of(&sweep), RunState::Success, b"");
    end.then = vec![asks(&next, 1, WhenFull::Queue { max: 1 })];
    store.admit_run(admission(&end.execution, 5)).await.unwrap();
    let made = store.finish_run(end).await.unwrap();
    assert_eq!(made.pending, std::slice::from_ref(&next));
    let running = Execution {
        status: RunState::Running,
        ..next.clone()
    };
    let busy = store.start_pending(running.clone(), Some(1)).await;
    assert!(matches!(busy, Err(StartError::Busy { .. })), "{busy:?}");
    store
        .finish_run(finish(&first, RunState::Failed, b""))
        .await
        .unwrap();
    store.start_pending(running, Some(1)).await.unwrap();
    assert_eq!(store.verify().unwrap(), [""; 0]);
}

/// An end that brings about a run, given twice as after a doubtful commit.
async fn twice(store: &RedbStore, end: Finish) -> jobcell_store::NewRuns {
    store
        .admit_run(RunAdmission {
            execution: Execution {
                status: RunState::Running,
                ..end.execution.clone()
            },
            limit: None,
        })
        .await
        .unwrap();
    let made = store.finish_run(end.clone()).await.unwrap();
    assert_eq!(store.finish_run(end).await.unwrap(), made);
    assert_eq!(store.verify().unwrap(), [""; 0]);
    made
}

#[tokio::test]
async fn what_an_end_brings_about_asks_for_room_as_a_firing_does() {
    let (load, sweep) = (job("load"), job("sweep"));
    let store = store_with(&[&load, &sweep]).await;
    let holder = keyed(&sweep);
    store.admit_run(admission(&holder, 1)).await.unwrap();
    let end = |next: NewRun| Finish {
        then: vec![next],
        ..finish(&run_of(&load), RunState::Success, b"")
    };

    let skipped = asks(&waiting(&sweep), 1, WhenFull::Skip);
    let made = twice(&store, end(skipped)).await;
    assert_eq!(made.pending, []);
    let row = &made.skipped[0];
    assert_eq!(row.blocked_by, Some(holder.execution_id));
    assert_eq!(row.error_code.as_deref(), Some("concurrency_limit"));
    let told = row.error_message.as_deref().unwrap();
    assert!(told.contains("the key `warehouse`"), "{told}");

    let queued = asks(&waiting(&sweep), 1, WhenFull::Queue { max: 1 });
    assert_eq!(twice(&store, end(queued)).await.pending.len(), 1);
    let too_many = asks(&waiting(&sweep), 1, WhenFull::Queue { max: 1 });
    let made = twice(&store, end(too_many)).await;
    assert_eq!(made.skipped[0].error_code.as_deref(), Some("queue_full"));

    let newest = waiting(&sweep);
    let made = twice(&store, end(asks(&newest, 1, WhenFull::Replace))).await;
    let by = newest.execution_id;
    assert_eq!(made.pending, [newest]);
    assert_eq!(made.replaced.len(), 2);
    assert!(made.replaced.contains(&(holder.execution_id, by)));
}

#[tokio::test]
async fn a_newer_run_takes_the_place_of_the_oldest_alone() {
    let load = job("load");
    let store = store_with(&[&load]).await;
    let running = [keyed(&load), keyed(&load)];
    for run in &running {
        store.admit_run(admission(run, 2)).await.unwrap();
    }
    let next = waiting(&load);
    let mut end = finish(&run_of(&load), RunState::Success, b"");
    end.then = vec![asks(&next, 2, WhenFull::Replace)];
    let made = twice(&store, end).await;
    let oldest = running[0].execution_id;
    assert_eq!(made.replaced, [(oldest, next.execution_id)]);
}

#[tokio::test]
async fn half_of_all_runs_are_shorter_than_the_median() {
    let load = job("load");
    let store = store_with(&[&load]).await;
    for number in 1..=100 {
        let run = run_of(&load);
        store.admit_run(admission(&run, 1)).await.unwrap();
        let mut end = finish(&run, RunState::Success, b"");
        end.execution.duration_seconds = Some(f64::from(number) / 10.0);
        store.finish_run(end).await.unwrap();
    }
    let stored = store.job(&JobRef::Id(load.job_id)).await.unwrap().unwrap();
    let p95 = stored.statistics.p95_duration_seconds();
    assert!((p95 / 9.5 - 1.0).abs() < 0.021, "{p95}");
    let median = stored.statistics.durations.quantile(0.5).unwrap();
    assert!((median / 5.0 - 1.0).abs() < 0.021, "{median}");
}

#[tokio::test]
async fn a_next_firing_is_set_anew_unless_something_else_changed_it() {
    let load = job("load");
    let store = RedbStore::in_memory().unwrap();
    let whole = |second| {
        let millis = at(second).timestamp_millis();
        chrono::DateTime::from_timestamp_millis(millis).unwrap()
    };
    let planned = |second| PlannedFiring {
        nominal: whole(second),
        due: whole(second + 1),
    };
    let triggers = JobTriggers {
        next: Some(planned(100)),
        after: None,
    };
    store.create_job(load.clone(), triggers).await.unwrap();
    let replan = |revision, seen, next| {
        let store = &store;
        async move {
            let set = store.replan_job(load.job_id, revision, seen, next);
            set.await.unwrap()
        }
    };
    assert!(!replan(2, Some(whole(100)), None).await);
    assert!(!replan(1, Some(whole(99)), None).await);
    assert!(!replan(1, None, None).await);
    assert!(replan(1, Some(whole(100)), Some(planned(200))).await);
    assert_eq!(store.next_due().await.unwrap(), Some(whole(201)));
    assert!(replan(1, Some(whole(200)), None).await);
    assert_eq!(store.next_due().await.unwrap(), None);
    assert!(replan(1, None, Some(planned(300))).await);
    assert_eq!(store.verify().unwrap(), [""; 0]);

    assert_eq!(store.plan_basis().await.unwrap(), None);
    store.set_plan_basis("2025b".to_owned()).await.unwrap();
    assert_eq!(store.plan_basis().await.unwrap().as_deref(), Some("2025b"));
    // A claim of what was planned before is lost.
    let claim = FiringClaim {
        job_id: load.job_id,
        revision: 1,
        planned: planned(100),
        runs: Vec::new(),
        next: None,
    };
    assert!(store.claim_firing(claim).await.is_err());
}
