//! Serves the API on a listener: HTTP/1.1 with keep-alive, bounds on slow and
//! many clients, and an end that lets requests finish. Never binds an address.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Service;

/// How long the head of a request may take, from the moment its connection is
/// free for it. Also ends connections that idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most connections at a time; more wait in the system's queue.
const CONNECTIONS: usize = 4096;
/// How long a client may take at the shutdown to read the rest of a stream of
/// events. It would not do so in any time if it does not read at all.
const STREAM_GRACE: Duration = Duration::from_secs(1);
/// The pause after a connection could not be taken, for instance because the
/// process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serving did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Connections had to be cut because the time to end them was over.
    #[error("{connections} connections were cut: they had not ended {} s after the shutdown began", .drain.as_secs())]
    Cut {
        /// How many.
        connections: usize,
        /// The time they had.
        drain: Duration,
    },
}

/// Serves until `shutdown`, then takes no more connections, ends those that
/// idle, and lets requests that go on finish within `drain`. Streams of events,
/// which may last for ever and can be taken up elsewhere, are not waited for.
///
/// # Errors
/// When connections had to be cut at the end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    drain: Duration,
) -> Result<(), ServeError> {
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next() => log_end(ended),
            (slot, stream) = accept(&listener, &slots) => {
                let watcher = graceful.watcher();
                let shutdown = shutdown.clone();
                let conversation = converse(stream, router.clone(), watcher, shutdown, slot);
                connections.spawn(conversation);
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown())
        .await
        .is_ok()
    {
        return Ok(());
    }
    let cut = connections.len();
    connections.shutdown().await;
    Err(ServeError::Cut {
        connections: cut,
        drain,
    })
}

/// Waits for a free slot and a connection to fill it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, TcpStream) {
    // The semaphore is never closed, so there is always a permit in the end.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (slot, stream),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection from its first request to its last.
async fn converse(
    stream: TcpStream,
    router: Router,
    watcher: Watcher,
    shutdown: CancellationToken,
    _slot: Option<OwnedSemaphorePermit>,
) {
    let peer = stream.peer_addr().ok();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let streams = AtomicBool::new(false);
    let service = hyper::service::service_fn(|request: hyper::Request<Incoming>| {
        let reply = router.clone().call(request.map(Body::new));
        let streams = &streams;
        async move {
            let reply = reply.await.unwrap_or_else(|never| match never {});
            streams.store(is_stream(&reply), Ordering::Relaxed);
            Ok::<_, Infallible>(reply)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        biased;
        ended = watcher.watch(connection) => {
            if let Err(error) = ended {
                // Clients that go away are everyday events.
                log_failure(peer, &error);
            }
        }
        () = too_late(&shutdown, &streams) => {
            tracing::debug!(?peer, "a stream of events was cut: its client did not read");
        }
    }
}

fn is_stream(reply: &Response) -> bool {
    let stream = HeaderValue::from_static("text/event-stream");
    reply.headers().get(CONTENT_TYPE) == Some(&stream)
}

/// Waits until a connection holds up the shutdown by a stream of events.
async fn too_late(shutdown: &CancellationToken, streams: &AtomicBool) {
    shutdown.cancelled().await;
    tokio::time::sleep(STREAM_GRACE).await;
    if !streams.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

fn log_failure(peer: Option<SocketAddr>, error: &hyper::Error) {
    tracing::debug!(?peer, %error, "a connection failed");
}

fn log_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the task of a connection failed");
    }
}
