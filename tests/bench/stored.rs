//! What many stored jobs cost that are not due: a start, memory, time.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use jobcell_model::{JobId, JobRecord};
use jobcell_store::{JobTriggers, PlannedFiring, RedbStore, Store, StoreOptions};
use tokio::task::JoinSet;

use crate::figures::Row;
use crate::idle::{Server, processor_time, resident_mebibytes};

const WATCHED: Duration = Duration::from_secs(20);

/// The binary over this many scheduled jobs.
pub(crate) async fn rows(folder: &Path, jobs: usize) -> Vec<Row> {
    let data = folder.join("stored");
    std::fs::create_dir_all(&data).unwrap();
    fill(&data, jobs).await;
    // The first start looks at each job, since these were planned by nobody.
    let server = Server::start(&data);
    let anew = wait_until_quiet(server.0.id());
    server.terminate();
    let started = Instant::now();
    let server = Server::start(&data);
    let ready = started.elapsed();
    let memory = resident_mebibytes(server.0.id());
    let before = processor_time(server.0.id());
    std::thread::sleep(WATCHED);
    let share = (processor_time(server.0.id()) - before) / WATCHED.as_secs_f64() * 100.0;
    vec![
        Row::plain(
            &format!("{jobs} scheduled jobs, start to ready"),
            format!("{ready:.0?}"),
            "≤ 1 s",
        ),
        Row::plain(
            "the same, all planned anew by other zone rules",
            format!("{anew:.1} s of processor time"),
            "–",
        ),
        Row::plain(
            "the same, memory when idle",
            format!("{memory:.1} MiB"),
            "≤ 40 MiB",
        ),
        Row::plain(
            "the same, processor time when nothing is due",
            format!("{share:.2} %"),
            "< 0.1 %",
        ),
    ]
}

async fn fill(data: &Path, jobs: usize) {
    let store = RedbStore::open(&data.join("jobcell.redb"), StoreOptions::default()).unwrap();
    let store = std::sync::Arc::new(store);
    let mut going = JoinSet::new();
    for number in 0..jobs {
        let store = store.clone();
        going.spawn(async move {
            store
                .create_job(job(number), triggers(number))
                .await
                .unwrap()
        });
        if going.len() >= 2000 {
            going.join_next().await.unwrap().unwrap();
        }
    }
    going.join_all().await;
    store.close().await;
}

fn job(number: usize) -> JobRecord {
    let (hour, minute) = (number % 24, number % 60);
    let now = Utc::now();
    JobRecord {
        job_id: JobId::generate(),
        key: format!("job-{number}"),
        name: format!("Job {number}"),
        description: String::new(),
        job_type: "SQL".to_owned(),
        yaml_configuration: format!(
            "id: job-{number}\nname: Job {number}\ntype: SQL\nquery: SELECT 1\n\
             schedule: {{type: cron, expression: \"{minute} {hour} 1 1 *\"}}\n"
        ),
        enabled: true,
        revision: 1,
        created_date: now,
        modified_date: now,
        taken_over_date: None,
        created_by: "bench".to_owned(),
    }
}

fn triggers(number: usize) -> JobTriggers {
    let later = TimeDelta::days(2) + TimeDelta::seconds(i64::try_from(number).unwrap());
    let at = Utc::now() + later;
    JobTriggers {
        next: Some(PlannedFiring {
            nominal: at,
            due: at,
        }),
        after: None,
    }
}

/// Waits until a process has computed nothing for a second, and says for how long
/// it has until then.
fn wait_until_quiet(pid: u32) -> f64 {
    let mut last = processor_time(pid);
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let now = processor_time(pid);
        if now - last < 0.02 {
            return now;
        }
        last = now;
    }
}
