//! An open connection to PostgreSQL: runs statements and follows transactions.
//! On one that may only read, every statement runs in a read-only transaction
//! of ours, whose mode the server lets nobody change once a query has run.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use jobcell_plugin_host::bindings::sql::{Column, Value};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, SimpleQueryMessage, Statement as Compiled};

use super::bind::{Bound, own_type};
use super::stop::CancelRequest;
use super::{binary, error, text};
use crate::error::SqlError;
use crate::servers::{Flow, Link, Messages, Results, Statement, Stopper};

/// Statements after which the server is asked whether a transaction is open.
const MAY_CHANGE: &[&str] = &[
    "abort",
    "begin",
    "call",
    "commit",
    "do",
    "end",
    "prepare",
    "release",
    "rollback",
    "savepoint",
    "start",
];
/// In a transaction, the statement began later than that; outside, they are
/// the same instant.
const IN_TRANSACTION: &str = "SELECT pg_catalog.now() <> pg_catalog.statement_timestamp()";
/// "Current transaction is aborted."
const ABORTED: &str = "25P02";
/// The query makes the transaction's mode final.
const GUARD: &str = "BEGIN READ ONLY; SELECT 1";

pub(super) struct PostgresLink {
    client: Client,
    stopper: Arc<CancelRequest>,
    messages: Arc<Messages>,
    read_only: bool,
    /// Whether our read-only transaction is open.
    guarded: bool,
    in_transaction: bool,
    /// Its protocol is out of step.
    broken: bool,
    /// The statement compiled last, with the text that was sent.
    compiled: Option<(String, Compiled)>,
}

impl PostgresLink {
    pub(super) fn new(
        client: Client,
        stopper: CancelRequest,
        messages: Arc<Messages>,
        read_only: bool,
    ) -> Self {
        Self {
            client,
            stopper: Arc::new(stopper),
            messages,
            read_only,
            guarded: false,
            in_transaction: false,
            broken: false,
            compiled: None,
        }
    }

    /// What a failure says, and whether the connection outlives it.
    fn failed(&mut self, failure: &Error, statement: &Statement) -> SqlError {
        self.broken |= failure.as_db_error().is_none();
        // Our own transaction is of no use any more.
        self.guarded = false;
        if self.broken && statement.kind == "copy" {
            return SqlError::Misuse(
                "`COPY` from or to the client has no data here; name a file of the server, or use INSERT and SELECT",
            );
        }
        error::of_statement(failure, statement)
    }

    async fn compile(&mut self, statement: &Statement) -> Result<Compiled, SqlError> {
        if let Some((text, compiled)) = &self.compiled
            && *text == statement.sent
        {
            return Ok(compiled.clone());
        }
        let compiled = self.client.prepare(&statement.sent).await;
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
            if self.ask_in_transaction().await? {
                self.client.batch_execute("ROLLBACK").await?;
            }
            self.client.batch_execute(GUARD).await
        };
        let begun = begun.await;
        begun.map_err(|failure| self.failed(&failure, statement))?;
        self.guarded = true;
        Ok(())
    }

    async fn ask_in_transaction(&self) -> Result<bool, Error> {
        match self.client.simple_query(IN_TRANSACTION).await {
            Ok(messages) => Ok(messages.iter().any(|message| {
                matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("t"))
            })),
            Err(failure) if failure.code().is_some_and(|code| code.code() == ABORTED) => Ok(true),
            Err(failure) => Err(failure),
        }
    }

    /// Keeps whether a transaction is open after this statement.
    async fn follow(&mut self, statement: &Statement) -> Result<(), SqlError> {
        if self.broken || !MAY_CHANGE.contains(&statement.kind.as_str()) {
            return Ok(());
        }
        let asked = self.ask_in_transaction().await;
        let open = asked.map_err(|failure| self.failed(&failure, statement))?;
        self.guarded &= open;
        // Our own transaction is nobody's but ours.
        let theirs = !self.read_only || self.in_transaction || begins(statement);
        self.in_transaction = open && theirs;
        Ok(())
    }

    /// More rows are not wanted: the server is stopped, unless that would undo
    /// something. Then the rest is read and dropped.
    async fn enough(&self) {
        if self.in_transaction || self.read_only || !self.stopper.would_undo_nothing().await {
            return;
        }
        if let Err(error) = self.stopper.stop().await {
            tracing::debug!(%error, "a statement's further rows are read and dropped");
        }
    }

    /// By the simple protocol.
    async fn plain(&mut self, statement: &Statement, out: &mut Results) -> Result<(), SqlError> {
        let types: Vec<Type> = match self.compile(statement).await {
            Ok(compiled) => compiled
                .columns()
                .iter()
                .map(|column| column.type_().clone())
                .collect(),
            Err(error) => return Err(error),
        };
        let stream = self.client.simple_query_raw(&statement.sent).await;
        let stream = stream.map_err(|failure| self.failed(&failure, statement))?;
        let mut stream = pin!(stream);
        let (mut open, mut stopped) = (false, false);
        while let Some(message) = stream.next().await {
            match message {
                Ok(SimpleQueryMessage::RowDescription(columns)) => {
                    let names = columns.iter().map(|column| column.name());
                    out.begin(described(names, &types)).await;
                    open = true;
                }
                Ok(SimpleQueryMessage::Row(row)) => {
                    if out.row(text::row(&row, &types)).await == Flow::Enough && !stopped {
                        stopped = true;
                        self.enough().await;
                    }
                }
                Ok(SimpleQueryMessage::CommandComplete(count)) => {
                    if !open {
                        out.begin(Vec::new()).await;
                    }
                    out.end(affected(statement, count)).await;
                    open = false;
                }
                Ok(_) => {}
                Err(failure) if stopped && error::is_cancel(&failure) => out.end_early().await,
                Err(failure) => return Err(self.failed(&failure, statement)),
            }
        }
        Ok(())
    }

    /// By the extended protocol, with values.
    async fn bound(
        &mut self,
        statement: &Statement,
        values: &[Value],
        out: &mut Results,
    ) -> Result<(), SqlError> {
        let compiled = self.typed(statement, values).await?;
        for column in compiled.columns() {
            binary::check(column.name(), column.type_())?;
        }
        let bound = values.iter().map(Bound);
        let stream = self.client.query_raw(&compiled, bound).await;
        let stream = stream.map_err(|failure| self.failed(&failure, statement))?;
        let mut stream = pin!(stream);
        let types: Vec<Type> = compiled
            .columns()
            .iter()
            .map(|column| column.type_().clone())
            .collect();
        out.begin(described(
            compiled.columns().iter().map(|column| column.name()),
            &types,
        ))
        .await;
        let mut stopped = false;
        while let Some(row) = stream.next().await {
            match row {
                Ok(row) => {
                    if out.row(binary::row(&row)?).await == Flow::Enough && !stopped {
                        stopped = true;
                        self.enough().await;
                    }
                }
                Err(failure) if stopped && error::is_cancel(&failure) => {
                    out.end_early().await;
                    return Ok(());
                }
                Err(failure) => return Err(self.failed(&failure, statement)),
            }
        }
        let count = stream.rows_affected();
        out.end(count.and_then(|count| affected(statement, count)))
            .await;
        Ok(())
    }

    /// The statement, with the values' own types where the server would take
    /// anything and call it text.
    async fn typed(
        &mut self,
        statement: &Statement,
        values: &[Value],
    ) -> Result<Compiled, SqlError> {
        let compiled = self.compile(statement).await?;
        let mut any = false;
        let inferred = compiled.params().iter().zip(values);
        let types: Vec<Type> = inferred
            .map(|(inferred, value)| match own_type(value) {
                Some(own) if *inferred == Type::TEXT => {
                    any = true;
                    own
                }
                _ => Type::UNKNOWN,
            })
            .collect();
        if !any {
            return Ok(compiled);
        }
        // A failure here must not end the transaction.
        let inside = self.in_transaction || self.guarded;
        let undo = async |text: &str| {
            if inside {
                self.client.batch_execute(text).await
            } else {
                Ok(())
            }
        };
        let tried = async {
            undo("SAVEPOINT jobcell_types").await?;
            let typed = self.client.prepare_typed(&statement.sent, &types).await;
            if typed.is_err() {
                undo("ROLLBACK TO SAVEPOINT jobcell_types").await?;
            }
            undo("RELEASE SAVEPOINT jobcell_types").await?;
            Ok::<_, Error>(typed.unwrap_or(compiled))
        };
        let tried = tried.await;
        tried.map_err(|failure| self.failed(&failure, statement))
    }
}

fn begins(statement: &Statement) -> bool {
    matches!(statement.kind.as_str(), "begin" | "start")
}

fn described<'n>(names: impl Iterator<Item = &'n str>, types: &[Type]) -> Vec<Column> {
    let column = |(index, name): (usize, &str)| Column {
        name: name.to_owned(),
        type_name: types
            .get(index)
            .map(|of| of.name().to_owned())
            .unwrap_or_default(),
    };
    names.enumerate().map(column).collect()
}

/// Rows changed, by statements that change rows.
fn affected(statement: &Statement, count: u64) -> Option<u64> {
    let changes = ["copy", "delete", "insert", "merge", "update"];
    changes.contains(&statement.kind.as_str()).then_some(count)
}

#[async_trait]
impl Link for PostgresLink {
    async fn prepare(&mut self, statement: &Statement) -> Result<(), SqlError> {
        self.guard(statement).await?;
        self.compile(statement).await.map(drop)
    }

    async fn execute(
        &mut self,
        statement: &Statement,
        values: &[Value],
        out: &mut Results,
    ) -> Result<(), SqlError> {
        self.guard(statement).await?;
        let result = if statement.parameters() == 0 {
            self.plain(statement, out).await
        } else {
            self.bound(statement, values, out).await
        };
        let followed = self.follow(statement).await;
        result.and(followed)
    }

    fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    async fn clean(&mut self) -> Result<(), SqlError> {
        self.compiled = None;
        let cleaned = async {
            if self.in_transaction || self.guarded || self.ask_in_transaction().await? {
                self.client.batch_execute("ROLLBACK").await?;
            }
            self.client.batch_execute("DISCARD ALL").await
        };
        let cleaned = cleaned.await;
        (self.in_transaction, self.guarded) = (false, false);
        cleaned.map_err(|failure| {
            self.broken = true;
            error::lost(&failure.to_string())
        })
    }

    async fn ping(&mut self) -> Result<(), SqlError> {
        let answered = self.client.check_connection().await;
        answered.map_err(|failure| error::lost(&failure.to_string()))
    }

    fn is_usable(&self) -> bool {
        !self.broken && !self.client.is_closed()
    }

    fn stopper(&self) -> Arc<dyn Stopper> {
        Arc::clone(&self.stopper) as Arc<dyn Stopper>
    }

    fn messages(&self) -> Arc<Messages> {
        Arc::clone(&self.messages)
    }
}
