//! What a server answers to one request, piece by piece (MS-TDS 2.2.7), however
//! its packets are cut. Holds one packet and one row, not the answer.

use std::io;

use bytes::{Buf, BytesMut};
use jobcell_plugin_host::bindings::sql::Column;
use tds_protocol::error::ProtocolError;
use tds_protocol::token::{
    Done, EnvChange, FeatureExtAck, ReturnValue, ServerError, ServerInfo, TokenType,
};
use tokio::io::AsyncRead;

use super::row::{Nonsense, Reading};
use super::{types, wire};
use crate::servers::Row;

/// A piece of an answer.
#[derive(Debug)]
pub(super) enum Piece {
    /// A result with these columns begins.
    Columns(Vec<Column>),
    Row(Row),
    /// A statement has ended.
    Done {
        /// Rows that it returned or changed, where it counts them.
        count: Option<u64>,
        /// Whether it ended because it was told to.
        stopped: bool,
    },
    Failed(ServerError),
    Told(ServerInfo),
    Changed(EnvChange),
    LoggedIn,
}

/// Why there is no next piece.
#[derive(Debug)]
pub(super) enum Broken {
    Io(io::Error),
    Nonsense(&'static str),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(formatter),
            Self::Nonsense(what) => write!(formatter, "the server sent {what}"),
        }
    }
}

impl From<Nonsense> for Broken {
    fn from(Nonsense(what): Nonsense) -> Self {
        Self::Nonsense(what)
    }
}

/// An answer on its way.
pub(super) struct Answer {
    buffer: BytesMut,
    /// Whether its last packet has arrived.
    complete: bool,
    columns: Vec<types::Column>,
    row: Option<Reading>,
    most: usize,
}

enum Step {
    Piece(Piece),
    /// Something was passed over.
    Nothing,
    /// More of the answer is needed.
    More,
}

impl Answer {
    /// The next message of the server; of a row's long values, not more
    /// than so many bytes are kept.
    pub(super) fn new(most: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            complete: false,
            columns: Vec::new(),
            row: None,
            most,
        }
    }

    /// The next piece; none after the last.
    pub(super) async fn next(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<Option<Piece>, Broken> {
        loop {
            match self.step()? {
                Step::Piece(piece) => return Ok(Some(piece)),
                Step::Nothing => {}
                Step::More if !self.complete => {
                    let received = wire::receive(stream, &mut self.buffer).await;
                    self.complete = received.map_err(Broken::Io)?;
                }
                Step::More if self.buffer.is_empty() && self.row.is_none() => return Ok(None),
                Step::More => return Err(Broken::Nonsense("half a message")),
            }
        }
    }

    fn step(&mut self) -> Result<Step, Broken> {
        if let Some(row) = &mut self.row {
            return Ok(match row.read(&self.columns, &mut self.buffer)? {
                Some(row) => {
                    self.row = None;
                    Step::Piece(Piece::Row(row))
                }
                None => Step::More,
            });
        }
        let Some(first) = self.buffer.first() else {
            return Ok(Step::More);
        };
        let of = TokenType::from_u8(*first).ok_or(Broken::Nonsense("a token of no known kind"))?;
        match of {
            TokenType::Row => {
                self.buffer.advance(1);
                self.row = Some(Reading::new(self.most));
                self.step()
            }
            TokenType::NbcRow => {
                let mut rest = self.buffer.split_off(1);
                let count = self.columns.len();
                self.row = Reading::with_missing(self.most, count, &mut rest);
                if self.row.is_some() {
                    self.buffer = rest;
                    return self.step();
                }
                self.buffer.unsplit(rest);
                Ok(Step::More)
            }
            TokenType::ColMetaData => self.columns(),
            TokenType::Done | TokenType::DoneProc | TokenType::DoneInProc => {
                let done = self.take(|rest| Done::decode(rest))?;
                Ok(done.map_or(Step::More, |done| {
                    Step::Piece(Piece::Done {
                        count: done.status.count.then_some(done.row_count),
                        stopped: done.status.attn,
                    })
                }))
            }
            TokenType::ReturnStatus => Ok(self.pass(5)),
            TokenType::ReturnValue => Ok(nothing(self.take(|rest| ReturnValue::decode(rest))?)),
            TokenType::FeatureExtAck => Ok(nothing(self.take(|rest| FeatureExtAck::decode(rest))?)),
            TokenType::SessionState | TokenType::FedAuthInfo => Ok(match self.after_first() {
                Some(length) => self.pass(5 + u32::from_le_bytes(length) as usize),
                None => Step::More,
            }),
            _ => self.framed(of),
        }
    }

    /// A token that tells its length in two bytes.
    fn framed(&mut self, of: TokenType) -> Result<Step, Broken> {
        let Some(length) = self.after_first() else {
            return Ok(Step::More);
        };
        let length = 3 + usize::from(u16::from_le_bytes(length));
        if self.buffer.len() < length {
            return Ok(Step::More);
        }
        let token = self.buffer.split_to(length);
        let mut body = &token[1..];
        let piece = match of {
            TokenType::Error => Piece::Failed(decoded(ServerError::decode(&mut body))?),
            TokenType::Info => Piece::Told(decoded(ServerInfo::decode(&mut body))?),
            TokenType::LoginAck => Piece::LoggedIn,
            // There may be changes that nobody here has heard of.
            TokenType::EnvChange => match EnvChange::decode(&mut body) {
                Ok(change) => Piece::Changed(change),
                Err(_) => return Ok(Step::Nothing),
            },
            TokenType::Order | TokenType::ColInfo | TokenType::TabName => {
                return Ok(Step::Nothing);
            }
            _ => return Err(Broken::Nonsense("a token that has no place there")),
        };
        Ok(Step::Piece(piece))
    }

    fn columns(&mut self) -> Result<Step, Broken> {
        let Some(columns) = self.take(types::columns)? else {
            return Ok(Step::More);
        };
        if columns.is_empty() {
            return Ok(Step::Nothing);
        }
        let described = columns.iter().map(|column| Column {
            name: column.data.name.clone(),
            type_name: types::name(column).to_owned(),
        });
        let described = described.collect();
        self.columns = columns;
        Ok(Step::Piece(Piece::Columns(described)))
    }

    /// A token that tells its length nowhere; none when not all of it is there.
    fn take<T>(
        &mut self,
        decode: impl FnOnce(&mut &[u8]) -> Result<T, ProtocolError>,
    ) -> Result<Option<T>, Broken> {
        let mut rest = &self.buffer[1..];
        match decode(&mut rest) {
            Ok(token) => {
                let taken = self.buffer.len() - rest.len();
                self.buffer.advance(taken);
                Ok(Some(token))
            }
            Err(ProtocolError::UnexpectedEof | ProtocolError::IncompletePacket { .. }) => Ok(None),
            Err(_) => Err(Broken::Nonsense("a token that can't be read")),
        }
    }

    fn after_first<const N: usize>(&self) -> Option<[u8; N]> {
        self.buffer.get(1..)?.first_chunk().copied()
    }

    fn pass(&mut self, length: usize) -> Step {
        if self.buffer.len() < length {
            return Step::More;
        }
        self.buffer.advance(length);
        Step::Nothing
    }
}

fn decoded<T>(token: Result<T, ProtocolError>) -> Result<T, Broken> {
    token.map_err(|_| Broken::Nonsense("a token that can't be read"))
}

fn nothing<T>(taken: Option<T>) -> Step {
    taken.map_or(Step::More, |_| Step::Nothing)
}
