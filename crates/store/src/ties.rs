//! Which jobs start after which others. Never starts anything.

use std::collections::HashMap;

use jobcell_model::{After, AfterOutcome, JobId, JobRecord};
use redb::ReadableTable;

use crate::codec;
use crate::error::StorageError;
use crate::failure::Failure;
use crate::rows;
use crate::store::Follower;
use crate::tables::{Snapshot, WriteTables, named, names_of, split_named};

const WHAT: &str = "dependency between jobs";

/// Sets after which jobs a job starts; none leaves them as they are.
pub(crate) fn set<E: From<redb::StorageError> + From<StorageError>>(
    tables: &mut WriteTables<'_>,
    job: JobId,
    after: Option<&[After]>,
) -> Result<(), E> {
    let Some(after) = after else {
        return Ok(());
    };
    let old = tables.predecessors()?.remove(job.as_bytes())?;
    let old = old.map(|row| decode(row.value())).transpose()?;
    for (key, _) in old.unwrap_or_default() {
        tables
            .followers()?
            .remove(named(&key, job.as_bytes()).as_slice())?;
    }
    if after.is_empty() {
        return Ok(());
    }
    for after in after {
        let on = codec::encode(WHAT, &after.on)?;
        let key = named(&after.job, job.as_bytes());
        tables.followers()?.insert(key.as_slice(), on.as_slice())?;
    }
    let row: Vec<(&str, AfterOutcome)> = after.iter().map(|one| (&*one.job, one.on)).collect();
    let row = codec::encode(WHAT, &row)?;
    tables
        .predecessors()?
        .insert(job.as_bytes(), row.as_slice())?;
    Ok(())
}

/// The way from a job back to itself that these predecessors would close, as
/// the keys on it.
pub(crate) fn cycle<E: From<redb::StorageError> + From<StorageError>>(
    tables: &mut WriteTables<'_>,
    job: &JobRecord,
    after: Option<&[After]>,
) -> Result<Option<Vec<String>>, E> {
    let Some(after) = after.filter(|after| !after.is_empty()) else {
        return Ok(None);
    };
    let mut reached = HashMap::from([(job.key.clone(), None)]);
    let mut ways = vec![job.key.clone()];
    while let Some(key) = ways.pop() {
        if after.iter().any(|one| one.job == key) {
            return Ok(Some(way_to(key, &reached)));
        }
        for follower in followers_of::<E>(tables.followers()?, &key)? {
            // What the job itself followed until now is about to be forgotten.
            let other = Some(follower.job_id).filter(|id| *id != job.job_id);
            let Some(id) = other else { continue };
            let Some(row) = tables.jobs()?.get(id.as_bytes())? else {
                continue;
            };
            let next = rows::decode_job(id, row.value())?.key;
            if !reached.contains_key(&next) {
                reached.insert(next.clone(), Some(key.clone()));
                ways.push(next);
            }
        }
    }
    Ok(None)
}

fn way_to(last: String, reached: &HashMap<String, Option<String>>) -> Vec<String> {
    let mut way = vec![last];
    while let Some(Some(before)) = way.last().and_then(|key| reached.get(key)) {
        way.push(before.clone());
    }
    way.reverse();
    way
}

/// The jobs that start after a job with this key.
pub(crate) fn followers(snapshot: &Snapshot, key: &str) -> Result<Vec<Follower>, Failure> {
    followers_of(&snapshot.followers()?, key)
}

fn followers_of<E: From<redb::StorageError> + From<StorageError>>(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &str,
) -> Result<Vec<Follower>, E> {
    let (first, last) = names_of(key);
    let mut found = Vec::new();
    for entry in table.range::<&[u8]>(first.as_slice()..=last.as_slice())? {
        let (key, on) = entry?;
        if let Some((_, id)) = split_named(key.value()) {
            found.push(Follower {
                job_id: JobId::from_bytes(id),
                on: codec::decode(WHAT, on.value())?,
            });
        }
    }
    Ok(found)
}

/// Takes a row of predecessors apart.
pub(crate) fn decode(row: &[u8]) -> Result<Vec<(String, AfterOutcome)>, StorageError> {
    codec::decode(WHAT, row)
}
