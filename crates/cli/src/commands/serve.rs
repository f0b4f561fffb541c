//! `jobcell serve`: opens the store, listens, and ends in order.

use std::sync::Arc;
use std::time::Duration;

use jobcell_api::{ApiConfig, Sample};
use jobcell_engine::Engine;
use jobcell_store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::args::Serve;
use crate::compose::{self, DataFolder};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::samples;

/// How long clients have to read their last replies once all runs have ended.
const REPLY_GRACE: Duration = Duration::from_secs(10);

pub(super) fn run(options: Serve, mut config: Config) -> Result<Exit, Failure> {
    config.listen = options.listen.unwrap_or(config.listen);
    if !config.listen.ip().is_loopback() {
        return Err(Failure::message(
            Exit::Usage,
            format!(
                "{} is not a loopback address; without tokens anybody who reaches it could run \
                 jobs, so only loopback addresses such as 127.0.0.1:5000 are served",
                config.listen
            ),
        ));
    }
    let data = DataFolder::choose(options.data.folder, &config)?;
    data.create()?;
    let store = compose::open_store(&data)?;
    let job_types = compose::job_types(&config, &data)?;
    compose::runtime()?.block_on(async {
        let engine = compose::engine(&config, job_types, Arc::clone(&store)).await?;
        let listener = bind(&config).await?;
        announce(&listener, &data)?;
        serve(listener, engine, store, &config).await
    })
}

async fn bind(config: &Config) -> Result<TcpListener, Failure> {
    TcpListener::bind(config.listen).await.map_err(|error| {
        let doing = format!("the address {} can't be listened on", config.listen);
        Failure::context(Exit::Unavailable, error, doing)
    })
}

#[expect(
    clippy::print_stdout,
    reason = "scripts read the address from this line"
)]
fn announce(listener: &TcpListener, data: &DataFolder) -> Result<(), Failure> {
    let address = listener
        .local_addr()
        .map_err(|error| Failure::context(Exit::Internal, error, "the address is not known"))?;
    tracing::info!(%address, data = %data.path().display(), "serving");
    println!("jobcell is ready on http://{address}");
    Ok(())
}

/// Serves until a signal or a failure, then ends in this order:
///
/// 1. no new runs start;
/// 2. no new connections are taken;
/// 3. runs that go on may finish within the grace period, then are ended and
///    recorded as interrupted;
/// 4. clients that wait for a run get their replies;
/// 5. the store writes what it was given, and closes.
///
/// A second signal ends the process at once.
async fn serve(
    listener: TcpListener,
    engine: Engine,
    store: Arc<dyn Store>,
    config: &Config,
) -> Result<Exit, Failure> {
    let stop = CancellationToken::new();
    let router = jobcell_api::router(engine.clone(), api_config(config));
    // Requests that wait for a run last as long as the run may.
    let drain = config.shutdown_grace + config.limits.resolve().stop_grace + REPLY_GRACE;
    let mut server = tokio::spawn(jobcell_api::serve(listener, router, stop.clone(), drain));
    let early = tokio::select! {
        served = &mut server => Some(served),
        signal = signal() => {
            tracing::info!(signal, running = engine.running(), "shutting down");
            None
        }
    };
    tokio::spawn(async {
        let signal = signal().await;
        tracing::warn!(signal, "second signal: ending at once");
        std::process::exit(Exit::Cancelled as i32);
    });
    engine.close();
    stop.cancel();
    let drained = engine.drain(config.shutdown_grace).await;
    if drained.interrupted > 0 {
        tracing::warn!(
            runs = drained.interrupted,
            "runs were ended by the shutdown"
        );
    }
    let served = match early {
        Some(served) => served,
        None => server.await,
    };
    store.close().await;
    tracing::info!("ended");
    match served {
        Ok(Ok(())) => Ok(Exit::Success),
        Ok(Err(error)) => Err(Failure::context(Exit::Unavailable, error, "serving failed")),
        Err(error) => Err(Failure::context(
            Exit::Internal,
            error,
            "the server's task failed",
        )),
    }
}

fn api_config(config: &Config) -> ApiConfig {
    let samples = samples::ALL.iter();
    ApiConfig {
        allowed_hosts: config.allowed_hosts.clone(),
        allowed_origins: config.allowed_origins.clone(),
        body_limit: usize::try_from(config.body_limit.as_u64()).unwrap_or(usize::MAX),
        samples: samples
            .map(|sample| Sample {
                slug: sample.slug.to_owned(),
                yaml: sample.yaml.to_owned(),
            })
            .collect(),
        ..ApiConfig::default()
    }
}

#[cfg(unix)]
async fn signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = tokio::signal::ctrl_c() => "SIGINT",
    }
}

#[cfg(not(unix))]
async fn signal() -> &'static str {
    match tokio::signal::ctrl_c().await {
        Ok(()) => "Ctrl-C",
        Err(_) => std::future::pending().await,
    }
}
