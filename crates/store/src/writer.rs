//! The one thread that writes. Whatever has arrived while a commit was under
//! way goes into the next one, so many writes share one fsync and a single
//! client never waits for company. A write is answered once its commit is on
//! disk, or once it is certain that it fails. Never knows what an operation is
//! about.
//!
//! An operation either applies completely or leaves no trace: it checks before
//! it writes, and a failure between two of its writes ends the transaction of
//! the whole batch, which is then carried out again without it.

mod batch;
mod request;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

pub(crate) use request::{Change, OpenRun, Operation, Stop};

use crate::error::{OpenError, StorageError};
use crate::slot::Slot;
use crate::store::CommitMetrics;
use batch::Writer;
use request::{Pending, Request};

/// How many requests may wait before whoever brings another has to.
const QUEUE: usize = 4096;

/// The way to the writer. Ends it when dropped.
pub(crate) struct WriterHandle {
    requests: Mutex<Option<mpsc::Sender<Box<dyn Pending>>>>,
    thread: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    metrics: Arc<Metrics>,
}

/// What `CommitMetrics` reports, as it grows.
#[derive(Default)]
pub(crate) struct Metrics {
    commits: AtomicU64,
    writes: AtomicU64,
    largest: AtomicU64,
}

impl Metrics {
    fn committed(&self, writes: u64) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.writes.fetch_add(writes, Ordering::Relaxed);
        self.largest.fetch_max(writes, Ordering::Relaxed);
    }
}

impl WriterHandle {
    /// Starts the thread. New runs and jobs are refused while the medium has
    /// less than `reserve_bytes` left.
    pub(crate) fn start(slot: Arc<Slot>, reserve_bytes: u64) -> Result<Self, OpenError> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let metrics = Arc::new(Metrics::default());
        let writer = Writer::new(slot, reserve_bytes, Arc::clone(&metrics));
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(writer, receiver))
            .map_err(|error| StorageError::Database {
                operation: "starting the writer thread",
                source: Arc::new(error),
            })?;
        Ok(Self {
            requests: Mutex::new(Some(sender)),
            thread: tokio::sync::Mutex::new(Some(thread)),
            metrics,
        })
    }

    /// Carries out a write and returns once it is durable.
    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Result<O::Reply, O::Error> {
        let (reply, answer) = oneshot::channel();
        let sender = self.sender().ok_or(StorageError::Closed)?;
        let request = Box::new(Request::new(operation, reply));
        sender
            .send(request)
            .await
            .map_err(|_| StorageError::Closed)?;
        drop(sender);
        answer
            .await
            .unwrap_or_else(|_| Err(StorageError::Closed.into()))
    }

    /// How writes have shared commits.
    pub(crate) fn metrics(&self) -> CommitMetrics {
        CommitMetrics {
            commits: self.metrics.commits.load(Ordering::Relaxed),
            writes: self.metrics.writes.load(Ordering::Relaxed),
            largest: self.metrics.largest.load(Ordering::Relaxed),
        }
    }

    /// Takes no more requests, waits for those that are there, ends the thread.
    pub(crate) async fn close(&self) {
        self.take_sender();
        let mut thread = self.thread.lock().await;
        if let Some(thread) = thread.take() {
            // The thread reports its own panics; there is nothing to add.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    fn sender(&self) -> Option<mpsc::Sender<Box<dyn Pending>>> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn take_sender(&self) {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        self.take_sender();
        if let Some(thread) = self.thread.get_mut().take() {
            let _ = thread.join();
        }
    }
}

fn run(mut writer: Writer, mut requests: mpsc::Receiver<Box<dyn Pending>>) {
    let mut batch = Vec::new();
    while requests.blocking_recv_many(&mut batch, batch::LARGEST) > 0 {
        let carried_out = catch_unwind(AssertUnwindSafe(|| {
            writer.carry_out(&mut batch, &mut requests)
        }));
        if carried_out.is_err() {
            writer.abandon(&mut batch);
        }
    }
    writer.close();
}
