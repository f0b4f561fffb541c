//! What the writer is asked to do, and how it answers. Never applies anything
//! by itself.

use jobcell_model::{ExecutionId, JobId};
use tokio::sync::oneshot;

use crate::error::StorageError;
use crate::failure::Failure;
use crate::tables::WriteTables;

/// One atomic write. It may be applied again when its transaction is undone,
/// so it changes nothing but the tables.
pub(crate) trait Operation: Send + 'static {
    /// What it answers.
    type Reply: Send;
    /// Why it may be refused.
    type Error: From<StorageError> + Send;

    /// Checks, then writes. `Stop::Refused` must leave no trace.
    fn apply(&self, tables: &mut WriteTables<'_>)
    -> Result<Change<Self::Reply>, Stop<Self::Error>>;

    /// Whether it is refused when room gets scarce.
    fn needs_room(&self) -> bool {
        false
    }

    /// The run that it opens. If its commit fails, that run must not be found
    /// open later, since its caller was told that it never started.
    fn opens(&self) -> Option<OpenRun> {
        None
    }
}

/// What an operation did.
pub(crate) enum Change<R> {
    /// It wrote, so its answer waits for a commit.
    Made(R),
    /// It found nothing to do.
    Nothing(R),
}

/// Why an operation did not do it.
pub(crate) enum Stop<E> {
    /// Its checks failed; nothing was written.
    Refused(E),
    /// It can't be carried out, and part of it is written: the transaction is
    /// undone.
    Undo(E),
    /// The database failed; part of it may be written.
    Failed(redb::StorageError),
}

impl<E> From<redb::StorageError> for Stop<E> {
    fn from(error: redb::StorageError) -> Self {
        Self::Failed(error)
    }
}

impl<E: From<StorageError>> From<StorageError> for Stop<E> {
    fn from(error: StorageError) -> Self {
        Self::Refused(error.into())
    }
}

/// A run that was recorded as going on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenRun {
    pub(crate) job_id: JobId,
    pub(crate) execution_id: ExecutionId,
}

/// A request of any kind.
pub(super) trait Pending: Send {
    /// Applies it; true when it wrote.
    fn apply(&mut self, tables: &mut WriteTables<'_>, scarce: bool) -> Result<bool, Failure>;

    /// Answers as it applied, which is durable by now.
    fn answer(self: Box<Self>);

    /// Answers with a failure.
    fn fail(self: Box<Self>, error: StorageError);

    /// The run that it opened, if it did.
    fn opened(&self) -> Option<OpenRun>;
}

/// An operation and whoever waits for it.
pub(super) struct Request<O: Operation> {
    operation: O,
    outcome: Option<Result<O::Reply, O::Error>>,
    /// Why it had its transaction undone.
    undone: Option<O::Error>,
    reply: oneshot::Sender<Result<O::Reply, O::Error>>,
}

impl<O: Operation> Request<O> {
    pub(super) fn new(operation: O, reply: oneshot::Sender<Result<O::Reply, O::Error>>) -> Self {
        Self {
            operation,
            outcome: None,
            undone: None,
            reply,
        }
    }
}

impl<O: Operation> Pending for Request<O> {
    fn apply(&mut self, tables: &mut WriteTables<'_>, scarce: bool) -> Result<bool, Failure> {
        self.outcome = None;
        if scarce && self.operation.needs_room() {
            self.outcome = Some(Err(StorageError::Full.into()));
            return Ok(false);
        }
        let (outcome, wrote) = match self.operation.apply(tables) {
            Ok(Change::Made(reply)) => (Ok(reply), true),
            Ok(Change::Nothing(reply)) => (Ok(reply), false),
            Err(Stop::Refused(error)) => (Err(error), false),
            Err(Stop::Undo(error)) => {
                self.undone = Some(error);
                return Err(StorageError::Closed.into());
            }
            Err(Stop::Failed(error)) => return Err(error.into()),
        };
        self.outcome = Some(outcome);
        Ok(wrote)
    }

    fn answer(self: Box<Self>) {
        let outcome = self
            .outcome
            .unwrap_or_else(|| Err(StorageError::Closed.into()));
        // Whoever asked may have gone; the write stands all the same.
        let _ = self.reply.send(outcome);
    }

    fn fail(self: Box<Self>, error: StorageError) {
        let error = self.undone.unwrap_or_else(|| error.into());
        let _ = self.reply.send(Err(error));
    }

    fn opened(&self) -> Option<OpenRun> {
        self.outcome.as_ref()?.as_ref().ok()?;
        self.operation.opens()
    }
}
