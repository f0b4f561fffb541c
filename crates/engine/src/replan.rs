//! Computes the next firings anew when the rules that they were computed by have
//! changed since: the zone database of this program, or the calendars of its
//! configuration. Never fires anything.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jobcell_model::plan::{Calendars, zone_database_version};
use jobcell_model::{JobRef, StoredJob};
use jobcell_store::StorageError;
use tokio::task::JoinSet;

use crate::Shared;
use crate::error::StartError;
use crate::planner::next_after;
use crate::prepare::prepare;

/// How many jobs are read at a time.
const PAGE: usize = 500;

/// What next firings are computed by, as it is kept in the store: the version
/// of the zone database, then the calendars.
pub(crate) fn basis(calendars: &Calendars) -> String {
    let calendars: Vec<String> = calendars
        .iter()
        .map(|(name, calendar)| {
            // Dates and windows are text, which never fails to be JSON.
            let calendar = serde_json::to_string(&**calendar).unwrap_or_default();
            format!("\n{name} {calendar}")
        })
        .collect();
    format!("{}{}", zone_database_version(), calendars.concat())
}

/// Plans every job anew, if the rules are others than those in the store.
///
/// # Errors
/// When the storage fails; it is done again then.
pub(crate) async fn where_rules_changed(shared: &Arc<Shared>) -> Result<(), StorageError> {
    let before = shared.store.plan_basis().await?;
    if before.as_ref() == Some(&shared.plan_basis) {
        return Ok(());
    }
    let zones = |basis: &str| basis.lines().next().unwrap_or_default().to_owned();
    let zones_changed = before.as_deref().map(zones) != Some(zones(&shared.plan_basis));
    let mut after = None;
    let mut count = 0;
    loop {
        let page = shared.store.jobs(after, PAGE, true).await?;
        after = page.items.last().map(|job| job.record.job_id);
        // Side by side, so that they share commits.
        let mut plans = JoinSet::new();
        for stored in page.items {
            let shared = Arc::clone(shared);
            plans.spawn(async move { plan_anew(&shared, stored, zones_changed).await });
        }
        let mut failed = None;
        while let Some(planned) = plans.join_next().await {
            match planned.unwrap_or(Err(StorageError::Closed)) {
                Ok(changed) => count += u64::from(changed),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if !page.more {
            break;
        }
    }
    let rules = &shared.plan_basis;
    shared.store.set_plan_basis(rules.clone()).await?;
    if before.is_none() && count == 0 {
        // A store that is new.
        return Ok(());
    }
    let zone_database = zone_database_version();
    tracing::info!(
        zone_database,
        jobs = count,
        "the zone database or the calendars are others than before; jobs fire at other instants"
    );
    Ok(())
}

/// Whether the job fires at another instant than before.
async fn plan_anew(
    shared: &Shared,
    stored: StoredJob,
    zones_changed: bool,
) -> Result<bool, StorageError> {
    let record = &stored.record;
    let seen = stored.next_scheduled_time;
    let now = shared.clock.now();
    // What is overdue is looked at when it is claimed.
    if seen.is_some_and(|at| at <= now) {
        return Ok(false);
    }
    let job = match prepare(shared, &JobRef::Id(record.job_id)).await {
        Ok(job) => job,
        Err(StartError::Storage(error)) => return Err(error),
        Err(error) => {
            let job = &record.key;
            tracing::error!(job, %error, "a job is not valid any more, and fails when it is due");
            return Ok(false);
        }
    };
    // By the new rules a firing may lie before now that lay ahead by the old.
    let from = if zones_changed {
        since_last(shared, &stored).await?.min(now)
    } else {
        now
    };
    let next = next_after(&job, from);
    if next.map(|next| next.nominal) == seen {
        return Ok(false);
    }
    let (id, revision) = (record.job_id, record.revision);
    shared.store.replan_job(id, revision, seen, next).await
}

/// From when on a job's firings are this store's to make.
async fn since_last(shared: &Shared, stored: &StoredJob) -> Result<DateTime<Utc>, StorageError> {
    let record = &stored.record;
    let last = shared.store.last_firing(record.job_id).await?;
    // What came before it was taken over was the other system's to fire.
    let begun = record.taken_over_date.max(Some(record.modified_date));
    Ok(last.max(begun).unwrap_or(record.modified_date))
}
