//! A row as it arrives: value by value, however its bytes are cut, and of a
//! huge value no more than may be kept. Never waits.

use super::types::{self, Column, Frame};
use super::value;
use crate::servers::Row;
use bytes::{Buf, BytesMut};
use jobcell_plugin_host::bindings::sql::Value;

/// What the server sent makes no sense.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Nonsense(pub(super) &'static str);

/// A row that is being read.
pub(super) struct Reading {
    values: Row,
    /// For each column, whether it is known to be none.
    missing: Option<Vec<u8>>,
    /// What was read of a value that comes in pieces.
    pieces: Option<Pieces>,
    /// So many bytes of values that come in pieces are still kept; what is
    /// more is read and dropped.
    left: usize,
}

struct Pieces {
    bytes: Vec<u8>,
    /// Bytes of the present piece that are still to come.
    left: usize,
    /// Whether further pieces follow it.
    more: bool,
}

impl Reading {
    /// A row in which every value has its place.
    pub(super) const fn new(most: usize) -> Self {
        Self {
            values: Vec::new(),
            missing: None,
            pieces: None,
            left: most,
        }
    }

    /// A row whose first bytes tell which values are none; nothing when they
    /// have not arrived.
    pub(super) fn with_missing(most: usize, columns: usize, buffer: &mut BytesMut) -> Option<Self> {
        let length = columns.div_ceil(8);
        (buffer.len() >= length).then(|| Self {
            missing: Some(buffer.split_to(length).to_vec()),
            ..Self::new(most)
        })
    }

    /// Takes what has arrived. The row, once it is whole.
    pub(super) fn read(
        &mut self,
        columns: &[Column],
        buffer: &mut BytesMut,
    ) -> Result<Option<Row>, Nonsense> {
        while let Some(column) = columns.get(self.values.len()) {
            if self.is_missing(self.values.len()) {
                self.values.push(Value::Null);
                continue;
            }
            match self.value(column, buffer)? {
                Some(value) => self.values.push(value),
                None => return Ok(None),
            }
        }
        Ok(Some(std::mem::take(&mut self.values)))
    }

    fn is_missing(&self, column: usize) -> bool {
        let byte = self.missing.as_ref().and_then(|bits| bits.get(column / 8));
        byte.is_some_and(|byte| byte >> (column % 8) & 1 == 1)
    }

    /// The next value, once it is whole.
    fn value(&mut self, column: &Column, buffer: &mut BytesMut) -> Result<Option<Value>, Nonsense> {
        if self.pieces.is_some() {
            return self.go_on(column, buffer);
        }
        let frame = types::frame(column).ok_or(Nonsense("a column of an unknown type"))?;
        let (head, length) = match frame {
            Frame::Fixed(length) => (0, Some(length)),
            Frame::Byte => match buffer.first() {
                Some(length) => (1, (*length > 0).then_some(usize::from(*length))),
                None => return Ok(None),
            },
            Frame::Short => match buffer.first_chunk() {
                Some(length) => {
                    let length = u16::from_le_bytes(*length);
                    (2, (length != u16::MAX).then_some(usize::from(length)))
                }
                None => return Ok(None),
            },
            Frame::Long => match buffer.first_chunk() {
                Some(length) => {
                    let length = u32::from_le_bytes(*length);
                    (4, (length > 0).then_some(length as usize))
                }
                None => return Ok(None),
            },
            Frame::Chunks => return self.begin_chunks(column, buffer),
            Frame::Pointer => return self.begin_pointer(column, buffer),
        };
        let Some(length) = length else {
            buffer.advance(head);
            return Ok(Some(Value::Null));
        };
        if buffer.len() < head + length {
            return Ok(None);
        }
        buffer.advance(head);
        value::of(column, &buffer.split_to(length)).map(Some)
    }

    fn begin_chunks(
        &mut self,
        column: &Column,
        buffer: &mut BytesMut,
    ) -> Result<Option<Value>, Nonsense> {
        let Some(length) = buffer.first_chunk() else {
            return Ok(None);
        };
        let none = u64::from_le_bytes(*length) == u64::MAX;
        buffer.advance(8);
        if none {
            return Ok(Some(Value::Null));
        }
        self.pieces = Some(Pieces {
            bytes: Vec::new(),
            left: 0,
            more: true,
        });
        self.go_on(column, buffer)
    }

    fn begin_pointer(
        &mut self,
        column: &Column,
        buffer: &mut BytesMut,
    ) -> Result<Option<Value>, Nonsense> {
        let Some(pointer) = buffer.first().map(|length| usize::from(*length)) else {
            return Ok(None);
        };
        if pointer == 0 {
            buffer.advance(1);
            return Ok(Some(Value::Null));
        }
        // The pointer, then a time stamp of 8 bytes.
        let head = 1 + pointer + 8;
        let Some(length) = buffer.get(head..).and_then(<[u8]>::first_chunk) else {
            return Ok(None);
        };
        let left = u32::from_le_bytes(*length) as usize;
        buffer.advance(head + 4);
        self.pieces = Some(Pieces {
            bytes: Vec::new(),
            left,
            more: false,
        });
        self.go_on(column, buffer)
    }

    fn go_on(&mut self, column: &Column, buffer: &mut BytesMut) -> Result<Option<Value>, Nonsense> {
        let Some(pieces) = &mut self.pieces else {
            return Ok(None);
        };
        loop {
            let part = buffer.split_to(pieces.left.min(buffer.len()));
            pieces.left -= part.len();
            let kept = self.left.min(part.len());
            self.left -= kept;
            pieces.bytes.extend_from_slice(&part[..kept]);
            if pieces.left > 0 {
                return Ok(None);
            }
            if !pieces.more {
                break;
            }
            let Some(length) = buffer.first_chunk() else {
                return Ok(None);
            };
            pieces.left = u32::from_le_bytes(*length) as usize;
            pieces.more = pieces.left > 0;
            buffer.advance(4);
        }
        let bytes = std::mem::take(&mut pieces.bytes);
        self.pieces = None;
        value::of(column, &bytes).map(Some)
    }
}
