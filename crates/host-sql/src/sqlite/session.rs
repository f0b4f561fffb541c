//! One run's use of one connection: statements, one cursor at a time, and a
//! clean end. The async side of a connection's thread; never touches SQLite.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jobcell_plugin_host::RunScope;
use jobcell_plugin_host::bindings::sql::{Column, Page, Value};
use jobcell_plugin_host::scope::StopReason;
use tokio::sync::oneshot;

use crate::error::{Cap, SqlError};
use crate::sqlite::prepared::Prepared;
use crate::sqlite::{Budget, Command, Executed, Fetched, Lease, Pool, Rest, Row, Want, Work};

/// The page that is taken together with `execute`: small results need no more.
const FIRST: Want = Want {
    rows: 1024,
    bytes: 256 << 10,
};
/// The bytes of any further page.
const PAGE_BYTES: u64 = 1 << 20;
/// The rows of any page.
const PAGE_ROWS: u32 = 10_000;
/// How often a stopped statement is interrupted until it ends.
const INTERRUPT_AGAIN: Duration = Duration::from_millis(10);
/// How long that is tried. Then the thread is left alone with what it does
/// (one call of a SQL function can't be interrupted) and cleans up after it.
const INTERRUPT_FOR: Duration = Duration::from_secs(1);

/// An open connection with its own session.
pub struct Session {
    pool: Arc<Pool>,
    scope: RunScope,
    lease: Option<Lease>,
    id: u64,
    in_transaction: bool,
    marked: bool,
    cursor_open: bool,
    /// A command was sent whose answer was not taken.
    unanswered: bool,
    cpu_time: Duration,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Whether a transaction was open and was rolled back.
    pub rolled_back: bool,
    /// Processor time that the database used for it.
    pub cpu_time: Duration,
}

/// The result of one statement.
#[derive(Debug)]
pub struct Cursor {
    columns: Vec<Column>,
    rows: VecDeque<Row>,
    rest: Option<Rest>,
    affected: Option<u64>,
    returned: u64,
}

impl Session {
    /// Opens a session on an idle connection of the pool or a new one.
    ///
    /// # Errors
    /// When the database can't be opened or the run is stopped.
    pub async fn open(pool: &Arc<Pool>, scope: &RunScope) -> Result<Self, SqlError> {
        if let Some(reason) = scope.stop_reason() {
            return Err(SqlError::Stopped(reason));
        }
        let lease = pool.acquire(scope).await?;
        Ok(Self {
            pool: Arc::clone(pool),
            scope: scope.clone(),
            lease: Some(lease),
            id: pool.next_id(),
            in_transaction: false,
            marked: false,
            cursor_open: false,
            unanswered: false,
            cpu_time: Duration::ZERO,
        })
    }

    /// Whether a transaction is open.
    #[must_use]
    pub const fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Compiles one statement. A text that compiled before is taken at its
    /// word: should the schema have changed since, running it says so.
    ///
    /// # Errors
    /// When the text is not one statement that SQLite accepts and the sandbox
    /// allows.
    pub async fn prepare(&mut self, text: &str) -> Result<Arc<Prepared>, SqlError> {
        let trimmed = text.trim();
        if trimmed.contains('\0') {
            return Err(SqlError::NotOneStatement("the text holds a NUL character"));
        }
        if let Some(known) = self.pool.known(trimmed) {
            return Ok(known);
        }
        let (work, text) = (self.work(), Arc::<str>::from(trimmed));
        let prepared = self
            .call(|reply| Command::Compile { work, text, reply })
            .await?;
        let prepared = Arc::new(prepared);
        self.pool.remember(&prepared);
        Ok(prepared)
    }

    /// Runs a statement. One that does more than read waits until the start of
    /// the run is durable.
    ///
    /// # Errors
    /// When a parameter has no value, a cursor is open, the run is stopped, or
    /// the database fails the statement.
    pub async fn execute(
        &mut self,
        statement: &Arc<Prepared>,
        bindings: Vec<Option<Value>>,
    ) -> Result<Cursor, SqlError> {
        statement.check_bound(&bindings)?;
        if self.cursor_open {
            return Err(SqlError::Misuse(
                "the connection's cursor is still open; drop it before the next `execute`",
            ));
        }
        if !statement.only_reads() {
            self.scope.before_effect().await.map_err(SqlError::Gate)?;
        }
        let limits = self.scope.limits();
        let start = crate::sqlite::Start {
            statement: Arc::clone(statement),
            bindings,
            budget: Budget::new(limits.sql_rows, limits.sql_bytes),
            want: FIRST,
        };
        let work = self.work();
        let executed: Executed = self
            .call(|reply| Command::Execute { work, start, reply })
            .await?;
        self.cursor_open = executed.first.rest == Rest::More;
        Ok(Cursor {
            columns: executed.columns,
            affected: affected(executed.first.rest),
            rows: executed.first.rows.into(),
            rest: Some(executed.first.rest),
            returned: 0,
        })
    }

    /// The next rows of a cursor of this session.
    ///
    /// # Errors
    /// When the result has more than it may, the run is stopped, or the
    /// database fails.
    pub async fn next_page(&mut self, cursor: &mut Cursor, max: u32) -> Result<Page, SqlError> {
        if max == 0 {
            return Err(SqlError::Misuse(
                "`next-page` was asked for no row; ask for at least one",
            ));
        }
        let max = max.min(PAGE_ROWS) as usize;
        if cursor.rows.is_empty() && cursor.rest == Some(Rest::More) {
            self.fetch(cursor, max).await?;
        }
        match cursor.rest {
            Some(Rest::Capped { cap, .. }) if cursor.rows.is_empty() => {
                return Err(SqlError::ResultCap(cap));
            }
            None => return Err(SqlError::Misuse("the cursor has failed before")),
            Some(_) => {}
        }
        let rows: Vec<Row> = cursor.rows.drain(..max.min(cursor.rows.len())).collect();
        cursor.returned += rows.len() as u64;
        let last = cursor.rows.is_empty() && matches!(cursor.rest, Some(Rest::Done { .. }));
        Ok(Page { rows, last })
    }

    async fn fetch(&mut self, cursor: &mut Cursor, max: usize) -> Result<(), SqlError> {
        // Until the answer is here the cursor counts as failed.
        cursor.rest = None;
        let want = Want {
            rows: max,
            bytes: PAGE_BYTES,
        };
        let fetched = self.call(|reply| Command::Fetch { want, reply }).await;
        self.note_cursor(&fetched);
        let fetched = fetched?;
        cursor.rows = fetched.rows.into();
        cursor.rest = Some(fetched.rest);
        cursor.affected = affected(fetched.rest);
        Ok(())
    }

    /// Ends a cursor, however much of it was read.
    ///
    /// # Errors
    /// When the run is stopped or the database fails.
    pub async fn close_cursor(&mut self, cursor: Cursor) -> Result<(), SqlError> {
        if cursor.rest != Some(Rest::More) || !self.cursor_open {
            return Ok(());
        }
        let closed = self.call(|reply| Command::Close { reply }).await;
        self.note_cursor(&closed);
        closed.map(drop)
    }

    /// Keeps whether the thread's cursor is open. When the thread may not have
    /// been asked at all it counts as open, and the session's end closes it.
    fn note_cursor(&mut self, fetched: &Result<Fetched, SqlError>) {
        self.cursor_open = match fetched {
            Ok(fetched) => fetched.rest == Rest::More,
            Err(SqlError::Stopped(_) | SqlError::Lost) => true,
            Err(_) => false,
        };
    }

    /// Rolls back what is open and gives the connection back.
    pub async fn close(mut self) -> Closed {
        let mut rolled_back = self.in_transaction;
        if let Some(lease) = self.lease.take() {
            if self.is_clean() {
                lease.give_back();
            } else {
                let (reply, released) = oneshot::channel();
                release(lease, Some(reply));
                // Else it does so as soon as it can, or is gone altogether.
                if let Ok(Ok(was_open)) = tokio::time::timeout(INTERRUPT_FOR, released).await {
                    rolled_back = was_open;
                }
            }
        }
        Closed {
            rolled_back,
            cpu_time: self.cpu_time,
        }
    }

    fn is_clean(&self) -> bool {
        !(self.in_transaction || self.marked || self.cursor_open || self.unanswered)
    }

    fn work(&self) -> Work {
        Work {
            session: self.id,
            deadline: self.scope.deadline(),
        }
    }

    /// Sends a command and waits for its answer; stops it when the run stops.
    async fn call<T>(
        &mut self,
        command: impl FnOnce(crate::sqlite::Reply<T>) -> Command,
    ) -> Result<T, SqlError> {
        if let Some(reason) = self.scope.stop_reason() {
            return Err(SqlError::Stopped(reason));
        }
        let lease = self.lease.as_ref().ok_or(SqlError::Lost)?;
        if self.unanswered {
            return Err(SqlError::Lost);
        }
        lease.handle.control.arm();
        let (reply, mut answer) = oneshot::channel();
        if lease.handle.commands.send(command(reply)).is_err() {
            self.lease = None;
            return Err(SqlError::Lost);
        }
        // Stays set when this future is dropped before the answer is here.
        self.unanswered = true;
        let (answer, stopped) = tokio::select! {
            biased;
            answer = &mut answer => (answer.ok(), None),
            reason = self.scope.stopped() => {
                (interrupt(lease, &mut answer, reason).await?, Some(reason))
            }
        };
        let Some(answer) = answer else {
            self.lease = None;
            return Err(SqlError::Lost);
        };
        self.unanswered = false;
        self.in_transaction = answer.in_transaction;
        self.marked = answer.marked;
        self.cpu_time += answer.cpu_time;
        match (answer.result, stopped.or_else(|| self.scope.stop_reason())) {
            (Err(SqlError::Interrupted | SqlError::Unavailable { .. }), Some(reason)) => {
                Err(SqlError::Stopped(reason))
            }
            (result, _) => result,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        if self.is_clean() {
            lease.give_back();
            return;
        }
        if self.unanswered {
            lease.handle.control.stop();
        }
        release(lease, None);
    }
}

/// Hands the connection to its own thread for cleaning.
fn release(lease: Lease, reply: Option<oneshot::Sender<bool>>) {
    let commands = lease.handle.commands.clone();
    // A thread that is gone has closed its database, which rolls back.
    let _ = commands.send(Command::Release { lease, reply });
}

/// Interrupts the statement under way until the thread answers. None when the
/// thread is gone.
async fn interrupt<T>(
    lease: &Lease,
    answer: &mut oneshot::Receiver<T>,
    reason: StopReason,
) -> Result<Option<T>, SqlError> {
    let begun = Instant::now();
    loop {
        lease.handle.control.stop();
        match tokio::time::timeout(INTERRUPT_AGAIN, &mut *answer).await {
            Ok(answer) => return Ok(answer.ok()),
            Err(_) if begun.elapsed() > INTERRUPT_FOR => return Err(SqlError::Stopped(reason)),
            Err(_) => {}
        }
    }
}

impl Cursor {
    /// The result's columns; none where it has no rows.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Rows changed, once the last page was taken, where the statement does that.
    #[must_use]
    pub const fn affected(&self) -> Option<u64> {
        self.affected
    }

    /// Rows that the pages handed out.
    #[must_use]
    pub const fn returned(&self) -> u64 {
        self.returned
    }

    /// The cap that stands in the way of further rows, if one does.
    #[must_use]
    pub const fn cap(&self) -> Option<Cap> {
        match self.rest {
            Some(Rest::Capped { cap, .. }) => Some(cap),
            _ => None,
        }
    }
}

const fn affected(rest: Rest) -> Option<u64> {
    match rest {
        Rest::More => None,
        Rest::Done { affected } | Rest::Capped { affected, .. } => affected,
    }
}
