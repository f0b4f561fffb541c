//! `jobcell migrate`: V1's jobs and runs into a data folder. Never writes to V1,
//! never starts a job.

mod choice;
mod database;
mod dump;
mod html;
mod links;
mod report;
mod runs;
mod samples;
mod source;
mod text;
mod v1;
mod writing;

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use chrono::Utc;
use jobcell_engine::connections::Connections;
use jobcell_engine::{Engine, ForeignJob};
use jobcell_migrate::{Broken, Converted, Outcome, Reason, Taken, V1Connection, V1Job};
use jobcell_model::JobRecord;
use jobcell_store::{OpenError, RedbStore, Store};
use serde_json::Value;

use crate::args::{Format, Migrate, Samples};
use crate::compose::{self, DataFolder};
use crate::config::Config;
use crate::databases;
use crate::exit::{Exit, Failure};
use crate::out::say;
use choice::Only;
use report::{Connection, Counts, Report};
use runs::Owners;
use source::Source;
use v1::{Table, V1};
use writing::Ready;

/// How many jobs are read from the store at a time.
const PAGE: usize = 1000;

pub(super) fn run(options: Migrate, config: &Config) -> Result<Exit, Failure> {
    let source = source_of(&options)?;
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
        let report = migrate(&options, source, &data, &engine, config, sealing.as_ref()).await;
        store.close().await;
        report
    })?;
    show(&report, options.format, page)?;
    Ok(if report.is_whole() {
        Exit::Success
    } else {
        Exit::Incomplete
    })
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
        let store = RedbStore::in_memory()
            .map_err(|error| Failure::context(Exit::Internal, error, "no store in memory"))?;
        return Ok(Arc::new(store));
    }
    let path = data.path().display();
    compose::open_store(data).map_err(|failure| {
        if failure.is::<OpenError>(|error| matches!(error, OpenError::InUse { .. })) {
            let message = format!("another jobcell uses the data folder {path}: stop the server, migrate, and start it again");
            return Failure::message(Exit::Unavailable, message);
        }
        failure
    })
}

async fn migrate(
    options: &Migrate,
    source: Option<Source>,
    data: &DataFolder,
    engine: &Engine,
    config: &Config,
    sealing: Option<&Connections>,
) -> Result<Report, Failure> {
    let taken = taken(engine.store()).await?;
    let mut report = Report {
        dry_run: options.dry_run,
        from: options.from.as_deref().map(source::without_password),
        data: data.path().display().to_string(),
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
    };
    let mut v1 = match source {
        Some(source) => Some(V1::open(source).await?),
        None => None,
    };
    let mut ready = match &mut v1 {
        Some(v1) => read(v1, options, engine, config, &taken, &mut report).await?,
        None => Ready::default(),
    };
    if options.samples != Samples::None {
        samples::add(engine, &taken, &mut ready, &mut report).await?;
    }
    writing::write(
        v1.as_mut(),
        options,
        engine,
        ready,
        &taken,
        sealing,
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
    config: &Config,
    taken: &Taken,
    report: &mut Report,
) -> Result<Ready, Failure> {
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
    let jobs = check(engine, &mut converted.outcomes).await;
    let mut owners = Owners::of(&converted.outcomes);
    for job in left_out {
        owners.leave_out(job.job_id.as_deref());
    }
    Ok(Ready {
        connections: links::converted(&connections, config, report),
        history: only.history,
        outcomes: converted.outcomes,
        jobs,
        owners,
    })
}

/// Has the plugins judge the jobs, as they would be when they are created. What
/// they refuse is broken after all.
async fn check(engine: &Engine, outcomes: &mut [Outcome]) -> Vec<ForeignJob> {
    let mut jobs = Vec::new();
    for outcome in outcomes {
        let Outcome::Migrated(job) = outcome else {
            continue;
        };
        match engine.check_foreign(record(job)).await {
            Ok(checked) => {
                jobs.push(checked);
                // Nobody looks at it again, and there may be many.
                job.raw = Value::Null;
            }
            Err(problems) => {
                let problem = problems.first().map(|problem| problem.message.clone());
                let problem = problem.unwrap_or_default();
                *outcome = Outcome::Broken(Broken {
                    job_id: job.original_job_id.take(),
                    name: Some(std::mem::take(&mut job.name)),
                    reasons: vec![Reason::Refused { problem }],
                    keepable: false,
                    raw: std::mem::take(&mut job.raw),
                });
            }
        }
    }
    jobs
}

fn record(job: &mut Converted) -> JobRecord {
    JobRecord {
        job_id: job.job_id,
        key: job.key.clone(),
        name: job.name.clone(),
        description: job.description.clone(),
        job_type: job.job_type.to_owned(),
        enabled: job.enabled,
        yaml_configuration: std::mem::take(&mut job.yaml),
        revision: 1,
        created_date: job.created,
        modified_date: job.modified,
        taken_over_date: None,
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
