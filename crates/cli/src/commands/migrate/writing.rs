//! Writes what was made ready, in one step, or counts what would be written.
//! Never decides what that is.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use jobcell_engine::connections::Connections;
use jobcell_engine::{Engine, ForeignJob};
use jobcell_migrate::{ConvertedConnection, Outcome, Taken};
use jobcell_model::{ConnectionRecord, JobId};
use jobcell_store::{Fed, Imported};
use tokio::sync::mpsc;

use super::links;
use super::report::Report;
use super::runs::{Owners, Runs, Target};
use super::v1::V1;
use crate::args::Migrate;
use crate::exit::{Exit, Failure};

/// Pages of V1's history on their way.
const PAGES: usize = 2;
/// Runs on their way to the store.
const RUNS: usize = 1024;

/// What is to be written.
#[derive(Default)]
pub(crate) struct Ready {
    /// V1's connections.
    pub(crate) connections: Vec<ConvertedConnection>,
    /// Whether V1's history is.
    pub(crate) history: bool,
    /// What became of V1's jobs.
    pub(crate) outcomes: Vec<Outcome>,
    /// The jobs, and samples.
    pub(crate) jobs: Vec<ForeignJob>,
    pub(crate) owners: Owners,
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
    sealing: Option<&Connections>,
    report: &mut Report,
) -> Result<(), Failure> {
    let Ready {
        connections,
        history,
        outcomes,
        jobs,
        owners,
    } = ready;
    let v1 = v1.filter(|_| history);
    let has_history = v1.is_some();
    let mut runs = Runs::default();
    if options.dry_run {
        if let Some(v1) = v1 {
            count(v1, options, engine, &owners, &mut runs).await?;
        }
        let present: HashSet<JobId> = taken.keys.values().copied().collect();
        report.take(&outcomes, |job| present.contains(&job.job_id));
        links::look(engine, report).await?;
    } else {
        let connections = links::sealed(connections, sealing)?;
        let what = (connections, jobs);
        let imported = import(v1, options, engine, what, &owners, &mut runs).await?;
        links::told(report, &imported.connections);
        (runs.added, runs.present) = (imported.runs, imported.runs_present);
        let added: HashSet<JobId> = imported.jobs.into_iter().collect();
        report.take(&outcomes, |job| !added.contains(&job.job_id));
    }
    report.runs = has_history.then_some(runs);
    Ok(())
}

/// Reads the history and only counts it.
async fn count(
    v1: &mut V1,
    options: &Migrate,
    engine: &Engine,
    owners: &Owners,
    runs: &mut Runs,
) -> Result<(), Failure> {
    let (to, pages) = mpsc::channel(PAGES);
    let target = Target::Nowhere(engine.store());
    let passed = runs.pass_on(pages, owners, options.assume_timezone, target);
    let (read, passed) = tokio::join!(v1.history(to), passed);
    read?;
    passed.map_err(|error| Failure::context(Exit::Unavailable, error, "the store can't be read"))
}

async fn import(
    v1: Option<&mut V1>,
    options: &Migrate,
    engine: &Engine,
    (connections, jobs): (Vec<ConnectionRecord>, Vec<ForeignJob>),
    owners: &Owners,
    runs: &mut Runs,
) -> Result<Imported, Failure> {
    let (to, fed) = mpsc::channel(RUNS);
    let feed = async {
        // Moved in, so that it is gone when this ends early: whoever reads half
        // of it must not say that it was all, and then the store takes nothing.
        let to = to;
        if let Some(v1) = v1 {
            let (pages_to, pages) = mpsc::channel(PAGES);
            let target = Target::Store(&to);
            let passed = runs.pass_on(pages, owners, options.assume_timezone, target);
            let (read, passed) = tokio::join!(v1.history(pages_to), passed);
            read?;
            passed.map_err(not_written)?;
        }
        // Where the store has failed, it says why.
        drop(to.send(Fed::End).await);
        Ok(())
    };
    let (fed, imported) = tokio::join!(feed, engine.take_over(connections, jobs, fed));
    fed?;
    imported.map_err(not_written)
}

fn not_written(error: impl Into<anyhow::Error>) -> Failure {
    let doing = "the jobs can't be written; nothing was migrated";
    Failure::context(Exit::Unavailable, error, doing)
}
