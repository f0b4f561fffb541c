//! Carries out one batch: one transaction, one commit, then the answers. When
//! the database fails, opens it again and answers with the failure. Never
//! answers a write before its commit returned.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Metrics;
use super::request::{OpenRun, Pending};
use crate::error::StorageError;
use crate::failure::Failure;
use crate::places;
use crate::rows;
use crate::slot::Slot;
use crate::tables::{WriteTables, job_run};

/// The most writes in one commit: bounds its memory and how long it takes.
pub(super) const LARGEST: usize = 1024;

const OPERATION: &str = "writing";

/// The state of the writer's thread.
pub(super) struct Writer {
    slot: Arc<Slot>,
    reserve_bytes: u64,
    metrics: Arc<Metrics>,
    /// Runs whose commit failed. It can't be told whether any of it reached
    /// the disk, so they are closed off as soon as writing works again.
    doubtful: Vec<OpenRun>,
}

/// Why a transaction ended early.
enum Trouble {
    /// It could not begin; nothing was tried.
    Begin(Failure),
    /// This request can't be carried out; the others may be.
    One(usize, Option<StorageError>),
    /// None of them can.
    All(Failure),
}

impl Writer {
    pub(super) fn new(slot: Arc<Slot>, reserve_bytes: u64, metrics: Arc<Metrics>) -> Self {
        Self {
            slot,
            reserve_bytes,
            metrics,
            doubtful: Vec::new(),
        }
    }

    /// Carries out the batch and whatever else arrives before its commit.
    pub(super) fn carry_out(
        &mut self,
        batch: &mut Vec<Box<dyn Pending>>,
        more: &mut mpsc::Receiver<Box<dyn Pending>>,
    ) {
        let mut reopened = false;
        while !batch.is_empty() {
            match self.attempt(batch, Some(&mut *more)) {
                Ok(writes) => {
                    if writes > 0 {
                        self.metrics.committed(writes);
                    }
                    batch.drain(..).for_each(Pending::answer);
                }
                // An earlier failure, be it a reader's, made the database useless.
                Err(Trouble::Begin(failure)) if !reopened => {
                    self.reopen(failure);
                    reopened = true;
                }
                Err(Trouble::Begin(failure)) => {
                    fail_all(batch, &failure.into_storage(OPERATION));
                }
                Err(Trouble::One(index, error)) => {
                    let culprit = batch.remove(index);
                    // Dropped without an answer, a request is answered `Closed`.
                    if let Some(error) = error {
                        culprit.fail(error);
                    }
                }
                Err(Trouble::All(failure)) => {
                    self.doubt(batch);
                    let error = self.reopen(failure);
                    fail_all(batch, &error);
                }
            }
        }
    }

    /// Gives up on a batch that panicked. Whoever waits is answered `Closed`.
    pub(super) fn abandon(&mut self, batch: &mut Vec<Box<dyn Pending>>) {
        tracing::error!("a batch of writes panicked");
        self.doubt(batch);
        batch.clear();
        self.reopen(Failure::Storage(StorageError::Closed));
    }

    /// Closes the database.
    pub(super) fn close(&mut self) {
        self.slot.close();
    }

    fn doubt(&mut self, batch: &[Box<dyn Pending>]) {
        self.doubtful
            .extend(batch.iter().filter_map(|request| request.opened()));
    }

    /// Opens the database again. Returns what to answer to those whose write
    /// did not make it.
    fn reopen(&mut self, failure: Failure) -> StorageError {
        let cause = failure.into_storage(OPERATION);
        tracing::warn!(error = %cause, "writing to the store failed; opening it again");
        match self.slot.reopen(cause.clone()) {
            Ok(()) => self.close_off_doubtful(),
            Err(failure) => {
                let error = failure.into_storage("opening the store again");
                tracing::error!(%error, "the store can't be opened again; the next write tries");
            }
        }
        cause
    }

    fn close_off_doubtful(&mut self) {
        if self.doubtful.is_empty() {
            return;
        }
        // A failure here leaves the list for the next batch.
        if let Err(Trouble::Begin(failure) | Trouble::All(failure)) =
            self.attempt(&mut Vec::new(), None)
        {
            let error = failure.into_storage("taking back runs whose start failed");
            tracing::warn!(%error, "runs whose start failed are taken back later");
        }
    }

    /// Applies everything in one transaction and commits it. Returns how many
    /// requests wrote.
    fn attempt(
        &mut self,
        batch: &mut Vec<Box<dyn Pending>>,
        more: Option<&mut mpsc::Receiver<Box<dyn Pending>>>,
    ) -> Result<u64, Trouble> {
        let transaction = self.slot.begin_write().map_err(Trouble::Begin)?;
        let mut tables = WriteTables::new(&transaction);
        // Most need this one; a database that is of no use any more shows here.
        let usable = tables.history().map(drop);
        usable.map_err(|error| Trouble::Begin(error.into()))?;
        let taken_back = self.take_back_doubtful(&mut tables).map_err(Trouble::All)?;
        let writes = self.apply_all(batch, more, &mut tables)?;
        drop(tables);
        if writes == 0 && !taken_back {
            transaction
                .abort()
                .map_err(|error| Trouble::All(error.into()))?;
            return Ok(0);
        }
        transaction
            .commit()
            .map_err(|error| Trouble::All(error.into()))?;
        self.doubtful.clear();
        Ok(writes)
    }

    fn apply_all(
        &self,
        batch: &mut Vec<Box<dyn Pending>>,
        mut more: Option<&mut mpsc::Receiver<Box<dyn Pending>>>,
        tables: &mut WriteTables<'_>,
    ) -> Result<u64, Trouble> {
        let scarce = self
            .slot
            .free_bytes()
            .is_some_and(|free| free < self.reserve_bytes);
        let mut writes = 0;
        let mut index = 0;
        loop {
            if index == batch.len() {
                let next = more.as_mut().filter(|_| index < LARGEST);
                let Some(request) = next.and_then(|more| more.try_recv().ok()) else {
                    return Ok(writes);
                };
                batch.push(request);
            }
            match catch_unwind(AssertUnwindSafe(|| batch[index].apply(tables, scarce))) {
                Ok(Ok(wrote)) => writes += u64::from(wrote),
                Ok(Err(failure)) if failure.needs_reopening() => {
                    return Err(Trouble::All(failure));
                }
                Ok(Err(failure)) => {
                    return Err(Trouble::One(index, Some(failure.into_storage(OPERATION))));
                }
                Err(_) => {
                    tracing::error!("a write panicked; it is left out");
                    return Err(Trouble::One(index, None));
                }
            }
            index += 1;
        }
    }

    /// Removes the doubtful runs that did reach the disk as going on.
    fn take_back_doubtful(&self, tables: &mut WriteTables<'_>) -> Result<bool, Failure> {
        let mut changed = false;
        for run in &self.doubtful {
            let key = job_run(run.job_id, run.execution_id);
            if tables.open_runs()?.remove(&key)?.is_none() {
                continue;
            }
            changed = true;
            tables.runs_by_job()?.remove(&key)?;
            let id = run.execution_id;
            let row = tables.history()?.remove(id.as_bytes())?;
            let row = row.map(|row| rows::decode_execution(id, row.value()));
            if let Some(Ok(execution)) = row {
                places::open(tables).forget_key(&execution)?;
            }
        }
        Ok(changed)
    }
}

fn fail_all(batch: &mut Vec<Box<dyn Pending>>, error: &StorageError) {
    for request in batch.drain(..) {
        request.fail(error.clone());
    }
}
