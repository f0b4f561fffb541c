//! `POST /api/v2/import`: jobs of V1 with their history and connections, all in one
//! step or not at all. What is there already stays as it is, so that an import that
//! is sent again changes nothing. Never starts a run.

mod lines;
mod ready;
mod spool;
mod wire;

use std::collections::HashSet;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use jobcell_model::JobId;
use jobcell_store::{CreateJobError, Fed, ImportError, Imported, ImportedRun};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinError;

use self::lines::{Opened, Runs, Wrong};
use self::ready::{Owners, Ready};
use crate::Api;
use crate::body;
use crate::error::ApiError;
use crate::extract::Parameters;
use crate::views::{Reply, VERSION};

pub use wire::{IMPORT_MEDIA_TYPE, IMPORT_VERSION};
pub use wire::{ImportConnection, ImportCounts, ImportJob, ImportLine};

/// Runs on their way from the file to the store. Few: each may be as long as a line.
const ON_THEIR_WAY: usize = 16;
/// The longest that `noted` and the other texts of a run may be, but for its output.
const LONGEST_TEXT: usize = 4 << 20;

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/api/v2/import", post(import))
}

#[derive(Serialize)]
struct Done {
    success: bool,
    version: &'static str,
    dry_run: bool,
    connections: Connections,
    jobs: Jobs,
    runs: Counted,
}

#[derive(Serialize)]
struct Connections {
    added: Vec<String>,
    present: Vec<String>,
    configured: Vec<String>,
}

#[derive(Serialize)]
struct Jobs {
    added: Vec<JobId>,
    present: Vec<JobId>,
}

#[derive(Default, Serialize)]
struct Counted {
    added: u64,
    present: u64,
}

async fn import(
    State(api): State<Api>,
    mut parameters: Parameters,
    request: Request,
) -> Result<impl IntoResponse, ApiError> {
    let dry_run = parameters.switch("dry_run", false)?;
    // A misspelt `dry_run` must not write.
    parameters.nothing_more()?;
    let (parts, body) = request.into_parts();
    let Ok(_turn) = api.import().turn.try_acquire() else {
        body::discard(&parts.headers, body).await;
        let error = "another import goes on; try again when it is over";
        return Err(ApiError::conflict("import_busy", error));
    };
    if !is_import(&parts.headers) {
        body::discard(&parts.headers, body).await;
        return Err(body::unsupported(&parts.headers, IMPORT_MEDIA_TYPE));
    }
    let file = spool::take(&api, &parts.headers, body).await?;
    let opened = tokio::task::spawn_blocking(move || lines::open(file)).await;
    let Opened {
        connections,
        jobs,
        runs,
    } = opened.map_err(failed)??;
    let ready = ready::check(&api, connections, jobs).await?;
    Ok(Reply(if dry_run {
        looked(&api, ready, runs).await?
    } else {
        taken(&api, ready, runs).await?
    }))
}

fn is_import(headers: &HeaderMap) -> bool {
    body::essence(headers).is_some_and(|essence| essence == IMPORT_MEDIA_TYPE)
}

/// Says what would be taken over.
async fn looked(api: &Api, ready: Ready, runs: Runs) -> Result<Done, ApiError> {
    let mut counted = Counted::default();
    let mut reading = Reading::of(runs, ready.owners);
    let mut seen = HashSet::new();
    while let Some(run) = reading.next().await? {
        let id = run.execution.execution_id;
        let is_new = seen.insert(id) && api.engine().store().execution(id).await?.is_none();
        *(if is_new {
            &mut counted.added
        } else {
            &mut counted.present
        }) += 1;
    }
    Ok(Done {
        success: true,
        version: VERSION,
        dry_run: true,
        connections: Connections {
            added: names(&ready.connections),
            present: ready.present_connections,
            configured: ready.configured_connections,
        },
        jobs: Jobs {
            added: ready.jobs.iter().map(|job| job.record().job_id).collect(),
            present: ready.present_jobs,
        },
        runs: counted,
    })
}

/// Takes it over.
async fn taken(api: &Api, ready: Ready, runs: Runs) -> Result<Done, ApiError> {
    let Ready {
        connections,
        mut present_connections,
        configured_connections,
        jobs,
        mut present_jobs,
        owners,
        ..
    } = ready;
    let asked: Vec<JobId> = jobs.iter().map(|job| job.record().job_id).collect();
    let named = names(&connections);
    let (to, fed) = mpsc::channel(ON_THEIR_WAY);
    let taking = async {
        match api.connections() {
            Some(all) => all.take_over(api.engine(), connections, jobs, fed).await,
            None => api.engine().take_over(connections, jobs, fed).await,
        }
    };
    let (fed, imported) = tokio::join!(feed(owners, runs, to), taking);
    fed?;
    let imported = imported?;
    log(&imported);
    // Some may have come from elsewhere meanwhile.
    let jobs: HashSet<&JobId> = imported.jobs.iter().collect();
    present_jobs.extend(asked.into_iter().filter(|id| !jobs.contains(id)));
    let added: HashSet<&String> = imported.connections.iter().collect();
    present_connections.extend(named.into_iter().filter(|name| !added.contains(name)));
    Ok(Done {
        success: true,
        version: VERSION,
        dry_run: false,
        connections: Connections {
            added: imported.connections,
            present: present_connections,
            configured: configured_connections,
        },
        jobs: Jobs {
            added: imported.jobs,
            present: present_jobs,
        },
        runs: Counted {
            added: imported.runs,
            present: imported.runs_present,
        },
    })
}

fn names(connections: &[jobcell_model::ConnectionRecord]) -> Vec<String> {
    connections.iter().map(|one| one.name.clone()).collect()
}

fn log(imported: &Imported) {
    tracing::info!(
        connections = imported.connections.len(),
        jobs = imported.jobs.len(),
        runs = imported.runs,
        "an import was taken over"
    );
}

/// Gives the runs to the store. Whoever goes away before the end of them, as this
/// does when it fails or its client is gone, undoes the import.
async fn feed(owners: Owners, runs: Runs, to: mpsc::Sender<Fed>) -> Result<(), ApiError> {
    let mut reading = Reading::of(runs, owners);
    while let Some(run) = reading.next().await? {
        if to.send(Fed::Run(run)).await.is_err() {
            // The store has failed, and says why.
            return Ok(());
        }
    }
    drop(to.send(Fed::End).await);
    Ok(())
}

/// Runs that are read where blocking harms nobody. Dropped, it stops that. While the
/// store waits for runs nothing here asks it anything.
struct Reading {
    runs: mpsc::Receiver<Result<Box<ImportedRun>, Wrong>>,
    reader: tokio::task::JoinHandle<()>,
}

impl Reading {
    fn of(mut from: Runs, owners: Owners) -> Self {
        let (to, runs) = mpsc::channel(ON_THEIR_WAY);
        let reader = tokio::task::spawn_blocking(move || {
            while let Some(next) = next_of(&mut from, &owners).transpose() {
                let last = next.is_err();
                if to.blocking_send(next).is_err() || last {
                    return;
                }
            }
        });
        Self { runs, reader }
    }

    /// The next run as the history will have it; none after the last.
    async fn next(&mut self) -> Result<Option<Box<ImportedRun>>, ApiError> {
        match self.runs.recv().await {
            Some(run) => Ok(Some(run?)),
            // Only one that came to its end has told of all runs.
            None => (&mut self.reader).await.map(|()| None).map_err(failed),
        }
    }
}

fn next_of(runs: &mut Runs, owners: &Owners) -> Result<Option<Box<ImportedRun>>, Wrong> {
    let Some(run) = runs.next()? else {
        return Ok(None);
    };
    let (id, job_id) = (run.execution_id, run.job_id);
    let texts = [
        run.noted.to_string().len(),
        run.error_message.as_ref().map_or(0, String::len),
        run.job_name.len(),
        run.execution_timezone.len(),
    ];
    let wrong = if !run.status.is_final() {
        "has not ended"
    } else if run.end_time < run.start_time || run.duration_seconds < 0.0 {
        "ended before it started"
    } else if !run.noted.is_object() {
        "has a `noted` that is no JSON object"
    } else if texts.iter().any(|length| *length > LONGEST_TEXT) {
        "has a text other than its output that is longer than 4 MiB"
    } else if let Some((key, of)) = owners.get(&job_id) {
        let (execution, output) = run.into_history(key.clone(), of.clone());
        return Ok(Some(Box::new(ImportedRun { execution, output })));
    } else {
        "belongs to a job that did not come before it"
    };
    Err(runs.wrong(format!("the run {id} {wrong}")))
}

fn failed(error: JoinError) -> ApiError {
    tracing::error!(%error, "an import can't be read");
    ApiError::internal(
        "import_failed",
        "the import can't be read; see the server's log",
    )
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let sentence = match source {
            Some(source) => format!("nothing was taken over: {error}: {source}"),
            None => format!("nothing was taken over: {error}"),
        };
        match error {
            ImportError::Storage(error) | ImportError::Job(CreateJobError::Storage(error)) => {
                error.into()
            }
            ImportError::Connection(_) | ImportError::Job(_) | ImportError::NotEnded { .. } => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Self::new(status, "import_refused", sentence)
            }
            ImportError::Disturbed => Self::unavailable("import_disturbed", sentence),
            ImportError::Unfinished => Self::internal("import_failed", sentence),
        }
    }
}
