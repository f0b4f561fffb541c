//! One run's use of one connection to a server: statements, one cursor at a
//! time, and a clean end. Never speaks a protocol.

use std::collections::VecDeque;
use std::sync::Arc;

use jobcell_model::OutputStream;
use jobcell_plugin_host::RunScope;
use jobcell_plugin_host::bindings::sql::{Column, Message, Page, Value};
use tokio::time::Instant;

use super::Messages;
use super::pool::{Leased, Pool};
use super::results::{Ended, Event, Row};
use super::running::Running;
use super::statement::Statement;
use crate::error::{Facts, STATEMENT_TIMEOUT, SqlError};

/// An open session.
pub(crate) struct Session {
    pool: Arc<Pool>,
    scope: RunScope,
    /// None while a statement runs, and once the connection is lost.
    leased: Option<Leased>,
    messages: Arc<Messages>,
    in_transaction: bool,
    cursor_open: bool,
}

/// The results of one execution.
pub(crate) struct Cursor {
    columns: Vec<Column>,
    rows: VecDeque<Row>,
    returned: u64,
    /// How the present result ended, once it has.
    ended: Option<Ended>,
    failed: bool,
    /// When the statement's own time is over.
    deadline: Option<Instant>,
    running: Option<Running>,
}

impl Session {
    pub(crate) async fn open(pool: &Arc<Pool>, scope: &RunScope) -> Result<Self, SqlError> {
        if let Some(reason) = scope.stop_reason() {
            return Err(SqlError::Stopped(reason));
        }
        let mut leased = pool.acquire(scope).await?;
        let messages = leased.link()?.messages();
        // What was said before this run is not for it.
        drop(messages.take());
        Ok(Self {
            pool: Arc::clone(pool),
            scope: scope.clone(),
            leased: Some(leased),
            messages,
            in_transaction: false,
            cursor_open: false,
        })
    }

    pub(crate) const fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// The server's messages since the last call.
    pub(crate) fn take_messages(&self) -> Vec<Message> {
        self.messages.take()
    }

    pub(crate) async fn prepare(&mut self, text: &str) -> Result<Arc<Statement>, SqlError> {
        if self.cursor_open {
            return Err(CURSOR_OPEN);
        }
        let statement = Statement::new(text, self.pool.server().dialect())?;
        if statement.text.is_empty() {
            return Err(SqlError::NotOneStatement("the text holds no statement"));
        }
        let mut leased = self.leased.take().ok_or(SqlError::Lost)?;
        let link = leased.link()?;
        let stopper = link.stopper();
        // Dropped in the middle, the connection is closed with it.
        let prepared = tokio::select! {
            biased;
            reason = self.scope.stopped() => {
                drop(stopper.stop().await);
                return Err(SqlError::Stopped(reason));
            }
            prepared = link.prepare(&statement) => prepared,
        };
        self.in_transaction = link.in_transaction();
        if link.is_usable() {
            self.leased = Some(leased);
        }
        prepared.map(|()| Arc::new(statement))
    }

    /// Runs a statement once the start of the run is durable: what it changes,
    /// no text tells.
    pub(crate) async fn execute(
        &mut self,
        statement: &Arc<Statement>,
        bindings: Vec<Option<Value>>,
    ) -> Result<Cursor, SqlError> {
        let values = statement.bound(bindings)?;
        if self.cursor_open {
            return Err(CURSOR_OPEN);
        }
        self.scope.before_effect().await.map_err(SqlError::Gate)?;
        let leased = self.leased.take().ok_or(SqlError::Lost)?;
        let limits = self.scope.limits();
        let caps = (limits.sql_rows, limits.sql_bytes);
        let running = Running::start(&self.pool, leased, Arc::clone(statement), values, caps)?;
        self.cursor_open = true;
        let mut cursor = Cursor {
            columns: Vec::new(),
            rows: VecDeque::new(),
            returned: 0,
            ended: None,
            failed: false,
            deadline: self
                .pool
                .statement_timeout
                .map(|time| Instant::now() + time),
            running: Some(running),
        };
        self.begin(&mut cursor).await?;
        Ok(cursor)
    }

    /// The next rows of the present result.
    pub(crate) async fn next_page(
        &mut self,
        cursor: &mut Cursor,
        max: u32,
    ) -> Result<Page, SqlError> {
        if max == 0 {
            return Err(SqlError::Misuse(
                "`next-page` was asked for no row; ask for at least one",
            ));
        }
        if cursor.failed {
            return Err(SqlError::Misuse("the cursor has failed before"));
        }
        self.fill(cursor).await?;
        if cursor.rows.is_empty()
            && let Some(cap) = cursor.ended.and_then(|ended| ended.cap)
        {
            return Err(SqlError::ResultCap(cap));
        }
        let count = (max as usize).min(cursor.rows.len());
        let rows: Vec<Row> = cursor.rows.drain(..count).collect();
        cursor.returned += rows.len() as u64;
        // Whether these were the last is known once more has arrived.
        self.fill(cursor).await?;
        let last = cursor.rows.is_empty() && cursor.ended.is_some_and(|ended| ended.cap.is_none());
        Ok(Page { rows, last })
    }

    /// Moves to the next result; false after the last.
    pub(crate) async fn next_result(&mut self, cursor: &mut Cursor) -> Result<bool, SqlError> {
        if cursor.failed {
            return Err(SqlError::Misuse("the cursor has failed before"));
        }
        while cursor.ended.is_none() && cursor.running.is_some() {
            cursor.rows.clear();
            self.fill(cursor).await?;
        }
        cursor.rows.clear();
        if cursor.running.is_none() {
            return Ok(false);
        }
        self.begin(cursor).await
    }

    /// Ends a cursor, however much of it was read.
    pub(crate) async fn close_cursor(&mut self, mut cursor: Cursor) -> Result<(), SqlError> {
        let Some(running) = cursor.running.take() else {
            return Ok(());
        };
        tokio::select! {
            biased;
            reason = self.scope.stopped() => Err(SqlError::Stopped(reason)),
            // The server is told that it is enough.
            ended = running.end() => self.take_back(ended),
        }
    }

    /// Rolls back what is open and gives the connection back. Whether something
    /// was open.
    pub(crate) async fn close(mut self) -> bool {
        if let Some(leased) = self.leased.take() {
            leased.give_back().await;
        }
        self.in_transaction
    }

    /// Waits until the next result begins; false when there is none.
    async fn begin(&mut self, cursor: &mut Cursor) -> Result<bool, SqlError> {
        match self.event(cursor).await? {
            Some(Event::Begin(columns)) => {
                (cursor.columns, cursor.ended, cursor.returned) = (columns, None, 0);
                Ok(true)
            }
            Some(Event::Rows(_) | Event::End(_)) => Err(SqlError::Lost),
            None => {
                cursor.ended = cursor.ended.or(Some(Ended::default()));
                Ok(false)
            }
        }
    }

    /// Takes what has arrived when there is nothing to hand out.
    async fn fill(&mut self, cursor: &mut Cursor) -> Result<(), SqlError> {
        while cursor.rows.is_empty() && cursor.ended.is_none() {
            match self.event(cursor).await? {
                Some(Event::Rows(rows)) => cursor.rows = rows.into(),
                Some(Event::End(ended)) => cursor.ended = Some(ended),
                Some(Event::Begin(_)) | None => return Err(SqlError::Lost),
            }
        }
        Ok(())
    }

    /// What happens next; none when the statement has ended.
    async fn event(&mut self, cursor: &mut Cursor) -> Result<Option<Event>, SqlError> {
        let Some(running) = &mut cursor.running else {
            return Ok(None);
        };
        let event = tokio::select! {
            biased;
            event = running.event() => Ok(event),
            reason = self.scope.stopped() => Err(SqlError::Stopped(reason)),
            () = over(cursor.deadline) => Err(self.too_slow()),
        };
        match event {
            Ok(Some(event)) => Ok(Some(event)),
            Ok(None) => {
                let ended = match cursor.running.take() {
                    Some(running) => running.end().await,
                    None => Err(SqlError::Lost),
                };
                let ended = self.take_back(ended);
                cursor.failed = ended.is_err();
                ended.map(|()| None)
            }
            Err(reason) => {
                cursor.failed = true;
                if let Some(running) = cursor.running.take() {
                    running.stop().await;
                }
                // Its session is gone, with what was open in it.
                (self.cursor_open, self.in_transaction) = (false, false);
                Err(reason)
            }
        }
    }

    /// Writes what was said before a failure into the run's log: whoever failed
    /// takes no messages any more, and they are not the next one's.
    fn log_messages(&self) {
        for message in self.messages.take() {
            let line = format!("{}: {}", message.severity, message.text);
            let output = self.scope.output();
            output.write(OutputStream::Log, line.as_bytes());
        }
    }

    fn too_slow(&self) -> SqlError {
        let most = self.pool.statement_timeout.unwrap_or_default();
        SqlError::Server {
            code: STATEMENT_TIMEOUT,
            message: format!(
                "the statement took longer than {} s, as much as the connection's `statementTimeout` allows, and was stopped; its session is gone",
                most.as_secs_f64()
            ),
            facts: Facts::new(),
            position: None,
        }
    }

    /// Keeps the connection that a statement brought back.
    fn take_back(
        &mut self,
        ended: Result<(Leased, Result<(), SqlError>), SqlError>,
    ) -> Result<(), SqlError> {
        self.cursor_open = false;
        let (mut leased, result) = ended?;
        let link = leased.link()?;
        self.in_transaction = link.in_transaction();
        if link.is_usable() {
            self.leased = Some(leased);
        } else {
            self.in_transaction = false;
        }
        if result.is_err() {
            self.log_messages();
        }
        match (result, self.scope.stop_reason()) {
            (Err(_), Some(reason)) => Err(SqlError::Stopped(reason)),
            (result, _) => result,
        }
    }
}

/// Returns once this moment is over; never without one.
async fn over(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

const CURSOR_OPEN: SqlError =
    SqlError::Misuse("the connection's cursor is still open; drop it before the next statement");

impl Cursor {
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Rows changed by the present result, once it has ended.
    pub(crate) fn affected(&self) -> Option<u64> {
        self.ended.and_then(|ended| ended.affected)
    }

    /// Rows of the present result, whether they were handed out or not.
    pub(crate) fn total(&self) -> Option<u64> {
        self.ended.and_then(|ended| ended.total)
    }

    pub(crate) const fn returned(&self) -> u64 {
        self.returned
    }
}
