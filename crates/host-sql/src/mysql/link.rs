//! An open connection to MySQL or MariaDB: runs statements and follows
//! transactions by what the server says of them with each answer. On one that
//! may only read, every statement runs in a read-only transaction of ours.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jobcell_plugin_host::bindings::sql::Value;
use mysql_async::consts::StatusFlags;
use mysql_async::prelude::{Protocol, Queryable};
use mysql_async::{Conn, Error, Params, QueryResult, Statement as Compiled};

use super::stop::KillQuery;
use super::{error, value};
use crate::error::SqlError;
use crate::servers::{Flow, Link, Messages, Results, Statement, Stopper};

/// How long rows that nobody wants are read and dropped before the server is
/// stopped. What is stopped loses what a function in it has changed.
const DRAINED: Duration = Duration::from_secs(2);
/// Statements that may be stopped for that.
const READS: &[&str] = &["select", "show", "table", "values"];
/// Messages of one statement that are asked for.
const WARNINGS: &str = "SHOW WARNINGS LIMIT 100";

pub(super) struct MySqlLink {
    connection: Conn,
    stopper: Arc<KillQuery>,
    messages: Arc<Messages>,
    read_only: bool,
    /// Whether our read-only transaction is open.
    guarded: bool,
    in_transaction: bool,
    /// Its protocol is out of step.
    broken: bool,
    compiled: Option<(String, Compiled)>,
}

impl MySqlLink {
    pub(super) fn new(connection: Conn, stopper: KillQuery, read_only: bool) -> Self {
        Self {
            connection,
            stopper: Arc::new(stopper),
            messages: Arc::default(),
            read_only,
            guarded: false,
            in_transaction: false,
            broken: false,
            compiled: None,
        }
    }

    fn failed(&mut self, failure: &Error, statement: &Statement) -> SqlError {
        self.broken |= !matches!(failure, Error::Server(_));
        error::of_statement(failure, statement)
    }

    async fn compile(&mut self, statement: &Statement) -> Result<Compiled, SqlError> {
        if let Some((text, compiled)) = &self.compiled
            && *text == statement.sent
        {
            return Ok(compiled.clone());
        }
        let compiled = self.connection.prep(statement.sent.as_str()).await;
        let compiled = compiled.map_err(|failure| self.failed(&failure, statement))?;
        self.compiled = Some((statement.sent.clone(), compiled.clone()));
        Ok(compiled)
    }

    /// Where only reading is allowed, has a read-only transaction open.
    async fn guard(&mut self, statement: &Statement) -> Result<(), SqlError> {
        if !self.read_only || self.guarded {
            return Ok(());
        }
        let begun = async {
            // A table's definition ends the transaction before it is changed.
            self.connection
                .query_drop("SET SESSION TRANSACTION READ ONLY")
                .await?;
            self.connection
                .query_drop("START TRANSACTION READ ONLY")
                .await
        };
        let begun = begun.await;
        begun.map_err(|failure| self.failed(&failure, statement))?;
        self.guarded = true;
        Ok(())
    }

    async fn run(
        &mut self,
        statement: &Statement,
        values: &[Value],
        out: &mut Results,
    ) -> Result<(), SqlError> {
        let stopper = Arc::clone(&self.stopper);
        let hand = Hand {
            stopper: &stopper,
            may_stop: READS.contains(&statement.kind.as_str()),
        };
        let handed = if statement.parameters() == 0 {
            match self.connection.query_iter(statement.sent.as_str()).await {
                Ok(result) => hand.on(result, out).await,
                Err(failure) => Err(failure),
            }
        } else {
            let compiled = self.compile(statement).await?;
            let values = statement
                .marks()
                .iter()
                .map(|mark| value::sent(&values[*mark]));
            let values = Params::Positional(values.collect());
            match self.connection.exec_iter(compiled, values).await {
                Ok(result) => hand.on(result, out).await,
                Err(failure) => Err(failure),
            }
        };
        handed.map_err(|failure| self.failed(&failure, statement))
    }

    /// Keeps what the server said, and whether a transaction is open.
    async fn follow(&mut self, statement: &Statement, failed: bool) -> Result<(), SqlError> {
        if self.broken {
            return Ok(());
        }
        let followed = async {
            if !failed && self.connection.get_warnings() > 0 && statement.kind != "show" {
                self.take_warnings().await?;
            }
            if failed {
                // An error says nothing of transactions; the next answer does.
                self.settle().await?;
            }
            Ok(())
        };
        let followed = followed.await;
        followed.map_err(|failure| self.failed(&failure, statement))?;
        let flags = self
            .connection
            .last_ok_packet()
            .map(|answer| answer.status_flags());
        let flags = flags.unwrap_or_else(StatusFlags::empty);
        let open = flags.contains(StatusFlags::SERVER_STATUS_IN_TRANS);
        if self.read_only {
            // Anything but a read may have set another mode for what follows.
            let kept = READS.contains(&statement.kind.as_str());
            self.guarded = kept && flags.contains(StatusFlags::SERVER_STATUS_IN_TRANS_READONLY);
        }
        // Our own transaction is nobody's but ours.
        let begins = matches!(statement.kind.as_str(), "begin" | "start");
        let theirs = !self.read_only || self.in_transaction || begins;
        self.in_transaction = open && theirs;
        Ok(())
    }

    /// Has the server answer once. A stop that came late may hit this, and
    /// then nothing else.
    async fn settle(&mut self) -> Result<(), Error> {
        match self.connection.query_drop("DO 0").await {
            Err(failure) if error::is_kill(&failure) => self.connection.query_drop("DO 0").await,
            answered => answered,
        }
    }

    async fn take_warnings(&mut self) -> Result<(), Error> {
        let warnings: Vec<(String, u32, String)> = self.connection.query(WARNINGS).await?;
        for (level, code, text) in warnings {
            self.messages
                .add(&level.to_lowercase(), &format!("{text} ({code})"));
        }
        Ok(())
    }
}

/// Hands out what a statement returns.
struct Hand<'h> {
    stopper: &'h KillQuery,
    may_stop: bool,
}

impl Hand<'_> {
    async fn on<P: Protocol>(
        &self,
        mut result: QueryResult<'_, '_, P>,
        out: &mut Results,
    ) -> Result<(), Error> {
        loop {
            let columns = value::columns(result.columns_ref());
            let has_rows = !columns.is_empty();
            let affected = (!has_rows).then(|| result.affected_rows());
            out.begin(columns).await;
            let stopped = self.rows(&mut result, out).await?;
            if stopped {
                out.end_early().await;
            } else {
                out.end(affected).await;
            }
            if stopped || result.is_empty() {
                return Ok(());
            }
        }
    }

    /// The rows of one result; true when the statement was stopped in them.
    async fn rows<P: Protocol>(
        &self,
        result: &mut QueryResult<'_, '_, P>,
        out: &mut Results,
    ) -> Result<bool, Error> {
        let mut enough_since: Option<Instant> = None;
        let mut stopped = false;
        loop {
            let row = match result.next().await {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(stopped),
                Err(failure) if stopped && error::is_kill(&failure) => return Ok(true),
                Err(failure) => return Err(failure),
            };
            if let Some(since) = enough_since {
                out.pass();
                if self.may_stop && !stopped && since.elapsed() > DRAINED {
                    stopped = true;
                    if let Err(error) = self.stopper.stop().await {
                        tracing::debug!(%error, "a statement's further rows are read and dropped");
                    }
                }
            } else if out.row(value::row(row)).await == Flow::Enough {
                enough_since = Some(Instant::now());
            }
        }
    }
}

#[async_trait]
impl Link for MySqlLink {
    /// Without parameters, the server is asked nothing: it can't compile every
    /// statement ahead.
    async fn prepare(&mut self, statement: &Statement) -> Result<(), SqlError> {
        if statement.parameters() > 0 {
            self.guard(statement).await?;
            self.compile(statement).await?;
        }
        Ok(())
    }

    async fn execute(
        &mut self,
        statement: &Statement,
        values: &[Value],
        out: &mut Results,
    ) -> Result<(), SqlError> {
        self.guard(statement).await?;
        let result = self.run(statement, values, out).await;
        let followed = self.follow(statement, result.is_err()).await;
        result.and(followed)
    }

    fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    async fn clean(&mut self) -> Result<(), SqlError> {
        self.compiled = None;
        let cleaned = self.connection.reset().await;
        (self.in_transaction, self.guarded) = (false, false);
        match cleaned {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.broken = true;
                Err(error::lost("the server can't reset a session"))
            }
            Err(failure) => {
                self.broken = true;
                Err(error::lost(&failure.to_string()))
            }
        }
    }

    async fn ping(&mut self) -> Result<(), SqlError> {
        let answered = self.connection.ping().await;
        answered.map_err(|failure| error::lost(&failure.to_string()))
    }

    fn is_usable(&self) -> bool {
        !self.broken && !self.connection.is_disconnected()
    }

    fn stopper(&self) -> Arc<dyn Stopper> {
        Arc::clone(&self.stopper) as Arc<dyn Stopper>
    }

    fn messages(&self) -> Arc<Messages> {
        Arc::clone(&self.messages)
    }
}
