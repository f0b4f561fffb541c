//! The store's format: writes it into a new store, checks it in an old one, and
//! adds the tables there that later versions have.
//! Never changes a store of another format.

use std::time::{SystemTime, UNIX_EPOCH};

use redb::{ReadableTable, TableError, TableHandle, WriteTransaction};

use crate::codec::corrupt;
use crate::error::StorageError;
use crate::failure::Failure;
use crate::slot::Slot;
use crate::tables::{META, TABLES, WriteTables};

/// The format that is written, and the latest that is read.
pub(crate) const FORMAT: u32 = 1;

const FORMAT_KEY: &str = "format";
const CREATED_KEY: &str = "created";
const CREATOR_KEY: &str = "created_by_version";

/// What a database turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A store of this format, perhaps made just now.
    Current,
    /// A store of a later format.
    Newer(u32),
    /// A redb database of something else.
    Foreign,
}

/// Checks the format; makes the tables in an empty database.
pub(crate) fn check_or_create(slot: &Slot) -> Result<Found, Failure> {
    let transaction = slot.begin_write()?;
    let found = match stored_format(&transaction)? {
        Some(FORMAT) if lacks_tables(&transaction)? => {
            WriteTables::new(&transaction).open_all()?;
            transaction.commit()?;
            return Ok(Found::Current);
        }
        Some(FORMAT) => Found::Current,
        Some(newer) if newer > FORMAT => Found::Newer(newer),
        Some(_) => Found::Foreign,
        None if holds_anything_else(&transaction)? => Found::Foreign,
        None => {
            create(&transaction)?;
            transaction.commit()?;
            return Ok(Found::Current);
        }
    };
    transaction.abort()?;
    Ok(found)
}

fn stored_format(transaction: &WriteTransaction) -> Result<Option<u32>, Failure> {
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        // Another program's table of that name.
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Ok(Some(0)),
    };
    let Some(value) = meta.get(FORMAT_KEY)? else {
        return Ok(None);
    };
    let bytes = value.value().try_into().map_err(|_| -> StorageError {
        corrupt(
            "format number",
            format!("it has {} bytes, not 4", value.value().len()),
        )
    })?;
    Ok(Some(u32::from_be_bytes(bytes)))
}

/// Whether there is a table of another program. Looking for the format has made
/// ours, for as long as the transaction lasts.
fn holds_anything_else(transaction: &WriteTransaction) -> Result<bool, Failure> {
    let mut tables = transaction.list_tables()?;
    let mut multimaps = transaction.list_multimap_tables()?;
    Ok(multimaps.next().is_some() || tables.any(|table| table.name() != META.name()))
}

/// Whether it was made by a version with fewer tables.
fn lacks_tables(transaction: &WriteTransaction) -> Result<bool, Failure> {
    Ok(transaction.list_tables()?.count() < TABLES)
}

fn create(transaction: &WriteTransaction) -> Result<(), Failure> {
    let mut tables = WriteTables::new(transaction);
    tables.open_all()?;
    let meta = tables.meta()?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    meta.insert(FORMAT_KEY, FORMAT.to_be_bytes().as_slice())?;
    meta.insert(CREATED_KEY, now.to_be_bytes().as_slice())?;
    meta.insert(CREATOR_KEY, env!("CARGO_PKG_VERSION").as_bytes())?;
    Ok(())
}
