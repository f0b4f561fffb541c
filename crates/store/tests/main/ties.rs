//! Which jobs start after which others.

use jobcell_model::{After, AfterOutcome, JobRecord};
use jobcell_store::{CreateJobError, Follower, JobTriggers, RedbStore, ReplaceJobError, Store};

use crate::support::job;

fn after(keys: &[&str]) -> JobTriggers {
    let after = keys.iter().map(|key| After {
        job: (*key).to_owned(),
        on: AfterOutcome::Failure,
    });
    JobTriggers {
        next: None,
        after: Some(after.collect()),
    }
}

async fn create(store: &RedbStore, key: &str, predecessors: &[&str]) -> JobRecord {
    let job = job(key);
    let made = store.create_job(job.clone(), after(predecessors));
    made.await.unwrap();
    job
}

async fn followers(store: &RedbStore, key: &str) -> Vec<Follower> {
    assert_eq!(store.verify().unwrap(), [""; 0]);
    store.followers(key).await.unwrap()
}

#[tokio::test]
async fn a_job_follows_others_until_it_is_changed_or_deleted() {
    let store = RedbStore::in_memory().unwrap();
    let report = create(&store, "report", &["load", "load-2"]).await;
    let follower = Follower {
        job_id: report.job_id,
        on: AfterOutcome::Failure,
    };
    assert_eq!(followers(&store, "load").await, [follower]);
    assert_eq!(followers(&store, "load-2").await, [follower]);
    assert_eq!(followers(&store, "loa").await, []);
    let changed = JobRecord {
        revision: 2,
        ..report.clone()
    };
    let replaced = store.replace_job(changed, 1, after(&["load-2"]));
    replaced.await.unwrap();
    assert_eq!(followers(&store, "load").await, []);
    assert_eq!(followers(&store, "load-2").await, [follower]);
    store.delete_job(report.job_id).await.unwrap();
    assert_eq!(followers(&store, "load-2").await, []);
}

#[tokio::test]
async fn a_job_that_would_start_after_itself_is_refused_with_the_way() {
    let store = RedbStore::in_memory().unwrap();
    // Jobs may be stored in any order, so the way is there before its first job.
    create(&store, "b", &["a"]).await;
    create(&store, "c", &["x", "b"]).await;
    let refused = store.create_job(job("a"), after(&["y", "c"])).await;
    let Err(CreateJobError::Cycle { keys }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(keys, ["a", "b", "c"]);
    let a = create(&store, "a", &["y"]).await;
    let changed = JobRecord {
        revision: 2,
        ..a.clone()
    };
    let refused = store.replace_job(changed.clone(), 1, after(&["c"])).await;
    assert!(
        matches!(refused, Err(ReplaceJobError::Cycle { .. })),
        "{refused:?}"
    );
    assert_eq!(followers(&store, "y").await.len(), 1);
    // Another id is another place in the graph.
    let renamed = JobRecord {
        key: "z".to_owned(),
        ..changed
    };
    store.replace_job(renamed, 1, after(&["c"])).await.unwrap();
    assert_eq!(followers(&store, "c").await.len(), 1);
}

#[tokio::test]
async fn a_way_that_divides_and_meets_again_is_no_circle() {
    let store = RedbStore::in_memory().unwrap();
    create(&store, "top", &[]).await;
    create(&store, "left", &["top"]).await;
    create(&store, "right", &["top"]).await;
    create(&store, "bottom", &["left", "right"]).await;
    assert_eq!(followers(&store, "top").await.len(), 2);
}
