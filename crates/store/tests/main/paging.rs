//! Lists in pages: newest first, nothing left out, nothing twice.

use jobcell_model::{ExecutionId, JobId, JobRecord, RunState};
use jobcell_store::{JobTriggers, RedbStore, Store};

use crate::support::{admission, finish, job, run_of};

/// All jobs, page by page, and how many pages it took.
async fn all_jobs(store: &RedbStore, limit: usize, enabled_only: bool) -> (Vec<JobId>, usize) {
    let (mut ids, mut pages) = (Vec::new(), 0);
    loop {
        let after = ids.last().copied();
        let page = store.jobs(after, limit, enabled_only).await.unwrap();
        assert!(page.items.len() <= limit);
        ids.extend(page.items.iter().map(|job| job.record.job_id));
        pages += 1;
        if !page.more {
            return (ids, pages);
        }
    }
}

async fn all_runs(store: &RedbStore, job: JobId, limit: usize) -> (Vec<ExecutionId>, usize) {
    let (mut ids, mut pages) = (Vec::new(), 0);
    loop {
        let after = ids.last().copied();
        let page = store.history(job, after, limit).await.unwrap();
        assert!(page.items.len() <= limit);
        ids.extend(page.items.iter().map(|run| run.execution_id));
        pages += 1;
        if !page.more {
            return (ids, pages);
        }
    }
}

async fn store_with_jobs(count: usize) -> (RedbStore, Vec<JobRecord>) {
    let store = RedbStore::in_memory().unwrap();
    let mut jobs = Vec::new();
    for number in 0..count {
        let mut job = job(&format!("job-{number}"));
        job.enabled = number % 3 != 0;
        store
            .create_job(job.clone(), JobTriggers::default())
            .await
            .unwrap();
        jobs.insert(0, job);
    }
    (store, jobs)
}

#[tokio::test]
async fn jobs_come_newest_first_without_gap_or_repeat() {
    let (store, jobs) = store_with_jobs(7).await;
    let all: Vec<JobId> = jobs.iter().map(|job| job.job_id).collect();
    let enabled: Vec<JobId> = jobs
        .iter()
        .filter(|job| job.enabled)
        .map(|job| job.job_id)
        .collect();
    for (limit, pages, enabled_pages) in [(1, 7, 4), (2, 4, 2), (3, 3, 2), (7, 1, 1), (100, 1, 1)] {
        assert_eq!(all_jobs(&store, limit, false).await, (all.clone(), pages));
        let listed = all_jobs(&store, limit, true).await;
        assert_eq!(listed, (enabled.clone(), enabled_pages));
    }
}

#[tokio::test]
async fn a_page_starts_where_a_deleted_job_was() {
    let (store, jobs) = store_with_jobs(5).await;
    store.delete_job(jobs[1].job_id).await.unwrap();
    let page = store.jobs(Some(jobs[1].job_id), 2, false).await.unwrap();
    let ids: Vec<JobId> = page.items.iter().map(|job| job.record.job_id).collect();
    assert_eq!(ids, [jobs[2].job_id, jobs[3].job_id]);
    assert!(page.more);
}

#[tokio::test]
async fn an_empty_list_is_one_empty_page() {
    let store = RedbStore::in_memory().unwrap();
    for limit in [0, 1, usize::MAX] {
        assert_eq!(all_jobs(&store, limit, false).await, (vec![], 1));
        assert_eq!(all_runs(&store, JobId::generate(), limit).await.1, 1);
    }
}

#[tokio::test]
async fn the_largest_limit_lists_all() {
    let (store, jobs) = store_with_jobs(3).await;
    assert_eq!(all_jobs(&store, usize::MAX, false).await.0.len(), 3);
    let run = run_of(&jobs[0]);
    store.admit_run(admission(&run, 1)).await.unwrap();
    let runs = all_runs(&store, jobs[0].job_id, usize::MAX).await.0;
    assert_eq!(runs, [run.execution_id]);
}

#[tokio::test]
async fn history_comes_newest_first_and_holds_only_that_jobs_runs() {
    let (store, jobs) = store_with_jobs(3).await;
    let mut newest_first = Vec::new();
    for number in 0..5 {
        for job in &jobs {
            let run = run_of(job);
            store.admit_run(admission(&run, 9)).await.unwrap();
            if number < 4 {
                let end = finish(&run, RunState::Success, b"");
                store.finish_run(end).await.unwrap();
            }
            if job.job_id == jobs[1].job_id {
                newest_first.insert(0, run.execution_id);
            }
        }
    }
    for (limit, pages) in [(1, 5), (2, 3), (5, 1), (6, 1)] {
        let listed = all_runs(&store, jobs[1].job_id, limit).await;
        assert_eq!(listed, (newest_first.clone(), pages));
    }
    let elsewhere = all_runs(&store, JobId::generate(), 10).await.0;
    assert_eq!(elsewhere, []);
}

/// What arrives while somebody pages is newer than what they see, so it moves
/// nothing.
#[tokio::test]
async fn a_run_that_starts_between_two_pages_moves_nothing() {
    let (store, jobs) = store_with_jobs(1).await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        let run = run_of(&jobs[0]);
        // The only job is disabled, which is the engine's affair.
        store.admit_run(admission(&run, 9)).await.unwrap();
        runs.insert(0, run.execution_id);
    }
    let first = store.history(jobs[0].job_id, None, 2).await.unwrap();
    let late = run_of(&jobs[0]);
    store.admit_run(admission(&late, 9)).await.unwrap();
    let last = first.items.last().map(|run| run.execution_id);
    let second = store.history(jobs[0].job_id, last, 2).await.unwrap();
    let listed: Vec<ExecutionId> = first
        .items
        .iter()
        .chain(&second.items)
        .map(|run| run.execution_id)
        .collect();
    assert_eq!(listed, runs);
    assert!(!second.more);
}
