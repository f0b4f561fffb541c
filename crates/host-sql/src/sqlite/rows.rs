//! Takes rows out of a running statement, page by page and under caps.
//! Never runs a statement that has not been started.

use jobcell_plugin_host::bindings::sql::Value;
use rusqlite::Rows;
use rusqlite::types::ValueRef;

use crate::error::Cap;
use crate::sqlite::prepared::Prepared;

/// The values of one row.
pub(crate) type Row = Vec<Value>;

/// What may still be taken out of one result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) rows: Allowance,
    pub(crate) bytes: Allowance,
}

/// A cap and how much of it is left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    cap: u64,
    left: u64,
}

impl Budget {
    pub(crate) const fn new(rows: u64, bytes: u64) -> Self {
        Self {
            rows: Allowance {
                cap: rows,
                left: rows,
            },
            bytes: Allowance {
                cap: bytes,
                left: bytes,
            },
        }
    }

    /// Takes a row's share, or names the cap that it would break.
    fn take(&mut self, bytes: u64) -> Result<(), Cap> {
        if self.rows.left == 0 {
            return Err(Cap::Rows(self.rows.cap));
        }
        if self.bytes.left < bytes {
            return Err(Cap::Bytes(self.bytes.cap));
        }
        self.rows.left -= 1;
        self.bytes.left -= bytes;
        Ok(())
    }
}

/// How much one page shall hold. A row larger than `bytes` is a page itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Want {
    pub(crate) rows: usize,
    pub(crate) bytes: u64,
}

/// Where a result stands after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// There is at least one more row.
    More,
    /// There is none.
    Done,
    /// There is one, and it would break this cap.
    Capped(Cap),
}

/// Rows on their way from SQLite to pages. Reads one row ahead, so that a page
/// knows whether it is the last.
pub(crate) struct Taker {
    budget: Budget,
    ahead: Option<(Row, u64)>,
}

impl Taker {
    pub(crate) const fn new(budget: Budget) -> Self {
        Self {
            budget,
            ahead: None,
        }
    }

    /// The next page.
    pub(crate) fn page(
        &mut self,
        rows: &mut Rows<'_>,
        want: Want,
    ) -> rusqlite::Result<(Vec<Row>, After)> {
        let mut page = Vec::new();
        let mut bytes = 0;
        loop {
            let (row, size) = match self.ahead.take() {
                Some(ahead) => ahead,
                None => match rows.next()? {
                    Some(row) => {
                        // Judged before it is copied: a row may be 64 MiB.
                        let size = size_of_row(row)?;
                        if let Err(cap) = self.budget.take(size) {
                            return Ok((page, After::Capped(cap)));
                        }
                        (values(row)?, size)
                    }
                    None => return Ok((page, After::Done)),
                },
            };
            let full = page.len() >= want.rows || bytes + size > want.bytes;
            if full && !page.is_empty() {
                self.ahead = Some((row, size));
                return Ok((page, After::More));
            }
            bytes += size;
            page.push(row);
        }
    }
}

/// What a value costs beside its own bytes.
const OVERHEAD: u64 = 16;

fn size_of_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<u64> {
    let mut size = OVERHEAD;
    for index in 0..row.as_ref().column_count() {
        let bytes = match row.get_ref(index)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() as u64,
            _ => 0,
        };
        size += OVERHEAD + bytes;
    }
    Ok(size)
}

fn values(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let count = row.as_ref().column_count();
    let mut values = Vec::with_capacity(count);
    for index in 0..count {
        values.push(match row.get_ref(index)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Real(number) => Value::Real(number),
            // SQLite does not check that text is UTF-8. Nothing is lost when
            // what is not comes as bytes.
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Value::Text(text.to_owned()),
                Err(_) => Value::Binary(bytes.to_vec()),
            },
            ValueRef::Blob(bytes) => Value::Binary(bytes.to_vec()),
        });
    }
    Ok(values)
}

/// Puts the values into a statement's parameters.
pub(crate) fn bind(
    statement: &mut rusqlite::Statement<'_>,
    prepared: &Prepared,
    bindings: &[Option<Value>],
) -> rusqlite::Result<()> {
    for (index, value) in bindings.iter().take(prepared.parameters.len()).enumerate() {
        let at = index + 1;
        match value {
            None | Some(Value::Null) => statement.raw_bind_parameter(at, rusqlite::types::Null)?,
            Some(Value::Boolean(value)) => statement.raw_bind_parameter(at, value)?,
            Some(Value::Integer(value)) => statement.raw_bind_parameter(at, value)?,
            Some(Value::Real(value)) => statement.raw_bind_parameter(at, value)?,
            Some(
                Value::Decimal(text)
                | Value::Text(text)
                | Value::Temporal(text)
                | Value::Json(text),
            ) => statement.raw_bind_parameter(at, text)?,
            Some(Value::Binary(bytes)) => statement.raw_bind_parameter(at, bytes)?,
        }
    }
    Ok(())
}
