//! The V2 REST API: routes, replies, errors, and the loop that serves them.
//! Never decides whether a job may run, never names a database file or a
//! plugin: all it does is ask the engine and put the answer into JSON.

mod artifacts;
mod body;
mod connections;
mod error;
mod executions;
mod extract;
mod frame;
mod guard;
mod health;
mod history;
mod import;
mod job_types;
mod jobs;
mod members;
mod plain;
mod runs;
mod samples;
mod schedules;
mod server;
mod stream;
mod views;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use jobcell_engine::Engine;
use jobcell_engine::connections::Connections;
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::error::ApiError;
use crate::guard::Access;
use crate::samples::SampleView;

pub use import::{
    IMPORT_MEDIA_TYPE, IMPORT_VERSION, ImportConnection, ImportCounts, ImportJob, ImportLine,
};
pub use server::{ServeError, serve};

/// What an admin may set of the API.
#[derive(Clone)]
pub struct ApiConfig {
    /// Names besides `localhost`, `127.0.0.1` and `[::1]` that a request may
    /// be for, without port: what the `Host` header is checked against.
    pub allowed_hosts: Vec<String>,
    /// Origins besides the server's own whose pages may call it, e.g.
    /// `https://jobs.example`: for a proxy that hides the name from the server.
    pub allowed_origins: Vec<String>,
    /// The largest body of a request, in bytes (2 MiB).
    pub body_limit: usize,
    /// How long a body may take to arrive (30 s).
    pub body_timeout: Duration,
    /// The largest import, in bytes (4 GiB).
    pub import_limit: u64,
    /// Where an import is kept while it arrives, in a file without a name; the
    /// system's folder for such files without it.
    pub import_folder: Option<PathBuf>,
    /// What `GET /api/v2/jobs/samples` shows.
    pub samples: Vec<Sample>,
    /// The databases that jobs may use; without any, nothing of them is served.
    pub connections: Option<Connections>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            body_limit: 2 << 20,
            body_timeout: Duration::from_secs(30),
            import_limit: 4 << 30,
            import_folder: None,
            samples: Vec::new(),
            connections: None,
        }
    }
}

/// A sample job.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its key in the reply: `powershell`.
    pub slug: String,
    /// Its YAML, which also names and describes it.
    pub yaml: String,
}

/// What every handler is given. A cheap handle.
#[derive(Clone)]
pub(crate) struct Api(Arc<Shared>);

struct Shared {
    engine: Engine,
    access: Access,
    body_limit: usize,
    body_timeout: Duration,
    import: Importing,
    samples: Vec<SampleView>,
    connections: Option<Connections>,
}

/// How imports are taken.
pub(crate) struct Importing {
    /// One at a time.
    pub(crate) turn: Semaphore,
    pub(crate) limit: u64,
    pub(crate) folder: Option<PathBuf>,
}

impl Api {
    fn new(engine: Engine, config: ApiConfig) -> Self {
        let samples = samples::describe(&engine, config.samples);
        Self(Arc::new(Shared {
            engine,
            access: Access::new(&config.allowed_hosts, &config.allowed_origins),
            body_limit: config.body_limit,
            body_timeout: config.body_timeout,
            import: Importing {
                turn: Semaphore::new(1),
                limit: config.import_limit,
                folder: config.import_folder,
            },
            samples,
            connections: config.connections,
        }))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn access(&self) -> &Access {
        &self.0.access
    }

    pub(crate) fn body_limit(&self) -> usize {
        self.0.body_limit
    }

    pub(crate) fn body_timeout(&self) -> Duration {
        self.0.body_timeout
    }

    pub(crate) fn import(&self) -> &Importing {
        &self.0.import
    }

    pub(crate) fn connections(&self) -> Option<&Connections> {
        self.0.connections.as_ref()
    }

    pub(crate) fn samples(&self) -> &[SampleView] {
        &self.0.samples
    }
}

/// The API over an engine.
pub fn router(engine: Engine, config: ApiConfig) -> Router {
    let api = Api::new(engine, config);
    let routes = Router::new()
        .merge(samples::routes())
        .merge(schedules::routes())
        .merge(jobs::routes())
        .merge(runs::routes())
        .merge(history::routes())
        .merge(import::routes())
        .merge(executions::routes())
        .merge(stream::routes())
        .merge(artifacts::routes())
        .merge(connections::routes())
        .merge(job_types::routes())
        .merge(health::routes());
    framed(routes, api)
}

/// Adds what every route has: replies of our own for what no route takes, and
/// the frame around all.
fn framed(routes: Router<Api>, api: Api) -> Router {
    routes
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(
            ServiceBuilder::new()
                .layer(from_fn_with_state(api.clone(), frame::frame))
                .layer(CatchPanicLayer::custom(frame::panicked)),
        )
        .with_state(api)
}

async fn unknown_route(uri: Uri) -> ApiError {
    let path = extract::shortened(uri.path());
    ApiError::new(
        StatusCode::NOT_FOUND,
        "route_not_found",
        format!("there is nothing at `{path}`; the API begins at /api/v2/jobs"),
    )
}

async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    let path = extract::shortened(uri.path());
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("`{path}` does not take {method}; the header `Allow` names what it takes"),
    )
}
