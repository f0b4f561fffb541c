//! Writes what was made ready, in one step, or counts what would be written.
//! Never decides what that is.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use jobcell_engine::{Engine, ForeignJob};
use jobcell_migrate::{Converted, Outcome, Taken};
use jobcell_model::{JobDocument, JobId, JobRecord};
use jobcell_store::{Fed, Imported};
use tokio::sync::mpsc;

use super::report::Report;
use super::runs::{Owners, Runs, Target};
use super::v1::V1;
use crate::args::Migrate;
use crate::exit::{Exit, Failure};

/// Pages of V1's history on their way.
const PAGES: usize = 2;
/// Runs on their way to the store.
const RUNS: usize = 1024;

/// The jobs as understood.
pub(crate) type Documents = HashMap<JobId, Arc<JobDocument>>;

/// What is to be written.
#[derive(Default)]
pub(crate) struct Ready {
    /// Whether V1's history is.
    pub(crate) history: bool,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) documents: Documents,
    pub(crate) owners: Owners,
    pub(crate) samples: Vec<ForeignJob>,
}

/// Makes the file of a report.
pub(crate) fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| {
        let doing = format!("the report {} can't be written", path.display());
        Failure::context(Exit::Usage, error, doing)
    })
}

/// Writes it, and says in the report what became of it.
pub(crate) async fn write(
    v1: Option<&mut V1>,
    options: &Migrate,
    engine: &Engine,
    ready: Ready,
    taken: &Taken,
    report: &mut Report,
) -> Result<(), Failure> {
    let v1 = v1.filter(|_| ready.history);
    let mut runs = Runs::default();
    let has_history = v1.is_some();
    let present: HashSet<JobId> = if options.dry_run {
        if let Some(v1) = v1 {
            let (to, pages) = mpsc::channel(PAGES);
            let target = Target::Nowhere(engine.store());
            let zone = options.assume_timezone;
            let passed = runs.pass_on(pages, &ready.owners, zone, target);
            let (read, passed) = tokio::join!(v1.history(to), passed);
            read?;
            passed.map_err(|error| {
                Failure::context(Exit::Unavailable, error, "the store can't be read")
            })?;
        }
        taken.keys.values().copied().collect()
    } else {
        let imported = import(v1, options, engine, &ready, &mut runs).await?;
        (runs.added, runs.present) = (imported.runs, imported.runs_present);
        let added: HashSet<JobId> = imported.jobs.into_iter().collect();
        let all = ready.documents.keys().copied();
        let all = all.chain(ready.samples.iter().map(|sample| sample.record.job_id));
        all.filter(|id| !added.contains(id)).collect()
    };
    report.take(&ready.outcomes, |job| present.contains(&job.job_id));
    report.runs = has_history.then_some(runs);
    Ok(())
}

async fn import(
    v1: Option<&mut V1>,
    options: &Migrate,
    engine: &Engine,
    ready: &Ready,
    runs: &mut Runs,
) -> Result<Imported, Failure> {
    let (to, fed) = mpsc::channel(RUNS);
    let jobs = ready.outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Migrated(job) => {
            let document = Arc::clone(ready.documents.get(&job.job_id)?);
            let record = record(job);
            Some(ForeignJob { record, document })
        }
        Outcome::Broken(_) => None,
    });
    let jobs: Vec<ForeignJob> = jobs.chain(ready.samples.iter().cloned()).collect();
    let feed = async {
        if let Some(v1) = v1 {
            let (pages_to, pages) = mpsc::channel(PAGES);
            let zone = options.assume_timezone;
            let target = Target::Store(&to);
            let passed = runs.pass_on(pages, &ready.owners, zone, target);
            let (read, passed) = tokio::join!(v1.history(pages_to), passed);
            // Whoever reads half of it must not say that it was all: then the
            // store takes nothing.
            read?;
            passed.map_err(not_written)?;
        }
        // Where the store has failed, it says why.
        drop(to.send(Fed::End).await);
        drop(to);
        Ok(())
    };
    let (fed, imported) = tokio::join!(feed, engine.take_over(jobs, fed));
    fed?;
    imported.map_err(not_written)
}

fn not_written(error: impl Into<anyhow::Error>) -> Failure {
    let doing = "the jobs can't be written; nothing was migrated";
    Failure::context(Exit::Unavailable, error, doing)
}

fn record(job: &Converted) -> JobRecord {
    JobRecord {
        job_id: job.job_id,
        key: job.key.clone(),
        name: job.name.clone(),
        description: job.description.clone(),
        job_type: job.job_type.to_owned(),
        enabled: job.enabled,
        yaml_configuration: job.yaml.clone(),
        revision: 1,
        created_date: job.created,
        modified_date: job.modified,
        created_by: job.created_by.clone(),
    }
}
