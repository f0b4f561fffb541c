//! The open connections to one server: as many as it may have, closed when
//! they were idle for long, tried before they are used again. Never hands out
//! a connection on which another run left something.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Manager, Metrics, Object, PoolError, RecycleError, RecycleResult};
use jobcell_model::OutputStream;
use jobcell_plugin_host::RunScope;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Link, PROMPT, Server};
use crate::config::ServerConfig;
use crate::error::SqlError;

/// A connection that was used within this time needs not be tried.
const FRESH: Duration = Duration::from_secs(5);
/// A wait for a connection that is not worth a word.
const SHORT: Duration = Duration::from_millis(50);

/// One named server's connections.
pub(crate) struct Pool {
    name: String,
    server: Arc<dyn Server>,
    links: managed::Pool<Links>,
    idle: Duration,
    /// How long one statement may take.
    pub(crate) statement_timeout: Option<Duration>,
    /// Whether somebody closes idle connections already.
    tidied: AtomicBool,
    tasks: TaskTracker,
    closing: CancellationToken,
}

/// Makes connections for the pool.
struct Links {
    name: String,
    server: Arc<dyn Server>,
    connect_timeout: Duration,
    idle: Duration,
}

/// A connection in use. Given back, it is cleaned and kept; dropped, it is
/// closed at once, which rolls back what is open.
pub(crate) struct Leased(Option<Object<Links>>);

impl Pool {
    pub(crate) fn new(name: &str, config: &ServerConfig, server: Arc<dyn Server>) -> Arc<Self> {
        let links = Links {
            name: name.to_owned(),
            server: Arc::clone(&server),
            connect_timeout: config.connect_timeout,
            idle: config.idle_time,
        };
        let links = managed::Pool::builder(links)
            .max_size(config.max_open.max(1))
            .build();
        Arc::new(Self {
            name: name.to_owned(),
            server,
            links: links.expect("nothing but a timeout without a runtime is refused"),
            idle: config.idle_time,
            statement_timeout: config.statement_timeout,
            tidied: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        })
    }

    pub(crate) fn server(&self) -> &Arc<dyn Server> {
        &self.server
    }

    /// A connection, as soon as there is one; the wait is noted in the run's log.
    pub(crate) async fn acquire(self: &Arc<Self>, scope: &RunScope) -> Result<Leased, SqlError> {
        self.tidy();
        let begun = Instant::now();
        let link = tokio::select! {
            biased;
            reason = scope.stopped() => return Err(SqlError::Stopped(reason)),
            link = self.links.get() => link.map_err(|error| self.explain(error))?,
        };
        let waited = begun.elapsed();
        // One that is new took its time to be opened.
        let was_in_use = Object::metrics(&link).recycle_count > 0;
        if was_in_use && waited > SHORT {
            let line = format!(
                "waited {:.3} s for one of the {} connections to `{}`",
                waited.as_secs_f64(),
                self.links.status().max_size,
                self.name
            );
            scope.output().write(OutputStream::Log, line.as_bytes());
        }
        Ok(Leased(Some(link)))
    }

    /// Follows work of this pool to its end, so that a close can wait for it.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    /// Closes all connections that are idle, and the others when they are
    /// given back.
    pub(crate) fn retire(&self) {
        self.closing.cancel();
        self.links.close();
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// The same, and waits for what still works for it.
    pub(crate) async fn close(&self) {
        self.retire();
        self.tasks.close();
        // What is stopped on the server is given up on in time.
        drop(tokio::time::timeout(2 * PROMPT, self.tasks.wait()).await);
    }

    fn explain(&self, error: PoolError<SqlError>) -> SqlError {
        match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(_) | PoolError::Closed | PoolError::PostCreateHook(_) => {
                SqlError::CannotOpen {
                    name: self.name.clone(),
                    reason: "its connections are being closed".to_owned(),
                }
            }
            PoolError::NoRuntimeSpecified => SqlError::Lost,
        }
    }

    /// Has idle connections closed from the first use on.
    fn tidy(self: &Arc<Self>) {
        if self.tidied.swap(true, Ordering::Relaxed) {
            return;
        }
        let (pool, closing) = (Arc::downgrade(self), self.closing.clone());
        let pause = (self.idle / 2).clamp(Duration::from_millis(100), Duration::from_secs(60));
        self.spawn(async move {
            while closing
                .run_until_cancelled(tokio::time::sleep(pause))
                .await
                .is_some()
            {
                let Some(pool) = Weak::upgrade(&pool) else {
                    return;
                };
                let idle = pool.idle;
                pool.links.retain(|_, used| used.last_used() < idle);
            }
        });
    }
}

impl Manager for Links {
    type Type = Box<dyn Link>;
    type Error = SqlError;

    async fn create(&self) -> Result<Box<dyn Link>, SqlError> {
        match tokio::time::timeout(self.connect_timeout, self.server.connect()).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(error)) => Err(error.named(&self.name)),
            Err(_) => Err(SqlError::CannotOpen {
                name: self.name.clone(),
                reason: format!(
                    "the server did not answer within {} s; check its address, or raise `connectTimeout`",
                    self.connect_timeout.as_secs_f64()
                ),
            }),
        }
    }

    async fn recycle(&self, link: &mut Box<dyn Link>, used: &Metrics) -> RecycleResult<SqlError> {
        if !link.is_usable() || used.last_used() >= self.idle {
            return Err(RecycleError::message("it was idle for too long"));
        }
        if used.last_used() < FRESH {
            return Ok(());
        }
        match tokio::time::timeout(PROMPT, link.ping()).await {
            Ok(answer) => answer.map_err(RecycleError::Backend),
            Err(_) => Err(RecycleError::message("it does not answer")),
        }
    }
}

impl Leased {
    /// The connection.
    pub(crate) fn link(&mut self) -> Result<&mut dyn Link, SqlError> {
        match &mut self.0 {
            Some(link) => Ok(&mut ***link),
            None => Err(SqlError::Lost),
        }
    }

    /// Cleans it and gives it back; a connection that can't be cleaned is closed.
    pub(crate) async fn give_back(mut self) {
        let Some(link) = self.0.as_mut().filter(|link| link.is_usable()) else {
            return;
        };
        match tokio::time::timeout(PROMPT, link.clean()).await {
            Ok(Ok(())) => drop(self.0.take()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection can't be cleaned; it is closed");
            }
            Err(_) => tracing::warn!("a server does not answer; its connection is closed"),
        }
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        if let Some(link) = self.0.take() {
            drop(Object::take(link));
        }
    }
}
