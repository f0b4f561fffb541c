//! The open connections of one SQLite database, each on a thread of its own,
//! and what is known of the statements they compiled. Never runs a statement.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use jobcell_plugin_host::RunScope;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::config::SqliteOptions;
use crate::error::SqlError;
use crate::sqlite::control::Control;
use crate::sqlite::open::Opening;
use crate::sqlite::prepared::Prepared;
use crate::sqlite::worker::{Command, Worker};

/// One named SQLite database, opened as often as runs need it at one time.
pub struct Pool {
    name: String,
    opening: Opening,
    permits: Arc<Semaphore>,
    /// The most recently used last, so that the rest can be closed.
    idle: Mutex<Vec<Handle>>,
    known: Mutex<Known>,
    next_id: AtomicU64,
    /// Each thread holds a clone; all are gone once the last one is.
    threads: Mutex<Option<Threads>>,
}

type Threads = (
    tokio::sync::mpsc::Sender<()>,
    tokio::sync::mpsc::Receiver<()>,
);

/// A connection's thread. Dropping it ends the thread and closes the database.
pub(crate) struct Handle {
    pub(crate) id: u64,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) control: Arc<Control>,
}

/// A connection in use.
pub(crate) struct Lease {
    pub(crate) handle: Handle,
    permit: OwnedSemaphorePermit,
    pool: Arc<Pool>,
}

impl Lease {
    /// Gives a connection back whose session left nothing behind.
    pub(crate) fn give_back(self) {
        let Self {
            handle,
            permit,
            pool,
        } = self;
        pool.idle().push(handle);
        drop(permit);
    }
}

/// Texts that compiled once need not be compiled again to be prepared.
#[derive(Default)]
struct Known {
    statements: HashMap<Arc<str>, Arc<Prepared>>,
    bytes: usize,
}

/// Bounds of [`Known`]: past them it starts anew.
const KNOWN_STATEMENTS: usize = 1024;
const KNOWN_BYTES: usize = 1 << 20;

/// The compiler's worst texts within SQLite's own limits (1,000 nested
/// expressions, views and subqueries nested until it refuses) were measured to
/// overflow 256 KiB and to fit into 1 MiB. Only what is touched is real memory.
const STACK: usize = 4 << 20;

impl Pool {
    /// A pool without an open connection.
    #[must_use]
    pub fn new(name: &str, path: &Path, read_only: bool, options: &SqliteOptions) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            opening: Opening {
                path: path.to_owned(),
                read_only,
                create: options.create,
                busy_timeout: options.busy_timeout,
                memory: options.memory,
            },
            permits: Arc::new(Semaphore::new(options.max_open.max(1))),
            idle: Mutex::default(),
            known: Mutex::default(),
            next_id: AtomicU64::new(1),
            threads: Mutex::new(Some(tokio::sync::mpsc::channel(1))),
        })
    }

    /// Closes all idle connections, and those in use when they are given back.
    pub(crate) fn retire(&self) {
        self.permits.close();
        self.idle().clear();
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.permits.is_closed()
    }

    /// Closes all idle connections and waits until their threads, and those of
    /// connections that are still given back, have ended.
    pub async fn close(&self) {
        let threads = self
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.permits.close();
        self.idle().clear();
        if let Some((own, mut all)) = threads {
            drop(own);
            while all.recv().await.is_some() {}
        }
    }

    /// Connections that are open and not in use.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.idle().len()
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// An idle connection or a new one; waits while too many are in use.
    pub(crate) async fn acquire(self: &Arc<Self>, scope: &RunScope) -> Result<Lease, SqlError> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => tokio::select! {
                reason = scope.stopped() => return Err(SqlError::Stopped(reason)),
                permit = Arc::clone(&self.permits).acquire_owned() => {
                    permit.map_err(|_| SqlError::Lost)?
                }
            },
        };
        let idle = self.idle().pop();
        let handle = match idle {
            Some(handle) => handle,
            None => self.open(scope).await?,
        };
        Ok(Lease {
            handle,
            permit,
            pool: Arc::clone(self),
        })
    }

    async fn open(self: &Arc<Self>, scope: &RunScope) -> Result<Handle, SqlError> {
        let (commands, receiver) = mpsc::channel();
        let (ready, opened) = oneshot::channel();
        let control = Arc::new(Control::default());
        let handle = Handle {
            id: self.next_id(),
            commands,
            control: Arc::clone(&control),
        };
        let worker = Worker::new(
            handle.id,
            self.opening.clone(),
            control,
            receiver,
            Arc::downgrade(self),
        );
        let alive = match self
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
        {
            Some((own, _)) => own.clone(),
            None => return Err(SqlError::Lost),
        };
        std::thread::Builder::new()
            .name(format!("sql-{}", self.name))
            .stack_size(STACK)
            .spawn(move || {
                worker.run(ready);
                drop(alive);
            })
            .map_err(|error| self.cannot_open(format!("no thread for it: {error}")))?;
        let result = tokio::select! {
            reason = scope.stopped() => {
                handle.control.stop();
                return Err(SqlError::Stopped(reason));
            }
            result = opened => result,
        };
        match result {
            Ok(Ok(())) => Ok(handle),
            Ok(Err(reason)) => Err(self.cannot_open(reason)),
            Err(_) => Err(SqlError::Lost),
        }
    }

    fn cannot_open(&self, reason: String) -> SqlError {
        tracing::warn!(
            connection = self.name,
            path = %self.opening.path.display(),
            reason,
            "connection can't be opened"
        );
        SqlError::CannotOpen {
            name: self.name.clone(),
            reason,
        }
    }

    /// What is known of a text that compiled before.
    pub(crate) fn known(&self, text: &str) -> Option<Arc<Prepared>> {
        self.known_statements().statements.get(text).cloned()
    }

    pub(crate) fn remember(&self, prepared: &Arc<Prepared>) {
        let mut known = self.known_statements();
        let size = prepared.text.len();
        if known.statements.len() >= KNOWN_STATEMENTS || known.bytes + size > KNOWN_BYTES {
            *known = Known::default();
        }
        if size <= KNOWN_BYTES {
            known.bytes += size;
            known
                .statements
                .insert(Arc::clone(&prepared.text), Arc::clone(prepared));
        }
    }

    /// Forgets a text that does not compile any more: the schema changed.
    pub(crate) fn forget_statement(&self, text: &str) {
        let mut known = self.known_statements();
        if known.statements.remove(text).is_some() {
            known.bytes -= text.len();
        }
    }

    /// Takes an idle connection out, so that its thread may end; false while
    /// it is in use.
    pub(crate) fn forget_idle(&self, id: u64) -> bool {
        let mut idle = self.idle();
        let at = idle.iter().position(|handle| handle.id == id);
        at.map(|at| idle.remove(at)).is_some()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Handle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_statements(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
