//! An open connection to a SQL Server: runs batches, follows transactions by
//! what the server says of them, and tells it to stop (an attention, MS-TDS
//! 2.2.1.7). Each batch is sent as it was written; only one with values for
//! parameters goes by `sp_executesql`.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use jobcell_plugin_host::bindings::sql::Value;
use jobcell_sql_text::Dialect;
use tds_protocol::packet::{PacketStatus, PacketType};
use tds_protocol::token::{EnvChange, EnvChangeType, EnvChangeValue, ServerError, ServerInfo};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::Mutex;

use super::answer::{Answer, Broken, Piece};
use super::wire::{self, FIRST_PACKETS, Stream};
use super::{bind, error};
use crate::error::SqlError;
use crate::servers::{Flow, Link, Messages, PROMPT, Results, Statement, Stopper};

/// What a used session is told together with the reset, which leaves this as it
/// is.
const FRESH: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED";
const ROLLBACK: &str = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION";
/// "Changed database context" and "changed language": said at each login.
const EVERYDAY: [i32; 2] = [5701, 5703];
/// What a batch may do beside selecting once.
const OTHERS: &[&str] = &[
    "alter",
    "backup",
    "begin",
    "bulk",
    "checkpoint",
    "close",
    "commit",
    "create",
    "dbcc",
    "deallocate",
    "declare",
    "delete",
    "deny",
    "disable",
    "drop",
    "enable",
    "exec",
    "execute",
    "fetch",
    "goto",
    "grant",
    "if",
    "insert",
    "into",
    "kill",
    "merge",
    "open",
    "print",
    "raiserror",
    "receive",
    "reconfigure",
    "restore",
    "revoke",
    "rollback",
    "save",
    "send",
    "set",
    "shutdown",
    "throw",
    "truncate",
    "try",
    "update",
    "updatetext",
    "use",
    "waitfor",
    "while",
    "writetext",
];

pub(super) struct MsSqlLink {
    reader: ReadHalf<Box<dyn Stream>>,
    stopper: Arc<Attention>,
    packets: usize,
    messages: Arc<Messages>,
    /// The open transaction's number; 0 for none.
    transaction: u64,
    /// Whether its protocol is out of step, or in the middle of an answer.
    broken: bool,
}

/// Tells the server to stop what the connection is doing, by that connection.
pub(super) struct Attention(Mutex<WriteHalf<Box<dyn Stream>>>);

impl Attention {
    async fn send(
        &self,
        kind: PacketType,
        first: PacketStatus,
        message: &[u8],
        packets: usize,
    ) -> std::io::Result<()> {
        let mut writer = self.0.lock().await;
        wire::send(&mut *writer, kind, first, message, packets).await
    }

    async fn attend(&self) -> std::io::Result<()> {
        let (kind, first) = (PacketType::Attention, PacketStatus::NORMAL);
        self.send(kind, first, &[], FIRST_PACKETS).await
    }
}

#[async_trait]
impl Stopper for Attention {
    async fn stop(&self) -> Result<(), SqlError> {
        let unreachable = |reason: String| SqlError::unreachable(reason);
        match tokio::time::timeout(PROMPT, self.attend()).await {
            Ok(sent) => {
                sent.map_err(|error| unreachable(format!("no attention was sent: {error}")))
            }
            Err(_) => Err(unreachable("the server takes nothing any more".to_owned())),
        }
    }
}

impl MsSqlLink {
    pub(super) fn new(stream: Box<dyn Stream>, packets: usize) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader,
            stopper: Arc::new(Attention(Mutex::new(writer))),
            packets,
            messages: Arc::default(),
            transaction: 0,
            broken: false,
        }
    }

    async fn ask(
        &mut self,
        kind: PacketType,
        first: PacketStatus,
        message: &[u8],
    ) -> Result<(), SqlError> {
        // Until the answer's end is seen.
        self.broken = true;
        let sent = self.stopper.send(kind, first, message, self.packets).await;
        sent.map_err(|failure| error::lost(&failure.to_string()))
    }

    /// Hands out an answer; the first error that the server told in it.
    async fn hand_out(
        &mut self,
        statement: &Statement,
        out: &mut Results,
    ) -> Result<Option<ServerError>, Broken> {
        // One byte more than a result may have, so that a cut is seen as one.
        let most = usize::try_from(out.most_bytes().saturating_add(1)).unwrap_or(usize::MAX);
        let mut answer = Answer::new(most);
        // A stop may undo an open transaction (XACT_ABORT).
        let mut hand = Hand::new(self.transaction == 0 && selects_once(statement));
        loop {
            let Some(piece) = answer.next(&mut self.reader).await? else {
                if !hand.waits_for_stop {
                    self.broken = false;
                    return Ok(hand.failure);
                }
                // The answer ended before the server read the attention.
                answer = Answer::new(most);
                continue;
            };
            match piece {
                Piece::Told(info) => self.tell(&info),
                Piece::Changed(change) => self.change(&change),
                Piece::Failed(said) => {
                    if hand.failure.is_some() {
                        self.messages
                            .add("error", &told(said.number, &said.message));
                    }
                    hand.failure.get_or_insert(said);
                }
                piece => {
                    if hand.take(piece, out).await {
                        self.stopper.attend().await.map_err(Broken::Io)?;
                    }
                }
            }
        }
    }

    fn tell(&self, info: &ServerInfo) {
        if !EVERYDAY.contains(&info.number) {
            let severity = if info.class > 0 { "warning" } else { "info" };
            self.messages
                .add(severity, &told(info.number, &info.message));
        }
    }

    fn change(&mut self, change: &EnvChange) {
        match change.env_type {
            EnvChangeType::BeginTransaction => {
                if let EnvChangeValue::Binary(number) = &change.new_value
                    && let Some(number) = number.first_chunk()
                {
                    self.transaction = u64::from_le_bytes(*number);
                }
            }
            EnvChangeType::CommitTransaction
            | EnvChangeType::RollbackTransaction
            | EnvChangeType::DefectTransaction
            | EnvChangeType::TransactionEnded => self.transaction = 0,
            _ => {}
        }
    }

    /// Runs a batch of ours, of which nothing but its success matters.
    async fn run(&mut self, text: &str, first: PacketStatus) -> Result<(), SqlError> {
        let batch = batch(text, self.transaction);
        self.ask(PacketType::SqlBatch, first, &batch).await?;
        let mut answer = Answer::new(0);
        let mut failure = None;
        loop {
            let piece = answer.next(&mut self.reader).await;
            match piece.map_err(|broken| error::broken(&broken))? {
                Some(Piece::Failed(said)) => failure = failure.or(Some(said)),
                Some(Piece::Changed(change)) => self.change(&change),
                Some(_) => {}
                None => break,
            }
        }
        self.broken = false;
        match failure {
            Some(said) => Err(error::lost(&said.message)),
            None => Ok(()),
        }
    }
}

/// Where an answer's results go.
struct Hand {
    may_stop: bool,
    open: bool,
    enough: bool,
    waits_for_stop: bool,
    failure: Option<ServerError>,
}

impl Hand {
    const fn new(may_stop: bool) -> Self {
        Self {
            may_stop,
            open: false,
            enough: false,
            waits_for_stop: false,
            failure: None,
        }
    }

    /// Hands a piece on. Whether the server is to be stopped now.
    async fn take(&mut self, piece: Piece, out: &mut Results) -> bool {
        match piece {
            Piece::Columns(columns) => {
                self.close(out).await;
                out.begin(columns).await;
                (self.open, self.enough) = (true, false);
            }
            Piece::Row(_) if self.enough => out.pass(),
            Piece::Row(row) => {
                self.enough = out.row(row).await == Flow::Enough;
                if self.enough && self.may_stop {
                    self.waits_for_stop = true;
                    return true;
                }
            }
            Piece::Done { count, stopped } => {
                self.waits_for_stop &= !stopped;
                if self.open && self.enough && self.may_stop {
                    out.end_early().await;
                    self.open = false;
                } else if self.open {
                    self.close(out).await;
                } else if count.is_some() {
                    out.begin(Vec::new()).await;
                    out.end(count).await;
                }
            }
            _ => {}
        }
        false
    }

    async fn close(&mut self, out: &mut Results) {
        if self.open {
            out.end(None).await;
            self.open = false;
        }
    }
}

/// A message as people know it: with its number, unless it was printed.
fn told(number: i32, text: &str) -> String {
    match number {
        // `PRINT`, and `RAISERROR` with a text of its own.
        0 | 50_000 => text.to_owned(),
        number => format!("{text} ({number})"),
    }
}

/// Whether a batch is one query: it can be stopped in its rows and loses
/// nothing that came after them.
fn selects_once(statement: &Statement) -> bool {
    let mut selects = 0;
    for word in jobcell_sql_text::words(&statement.text, Dialect::SqlServer) {
        let word = word.to_ascii_lowercase();
        if OTHERS.contains(&word.as_str()) {
            return false;
        }
        selects += u32::from(word == "select");
    }
    statement.kind == "select" && selects == 1
}

/// A batch's message (MS-TDS 2.2.6.7): which transaction it is in, its text.
fn batch(text: &str, transaction: u64) -> Bytes {
    /// What is told before the text, with its own length.
    const HEADERS: u32 = 22;
    let mut message = BytesMut::with_capacity(HEADERS as usize + 2 * text.len());
    message.put_u32_le(HEADERS);
    message.put_u32_le(HEADERS - 4);
    message.put_u16_le(2);
    message.put_u64_le(transaction);
    message.put_u32_le(1);
    for unit in text.encode_utf16() {
        message.put_u16_le(unit);
    }
    message.freeze()
}

#[async_trait]
impl Link for MsSqlLink {
    /// The server is asked nothing: it can't compile a batch without values.
    async fn prepare(&mut self, _: &Statement) -> Result<(), SqlError> {
        Ok(())
    }

    async fn execute(
        &mut self,
        statement: &Statement,
        values: &[Value],
        out: &mut Results,
    ) -> Result<(), SqlError> {
        let (kind, message) = if statement.parameters() == 0 {
            (
                PacketType::SqlBatch,
                batch(&statement.sent, self.transaction),
            )
        } else {
            (
                PacketType::Rpc,
                bind::call(statement, values, self.transaction),
            )
        };
        self.ask(kind, PacketStatus::NORMAL, &message).await?;
        drop(message);
        match self.hand_out(statement, out).await {
            Ok(None) => Ok(()),
            Ok(Some(said)) => Err(error::of_statement(&said, statement)),
            Err(broken) => Err(error::broken(&broken)),
        }
    }

    fn in_transaction(&self) -> bool {
        self.transaction != 0
    }

    async fn clean(&mut self) -> Result<(), SqlError> {
        if self.in_transaction() {
            self.run(ROLLBACK, PacketStatus::NORMAL).await?;
        }
        self.run(FRESH, PacketStatus::RESET_CONNECTION).await
    }

    async fn ping(&mut self) -> Result<(), SqlError> {
        self.run("SELECT 1", PacketStatus::NORMAL).await
    }

    fn is_usable(&self) -> bool {
        !self.broken
    }

    fn stopper(&self) -> Arc<dyn Stopper> {
        Arc::clone(&self.stopper) as Arc<dyn Stopper>
    }

    fn messages(&self) -> Arc<Messages> {
        Arc::clone(&self.messages)
    }
}
