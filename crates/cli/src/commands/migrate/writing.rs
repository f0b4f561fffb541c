//! Writes what was made ready, in one step, or counts what would be written: into
//! the store of a data folder, or to a running server. Never decides what that is.

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
use super::remote::{self, Done, Remote, Sending};
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

/// Where it goes.
pub(crate) enum Destination {
    /// Into the store of a data folder. Passwords are sealed by this, unless nothing
    /// is written.
    Folder(Option<Connections>),
    /// To a running server.
    Server(Remote),
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
    destination: &Destination,
    report: &mut Report,
) -> Result<(), Failure> {
    let v1 = v1.filter(|_| ready.history);
    let has_history = v1.is_some();
    let mut runs = Runs::default();
    let sealing = match destination {
        Destination::Folder(sealing) => sealing.as_ref(),
        Destination::Server(remote) => {
            send(v1, options, remote, ready, &mut runs, report).await?;
            report.runs = has_history.then_some(runs);
            return Ok(());
        }
    };
    let Ready {
        connections,
        outcomes,
        jobs,
        owners,
        ..
    } = ready;
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
        links::told(report, &imported.connections, &[]);
        (runs.added, runs.present) = (imported.runs, imported.runs_present);
        let added: HashSet<JobId> = imported.jobs.into_iter().collect();
        report.take(&outcomes, |job| !added.contains(&job.job_id));
    }
    report.runs = has_history.then_some(runs);
    Ok(())
}

/// Sends it to a server, which writes it, or says what it would write.
async fn send(
    v1: Option<&mut V1>,
    options: &Migrate,
    remote: &Remote,
    ready: Ready,
    runs: &mut Runs,
    report: &mut Report,
) -> Result<(), Failure> {
    let (mut sending, answer) = remote.send(options.dry_run);
    let feed = async {
        // Where the server wants no more, it says why.
        for connection in ready.connections {
            sending.connection(connection).await;
        }
        for job in &ready.jobs {
            sending.job(job).await;
        }
        let sent = send_runs(v1, options, &ready.owners, runs, &mut sending).await;
        if sent.is_ok() {
            sending.finish().await;
        }
        // Dropped here otherwise, which breaks the request off.
        sent
    };
    let (fed, answer) = tokio::join!(feed, answer);
    fed?;
    let Done {
        connections,
        jobs,
        runs: counted,
    } = remote::done(answer?)?;
    links::told(report, &connections.added, &connections.configured);
    (runs.added, runs.present) = (counted.added, counted.present);
    let added: HashSet<JobId> = jobs.added.into_iter().collect();
    report.take(&ready.outcomes, |job| !added.contains(&job.job_id));
    Ok(())
}

async fn send_runs(
    v1: Option<&mut V1>,
    options: &Migrate,
    owners: &Owners,
    runs: &mut Runs,
    sending: &mut Sending,
) -> Result<(), Failure> {
    let Some(v1) = v1 else {
        return Ok(());
    };
    let (to, pages) = mpsc::channel(PAGES);
    let target = Target::Server(sending);
    let passed = runs.pass_on(pages, owners, options.assume_timezone, target);
    let (read, passed) = tokio::join!(v1.history(to), passed);
    read?;
    passed.map_err(not_written)
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
