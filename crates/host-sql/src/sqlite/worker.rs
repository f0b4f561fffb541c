//! The thread that owns one open database: compiles, runs and fetches for the
//! session that holds its lease, and cleans up between sessions. Never decides
//! when to stop; [`Control`] tells it.

use std::cell::Cell;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use jobcell_plugin_host::bindings::sql::{Column, Value};
use rusqlite::{CachedStatement, Connection, Rows};
use tokio::sync::oneshot;

use crate::error::{Cap, SqlError};
use crate::sqlite::control::Control;
use crate::sqlite::open::{Opening, open, reason};
use crate::sqlite::pool::{Lease, Pool};
use crate::sqlite::prepared::{Prepared, Traits, first_word};
use crate::sqlite::rows::{After, Budget, Row, Taker, Want, bind};
use crate::sqlite::sandbox::Sandbox;

/// What a session asks of its connection's thread, one thing at a time.
pub(crate) enum Command {
    /// Compiles a text to learn what it is.
    Compile {
        work: Work,
        text: Arc<str>,
        reply: Reply<Prepared>,
    },
    /// Runs a statement and takes its first page.
    Execute {
        work: Work,
        start: Start,
        reply: Reply<Executed>,
    },
    /// Takes the next page.
    Fetch { want: Want, reply: Reply<Fetched> },
    /// Ends the open cursor.
    Close { reply: Reply<Fetched> },
    /// Undoes what the session left, then gives the connection back or, where
    /// that is not enough, closes it. Answers whether a transaction was open.
    Release {
        lease: Lease,
        reply: Option<oneshot::Sender<bool>>,
    },
}

/// Who asks, and how long the thread may wait for another writer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    pub(crate) session: u64,
    pub(crate) deadline: Instant,
}

/// What to run.
pub(crate) struct Start {
    pub(crate) statement: Arc<Prepared>,
    pub(crate) bindings: Vec<Option<Value>>,
    pub(crate) budget: Budget,
    pub(crate) want: Want,
}

/// A statement that runs, or is already done.
pub(crate) struct Executed {
    pub(crate) columns: Vec<Column>,
    pub(crate) first: Fetched,
}

/// A page.
pub(crate) struct Fetched {
    pub(crate) rows: Vec<Row>,
    pub(crate) rest: Rest,
}

/// What comes after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// More rows; the cursor is open.
    More,
    /// Nothing. For a statement that changes rows, how many it changed.
    Done { affected: Option<u64> },
    /// Rows past a cap. The cursor is closed.
    Capped { cap: Cap, affected: Option<u64> },
}

/// An answer and how it leaves the session.
pub(crate) struct Answer<T> {
    pub(crate) result: Result<T, SqlError>,
    pub(crate) in_transaction: bool,
    /// Whether the session left something that only closing can undo.
    pub(crate) marked: bool,
    pub(crate) cpu_time: Duration,
}

pub(crate) type Reply<T> = oneshot::Sender<Answer<T>>;

/// How long a connection that nobody uses stays open.
const IDLE: Duration = Duration::from_secs(60);

pub(crate) struct Worker {
    id: u64,
    opening: Opening,
    control: Arc<Control>,
    sandbox: Arc<Sandbox>,
    commands: Receiver<Command>,
    pool: Weak<Pool>,
    session: Cell<u64>,
    /// Whether the present session left something that only closing can undo.
    marked: Cell<bool>,
    /// A statement met a full disk.
    full: Cell<bool>,
    /// Whether the present session changed rows.
    wrote: Cell<bool>,
    /// Whether an earlier one did, so that its counters can still be seen.
    wrote_before: Cell<bool>,
}

impl Worker {
    pub(crate) fn new(
        id: u64,
        opening: Opening,
        control: Arc<Control>,
        commands: Receiver<Command>,
        pool: Weak<Pool>,
    ) -> Self {
        Self {
            id,
            opening,
            control,
            sandbox: Arc::default(),
            commands,
            pool,
            session: Cell::new(0),
            marked: Cell::new(false),
            full: Cell::new(false),
            wrote: Cell::new(false),
            wrote_before: Cell::new(false),
        }
    }

    /// Opens the database, says how that went, and serves until the pool lets
    /// go of it.
    pub(crate) fn run(self, ready: oneshot::Sender<Result<(), String>>) {
        let mut connection = match open(&self.opening, &self.control, &self.sandbox) {
            Ok(connection) => connection,
            Err(error) => {
                // Nobody waits any more when the run was stopped meanwhile.
                let _ = ready.send(Err(reason(&error, &self.opening)));
                return;
            }
        };
        if ready.send(Ok(())).is_err() {
            return;
        }
        let mut next = None;
        while let Some(command) = next.take().or_else(|| self.wait()) {
            match command {
                Command::Compile { work, text, reply } => {
                    self.compile(&connection, work, &text, reply);
                }
                Command::Execute { work, start, reply } => {
                    self.enter(work);
                    if let Err(error) = self.refresh(&mut connection, start.statement.traits) {
                        self.answer(&connection, reply, Err(error), Duration::ZERO);
                        continue;
                    }
                    next = self.execute(&connection, work, &start, reply);
                    self.give_back_room(&connection);
                }
                Command::Fetch { reply, .. } | Command::Close { reply } => {
                    let error = SqlError::Misuse("no cursor is open");
                    self.answer(&connection, reply, Err(error), Duration::ZERO);
                }
                Command::Release { lease, reply } => {
                    if !self.release(&connection, lease, reply) {
                        return;
                    }
                }
            }
        }
    }

    /// The next command; none once the pool let go or nobody came for long.
    fn wait(&self) -> Option<Command> {
        loop {
            match self.commands.recv_timeout(IDLE) {
                Ok(command) => return Some(command),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if self
                        .pool
                        .upgrade()
                        .is_none_or(|pool| pool.forget_idle(self.id))
                    {
                        return None;
                    }
                }
            }
        }
    }

    /// Notes whether another session works here now.
    fn enter(&self, work: Work) {
        let latest = Instant::now() + self.opening.busy_timeout;
        self.control.wait_until(latest.min(work.deadline));
        if self.session.replace(work.session) != work.session {
            self.wrote_before
                .set(self.wrote_before.get() || self.wrote.get());
            self.wrote.set(false);
        }
    }

    /// `changes()`, `total_changes()` and `last_insert_rowid()` outlive a
    /// session. One that asks for them, or begins a transaction in which it
    /// may, and has done nothing yet, gets the database opened anew.
    fn refresh(&self, connection: &mut Connection, traits: Traits) -> Result<(), SqlError> {
        let untouched = connection.is_autocommit() && !self.marked.get() && !self.wrote.get();
        if !(traits.wants_fresh_counters && self.wrote_before.get() && untouched) {
            return Ok(());
        }
        *connection = open(&self.opening, &self.control, &self.sandbox)
            .map_err(|error| SqlError::from_sqlite(error, "", None))?;
        self.wrote_before.set(false);
        Ok(())
    }

    fn compile(
        &self,
        connection: &Connection,
        work: Work,
        text: &Arc<str>,
        reply: Reply<Prepared>,
    ) {
        let begun = ThreadTime::now();
        self.enter(work);
        self.sandbox.begin();
        // Not through the cache, which would not ask the sandbox again.
        let result = connection.prepare(text).map(|statement| {
            let mut traits = self.sandbox.traits();
            traits.acts |= !statement.readonly();
            let count = statement.parameter_count();
            Prepared {
                text: Arc::clone(text),
                parameters: (1..=count)
                    .map(|at| statement.parameter_name(at).map(str::to_owned))
                    .collect(),
                traits,
                counts_changes: !statement.readonly()
                    && statement.is_explain() == 0
                    && matches!(
                        first_word(text).as_str(),
                        "insert" | "update" | "delete" | "replace" | "with"
                    ),
            }
        });
        self.mark();
        let result = result.map_err(|error| self.explain(error, text));
        self.answer(connection, reply, result, begun.elapsed());
    }

    /// Runs a statement, and goes on serving its cursor until that is closed.
    /// Returns a command that is not the cursor's.
    fn execute(
        &self,
        connection: &Connection,
        work: Work,
        start: &Start,
        reply: Reply<Executed>,
    ) -> Option<Command> {
        let begun = ThreadTime::now();
        self.sandbox.begin();
        let text = &start.statement.text;
        let mut statement = match self.ready(connection, start) {
            Ok(statement) => statement,
            Err(error) => {
                self.answer(connection, reply, Err(error), begun.elapsed());
                return None;
            }
        };
        let mut cursor = OpenCursor {
            taker: Taker::new(start.budget),
            counts_changes: start.statement.counts_changes,
            writes: !statement.readonly(),
        };
        if cursor.writes {
            self.wrote.set(true);
        }
        let mut rows = statement.raw_query();
        let first = self.page(connection, &mut cursor, &mut rows, text, start.want);
        if !matches!(
            first,
            Ok(Fetched {
                rest: Rest::More,
                ..
            })
        ) {
            // Ends the statement before the answer says how that left things.
            drop(rows);
            let result = first.map(|first| Executed {
                columns: columns(&statement),
                first,
            });
            self.answer(connection, reply, result, begun.elapsed());
            return None;
        }
        // The first step compiles anew where the schema changed, so only now
        // are the columns certain.
        let columns = rows.as_ref().map(columns).unwrap_or_default();
        let result = first.map(|first| Executed { columns, first });
        self.answer(connection, reply, result, begun.elapsed());
        self.serve(connection, cursor, rows, text, work)
    }

    /// Serves an open cursor.
    fn serve(
        &self,
        connection: &Connection,
        mut cursor: OpenCursor,
        mut rows: Rows<'_>,
        text: &Arc<str>,
        work: Work,
    ) -> Option<Command> {
        loop {
            match self.commands.recv().ok()? {
                Command::Fetch { want, reply } => {
                    let begun = ThreadTime::now();
                    self.enter(work);
                    let page = self.page(connection, &mut cursor, &mut rows, text, want);
                    let open = matches!(
                        page,
                        Ok(Fetched {
                            rest: Rest::More,
                            ..
                        })
                    );
                    if !open {
                        drop(rows);
                        self.answer(connection, reply, page, begun.elapsed());
                        return None;
                    }
                    self.answer(connection, reply, page, begun.elapsed());
                }
                Command::Close { reply } => {
                    let begun = ThreadTime::now();
                    let rest = self.finish(connection, &cursor, &mut rows, text, None);
                    drop(rows);
                    let result = rest.map(|rest| Fetched {
                        rows: Vec::new(),
                        rest,
                    });
                    self.answer(connection, reply, result, begun.elapsed());
                    return None;
                }
                Command::Compile { work, text, reply } => {
                    self.compile(connection, work, &text, reply);
                }
                Command::Execute { reply, .. } => {
                    let error = SqlError::Misuse("the connection's cursor is still open");
                    self.answer(connection, reply, Err(error), Duration::ZERO);
                }
                release @ Command::Release { .. } => return Some(release),
            }
        }
    }

    /// The compiled statement with its values, ready for its first step.
    fn ready<'c>(
        &self,
        connection: &'c Connection,
        start: &Start,
    ) -> Result<CachedStatement<'c>, SqlError> {
        let text = &start.statement.text;
        if self.control.stopped() {
            return Err(SqlError::Interrupted);
        }
        let mut statement = connection.prepare_cached(text).map_err(|error| {
            if let Some(pool) = self.pool.upgrade() {
                pool.forget_statement(text);
            }
            self.explain(error, text)
        })?;
        self.mark();
        if start.statement.traits.marks_session {
            self.marked.set(true);
        }
        bind(&mut statement, &start.statement, &start.bindings)
            .map_err(|error| self.explain(error, text))?;
        Ok(statement)
    }

    fn page(
        &self,
        connection: &Connection,
        cursor: &mut OpenCursor,
        rows: &mut Rows<'_>,
        text: &str,
        want: Want,
    ) -> Result<Fetched, SqlError> {
        self.sandbox.set_running(true);
        let taken = cursor.taker.page(rows, want);
        self.sandbox.set_running(false);
        self.mark();
        let (page, after) = taken.map_err(|error| self.explain(error, text))?;
        let rest = match after {
            After::More => Rest::More,
            After::Done => Rest::Done {
                affected: cursor.affected(connection),
            },
            After::Capped(cap) => self.finish(connection, cursor, rows, text, Some(cap))?,
        };
        Ok(Fetched { rows: page, rest })
    }

    /// Ends a cursor. One that changes rows is run to its end first, so that
    /// SQLite counts what it changed.
    fn finish(
        &self,
        connection: &Connection,
        cursor: &OpenCursor,
        rows: &mut Rows<'_>,
        text: &str,
        cap: Option<Cap>,
    ) -> Result<Rest, SqlError> {
        if cursor.writes {
            while rows
                .next()
                .map_err(|error| self.explain(error, text))?
                .is_some()
            {}
        }
        let affected = cursor.affected(connection);
        Ok(match cap {
            Some(cap) => Rest::Capped { cap, affected },
            None => Rest::Done { affected },
        })
    }

    /// Cleans up after a session. False when the thread shall end.
    fn release(
        &self,
        connection: &Connection,
        lease: Lease,
        reply: Option<oneshot::Sender<bool>>,
    ) -> bool {
        let was_open = !connection.is_autocommit();
        if was_open && let Err(error) = connection.execute_batch("ROLLBACK") {
            tracing::warn!(%error, "a transaction can't be rolled back; its connection is closed");
        }
        self.give_back_room(connection);
        let clean = connection.is_autocommit() && !self.marked.get();
        if clean {
            lease.give_back();
        }
        if let Some(reply) = reply {
            // A session that was dropped does not wait for this.
            let _ = reply.send(was_open);
        }
        clean
    }

    /// After a statement met a full disk: shrinks the write-ahead log, which
    /// still has the size that it grew to and may be what fills the disk.
    fn give_back_room(&self, connection: &Connection) {
        if !self.full.get() || !connection.is_autocommit() {
            return;
        }
        self.full.set(false);
        if let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "the write-ahead log of a database keeps the room that it took");
        }
    }

    /// Keeps what the sandbox saw of the session's own state.
    fn mark(&self) {
        if self.sandbox.traits().marks_session {
            self.marked.set(true);
        }
    }

    fn explain(&self, error: rusqlite::Error, text: &str) -> SqlError {
        let full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
        self.full.set(self.full.get() || full);
        match SqlError::from_sqlite(error, text, self.sandbox.take_denied()) {
            SqlError::Memory(_) => SqlError::Memory(self.opening.memory),
            other => other,
        }
    }

    fn answer<T>(
        &self,
        connection: &Connection,
        reply: Reply<T>,
        result: Result<T, SqlError>,
        cpu_time: Duration,
    ) {
        // Nobody hears it when the run was dropped; then a release follows.
        let _ = reply.send(Answer {
            result,
            in_transaction: !connection.is_autocommit(),
            marked: self.marked.get(),
            cpu_time,
        });
    }
}

/// What belongs to the cursor that is open.
struct OpenCursor {
    taker: Taker,
    counts_changes: bool,
    writes: bool,
}

impl OpenCursor {
    fn affected(&self, connection: &Connection) -> Option<u64> {
        self.counts_changes.then(|| connection.changes())
    }
}

fn columns(statement: &rusqlite::Statement<'_>) -> Vec<Column> {
    statement
        .columns()
        .map(|column| Column {
            name: column.name().to_owned(),
            type_name: column.decl_type().unwrap_or_default().to_owned(),
        })
        .collect()
}
