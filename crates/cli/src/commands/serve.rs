//! `jobcell serve`: opens the store, listens, and ends in order.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jobcell_api::{ApiConfig, Sample};
use jobcell_engine::Engine;
use jobcell_engine::connections::Connections;
use jobcell_store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::args::Serve;
use crate::compose::{self, DataFolder};
use crate::config::Config;
use crate::databases;
use crate::exit::{Exit, Failure};
use crate::out::say;
use crate::samples;
use crate::signals::Signals;

/// How long clients have to read their last replies once all runs have ended.
const REPLY_GRACE: Duration = Duration::from_secs(10);
/// How long a hurried end may take once all runs have ended.
const LAST_WORDS: Duration = Duration::from_secs(3);

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
    // The store is there by now, and becomes its owner's alone.
    data.let_users_pass(&config)?;
    let sql = databases::configured(&config, &data);
    let job_types = compose::job_types(&config, &data, &sql)?;
    compose::runtime()?.block_on(async {
        // Before any run can ask for one.
        let connections = databases::connections(&config, &data, Arc::clone(&store), sql).await?;
        let engine = compose::engine(&config, job_types, Arc::clone(&store)).await?;
        let listener = bind(&config).await?;
        // Before anybody knows that it is there, or a signal could come too early.
        let signals = Signals::listen().map_err(|error| {
            Failure::context(Exit::Internal, error, "signals can't be listened for")
        })?;
        announce(&listener, &data)?;
        let api = api_config(&config, &data, connections);
        serve(listener, engine, store, &config, api, signals).await
    })
}

async fn bind(config: &Config) -> Result<TcpListener, Failure> {
    TcpListener::bind(config.listen).await.map_err(|error| {
        let doing = format!("the address {} can't be listened on", config.listen);
        Failure::context(Exit::Unavailable, error, doing)
    })
}

fn announce(listener: &TcpListener, data: &DataFolder) -> Result<(), Failure> {
    let address = listener
        .local_addr()
        .map_err(|error| Failure::context(Exit::Internal, error, "the address is not known"))?;
    tracing::info!(%address, data = %data.path().display(), "serving");
    say!("jobcell is ready on http://{address}");
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
/// A second signal ends the runs without a grace period, a third the process.
async fn serve(
    listener: TcpListener,
    engine: Engine,
    store: Arc<dyn Store>,
    config: &Config,
    api: ApiConfig,
    mut signals: Signals,
) -> Result<Exit, Failure> {
    let stop = CancellationToken::new();
    let router = jobcell_api::router(engine.clone(), api);
    // Requests that wait for a run last as long as the run may.
    let drain = config
        .shutdown_grace
        .saturating_add(config.limits.resolve().stop_grace)
        .saturating_add(REPLY_GRACE);
    let mut server = tokio::spawn(jobcell_api::serve(listener, router, stop.clone(), drain));
    let early = tokio::select! {
        served = &mut server => Some(served),
        signal = signals.next() => {
            tracing::info!(signal, running = engine.running(), "shutting down");
            None
        }
    };
    let stop_grace = config.limits.resolve().stop_grace;
    tokio::spawn(hurry(engine.clone(), stop_grace, signals));
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
        Ok(Err(error)) => {
            // Their clients did not read; all else ended in order.
            tracing::warn!(%error, "clients were cut off");
            Ok(Exit::Success)
        }
        Err(error) => Err(Failure::context(
            Exit::Internal,
            error,
            "the server's task failed",
        )),
    }
}

/// Ends runs at a second signal instead of at the end of their grace period, and
/// the process at a third, or when they do not end in time.
async fn hurry(engine: Engine, stop_grace: Duration, mut signals: Signals) {
    let signal = signals.next().await;
    tracing::warn!(signal, "second signal: ending what still runs");
    tokio::select! {
        _ = engine.drain(Duration::ZERO) => tokio::time::sleep(LAST_WORDS).await,
        () = tokio::time::sleep(stop_grace.saturating_add(LAST_WORDS)) => {}
        signal = signals.next() => {
            tracing::warn!(signal, "third signal: ending at once");
        }
    }
    std::process::exit(Exit::Cancelled as i32);
}

fn api_config(config: &Config, data: &DataFolder, connections: Connections) -> ApiConfig {
    let samples = samples::ALL.iter();
    // The address that it listens on is always a name of its own.
    let own = match config.listen.ip() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let mut allowed_hosts = config.allowed_hosts.clone();
    allowed_hosts.push(own);
    ApiConfig {
        allowed_hosts,
        allowed_origins: config.allowed_origins.clone(),
        body_limit: usize::try_from(config.body_limit.as_u64()).unwrap_or(usize::MAX),
        import_limit: config.import_limit.as_u64(),
        // Where what comes of it goes: in the system's own folder, it might fill
        // the memory.
        import_folder: Some(data.path().to_owned()),
        samples: samples
            .map(|sample| Sample {
                slug: sample.slug.to_owned(),
                yaml: sample.yaml.to_owned(),
            })
            .collect(),
        connections: Some(connections),
        ..ApiConfig::default()
    }
}
