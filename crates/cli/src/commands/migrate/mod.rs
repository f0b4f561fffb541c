//! `jobcell migrate`: V1's jobs and runs into a data folder or to a running server.
//! Never writes to V1, never starts a job.

mod choice;
mod database;
mod dump;
mod html;
mod links;
mod remote;
mod report;
mod runs;
mod samples;
mod source;
mod text;
mod v1;
mod writing;

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use chrono::Utc;
use jobcell_engine::{Engine, ForeignJob, ForeignText};
use jobcell_migrate::{Broken, Converted, Outcome, Reason, Taken, V1Connection, V1Job};
use jobcell_model::JobId;
use jobcell_store::{OpenError, RedbStore, Store};
use serde_json::Value;

use crate::args::{Format, Migrate, Samples};
use crate::compose::{self, DataFolder};
use crate::config::Config;
use crate::databases;
use crate::exit::{Exit, Failure};
use crate::out::say;
use choice::Only;
use remote::Remote;
use report::{Connection, Counts, Report};
use runs::Owners;
use source::Source;
use v1::{Table, V1};
use writing::{Destination, Ready};

/// How many jobs are read from the store at a time.
const PAGE: usize = 1000;

pub(super) fn run(options: Migrate, config: &Config) -> Result<Exit, Failure> {
    let source = source_of(&options)?;
    if let Some(server) = &options.server {
        let remote = Remote::new(server)?;
        return to_server(&options, source, remote, config);
    }
    let data = DataFolder::choose(options.data.folder.clone(), config)?;
    // Before anything is written, so that a report is never missing afterwards.
    let page = options.report.as_deref().map(writing::create).transpose()?;
    if !options.dry_run {
        data.create()?;
    }
    // First of all, since only one process may use a data folder.
    let store = open_store(&data, options.dry_run)?;
    let sql = databases::configured(config, &data);
    let job_types = compose::job_types(config, &data, &sql)?;
    let report = compose::runtime()?.block_on(async {
        let engine = compose::engine_at_rest(config, job_types, Arc::clone(&store))?;
        // A dry run makes no key either.
        let sealing = if options.dry_run {
            None
        } else {
            Some(databases::connections(config, &data, Arc::clone(&store), sql).await?)
        };
        let place = Place {
            taken: taken(store.as_ref()).await?,
            configured: config.connections.keys().map(String::as_str).collect(),
            destination: Destination::Folder(sealing),
        };
        let mut report = empty_report(&options);
        report.data = Some(data.path().display().to_string());
        let report = migrate(&options, source, &engine, place, report).await;
        store.close().await;
        report
    })?;
    end(&report, options.format, page)
}

/// The jobs are judged by an engine at rest here, so that what is plainly broken
/// need not be sent, and then by the server.
fn to_server(
    options: &Migrate,
    source: Option<Source>,
    remote: Remote,
    config: &Config,
) -> Result<Exit, Failure> {
    let page = options.report.as_deref().map(writing::create).transpose()?;
    let data = DataFolder::choose(None, config)?;
    let sql = databases::configured(config, &data);
    let job_types = compose::job_types(config, &data, &sql)?;
    let store = store_in_memory()?;
    let report = compose::runtime()?.block_on(async {
        let engine = compose::engine_at_rest(config, job_types, store)?;
        let place = Place {
            taken: remote.taken().await?,
            // The server's count, not ours.
            configured: Vec::new(),
            destination: Destination::Server(remote.clone()),
        };
        let mut report = empty_report(options);
        report.server = Some(remote.address().to_owned());
        migrate(options, source, &engine, place, report).await
    })?;
    end(&report, options.format, page)
}

fn end(report: &Report, format: Format, page: Option<File>) -> Result<Exit, Failure> {
    show(report, format, page)?;
    Ok(if report.is_whole() {
        Exit::Success
    } else {
        Exit::Incomplete
    })
}

/// Where it goes, and what is there.
struct Place<'a> {
    taken: Taken,
    /// Names of connections that are not to be taken over.
    configured: Vec<&'a str>,
    destination: Destination,
}

fn source_of(options: &Migrate) -> Result<Option<Source>, Failure> {
    let file = options.password_file.as_deref();
    match (&options.from, options.samples) {
        (None, Samples::Only) => Ok(None),
        (Some(_), Samples::Only) => Err(Failure::message(
            Exit::Usage,
            "`--samples only` reads nothing from V1; leave `--from` out, or say `--samples also`",
        )),
        (Some(from), _) => Source::read(from, file).map(Some),
        (None, _) => Err(Failure::message(
            Exit::Usage,
            "`--from` is missing: where are V1's jobs? (see `jobcell migrate --help`)",
        )),
    }
}

/// The store of the data folder. A dry run makes none: without one, it looks at
/// an empty one in memory.
fn open_store(data: &DataFolder, dry_run: bool) -> Result<Arc<dyn Store>, Failure> {
    if dry_run && !data.has_store() {
        return store_in_memory();
    }
    let path = data.path().display();
    compose::open_store(data).map_err(|failure| {
        if failure.is::<OpenError>(|error| matches!(error, OpenError::InUse { .. })) {
            let message = format!("another jobcell uses the data folder {path}: migrate to the running server with `--server URL`, or stop it, migrate, and start it again");
            return Failure::message(Exit::Unavailable, message);
        }
        failure
    })
}

fn store_in_memory() -> Result<Arc<dyn Store>, Failure> {
    let store = RedbStore::in_memory()
        .map_err(|error| Failure::context(Exit::Internal, error, "no store in memory"))?;
    Ok(Arc::new(store))
}

fn empty_report(options: &Migrate) -> Report {
    Report {
        dry_run: options.dry_run,
        from: options.from.as_deref().map(source::without_password),
        data: None,
        server: None,
        time: Utc::now(),
        weekdays: "",
        assume_timezone: options.assume_timezone.name().to_owned(),
        counts: Counts::default(),
        runs: None,
        remarks: Vec::new(),
        jobs: Vec::new(),
        broken: Vec::new(),
        samples: Vec::new(),
        connections: Vec::new(),
    }
}

async fn migrate(
    options: &Migrate,
    source: Option<Source>,
    engine: &Engine,
    place: Place<'_>,
    mut report: Report,
) -> Result<Report, Failure> {
    let mut v1 = match source {
        Some(source) => Some(V1::open(source).await?),
        None => None,
    };
    let mut ready = match &mut v1 {
        Some(v1) => read(v1, options, engine, &place, &mut report).await?,
        None => Ready::default(),
    };
    if options.samples != Samples::None {
        samples::add(engine, &place.taken, &mut ready, &mut report).await?;
    }
    let Place {
        taken, destination, ..
    } = &place;
    writing::write(
        v1.as_mut(),
        options,
        engine,
        ready,
        taken,
        destination,
        &mut report,
    )
    .await?;
    if let Some(v1) = v1 {
        v1.close().await;
    }
    Ok(report)
}

/// Reads V1's jobs and connections, and makes what is to be written.
async fn read(
    v1: &mut V1,
    options: &Migrate,
    engine: &Engine,
    place: &Place<'_>,
    report: &mut Report,
) -> Result<Ready, Failure> {
    let Place {
        taken,
        configured,
        destination,
    } = place;
    report.remarks = v1.remarks();
    let known = v1.has(Table::Connections);
    let connections = v1.rows(Table::Connections).await?;
    let connections: Vec<V1Connection> = connections.iter().map(V1Connection::from_row).collect();
    report.connections = connections.iter().map(Connection::from).collect();
    let rows = v1.rows(Table::Jobs).await?;
    report.counts.rows = rows.len();
    let jobs: Vec<V1Job> = rows.iter().map(V1Job::from_row).collect();
    drop(rows);
    let only = Only::read(&options.only);
    let (jobs, left_out): (Vec<V1Job>, Vec<V1Job>) =
        jobs.into_iter().partition(|job| only.wants(job));
    only.all_found(&jobs)?;
    report.counts.left_out = left_out.len();
    let names = known.then(|| links::names(&connections));
    let (mut converted, weekdays) = choice::convert(jobs, options, engine, taken, names.as_ref())?;
    report.weekdays = weekdays;
    let jobs = check(engine, &mut converted.outcomes, destination).await?;
    let mut owners = Owners::of(&converted.outcomes);
    for job in left_out {
        owners.leave_out(job.job_id.as_deref());
    }
    Ok(Ready {
        connections: links::converted(&connections, configured, report),
        history: only.history,
        outcomes: converted.outcomes,
        jobs,
        owners,
    })
}

/// Has the plugins judge the jobs, as they would be when they are created, and the
/// server where there is one. What they refuse is broken after all.
async fn check(
    engine: &Engine,
    outcomes: &mut [Outcome],
    destination: &Destination,
) -> Result<Vec<ForeignJob>, Failure> {
    let mut jobs = HashMap::new();
    for (place, outcome) in outcomes.iter_mut().enumerate() {
        let Outcome::Migrated(job) = outcome else {
            continue;
        };
        match engine.check_foreign(text(job)).await {
            Ok(checked) => drop(jobs.insert(place, checked)),
            Err(problems) => {
                let problem = problems.first().map(|problem| problem.message.clone());
                *outcome = Outcome::Broken(broken(job, problem.unwrap_or_default()));
            }
        }
    }
    if let Destination::Server(remote) = destination {
        let by_id = jobs
            .iter()
            .map(|(place, job)| (job.record().job_id, *place));
        let places: HashMap<JobId, usize> = by_id.collect();
        for refused in remote.refused(jobs.values()).await? {
            let Some(&place) = refused.job_id.and_then(|id| places.get(&id)) else {
                continue;
            };
            jobs.remove(&place);
            if let Outcome::Migrated(job) = &mut outcomes[place] {
                outcomes[place] = Outcome::Broken(broken(job, refused.error));
            }
        }
    }
    let mut checked = Vec::with_capacity(jobs.len());
    for (place, outcome) in outcomes.iter_mut().enumerate() {
        if let (Outcome::Migrated(job), Some(ready)) = (outcome, jobs.remove(&place)) {
            // Nobody looks at it again, and there may be many.
            job.raw = Value::Null;
            checked.push(ready);
        }
    }
    Ok(checked)
}

fn broken(job: &mut Converted, problem: String) -> Broken {
    Broken {
        job_id: job.original_job_id.take(),
        name: Some(std::mem::take(&mut job.name)),
        reasons: vec![Reason::Refused { problem }],
        keepable: false,
        raw: std::mem::take(&mut job.raw),
    }
}

fn text(job: &mut Converted) -> ForeignText {
    ForeignText {
        job_id: job.job_id,
        yaml: std::mem::take(&mut job.yaml),
        created: job.created,
        modified: job.modified,
        created_by: job.created_by.clone(),
    }
}

/// What the store has already.
async fn taken(store: &dyn Store) -> Result<Taken, Failure> {
    let mut taken = Taken::default();
    let mut after = None;
    loop {
        let page = store.jobs(after, PAGE, false).await.map_err(|error| {
            Failure::context(Exit::Unavailable, error, "the store can't be read")
        })?;
        for job in page.items {
            let record = job.record;
            after = Some(record.job_id);
            taken.keys.insert(record.key, record.job_id);
            taken.names.insert(record.name, record.job_id);
        }
        if !page.more {
            return Ok(taken);
        }
    }
}

fn show(report: &Report, format: Format, page: Option<File>) -> Result<(), Failure> {
    if let Some(mut file) = page {
        let written = file.write_all(html::page(report).as_bytes());
        written.map_err(|error| {
            Failure::context(
                Exit::Unavailable,
                error,
                "the report's file can't be written",
            )
        })?;
    }
    match format {
        Format::Text => say!("{}", text::render(report)),
        Format::Json => say!("{:#}", serde_json::json!(report)),
    }
    Ok(())
}
