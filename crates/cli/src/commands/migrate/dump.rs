//! V1's rows in a file: JSON of its tables or its API, or the YAML of its jobs.
//! The file is read as a whole. Never judges a row.

use std::path::Path;

use serde_json::{Map, Value};

use super::v1::{Row, TABLES, Table};

/// A file with V1's rows.
#[derive(Debug, Default)]
pub(crate) struct Dump {
    tables: [Option<Vec<Row>>; TABLES],
    /// Entries that are no rows.
    pub(crate) odd: usize,
}

/// A file can't be read as V1's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DumpError {
    /// The file itself.
    #[error("{path} can't be read")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no JSON.
    #[error("it is no JSON")]
    Json(#[source] serde_json::Error),
    /// It is no YAML.
    #[error("it is no YAML: {0}")]
    Yaml(String),
    /// It has no jobs.
    #[error(
        "there are no jobs in it: an array of jobs, or an object with `jobs` or `job_configurations`, is expected"
    )]
    NoJobs,
}

impl Dump {
    pub(crate) fn json(path: &Path) -> Result<Self, DumpError> {
        let text = read(path)?;
        let text = text.trim_start_matches('\u{feff}');
        let read = serde_json::from_str(text).map_err(DumpError::Json)?;
        Self::of(read)
    }

    pub(crate) fn yaml(path: &Path) -> Result<Self, DumpError> {
        let read = serde_yaml::from_str(&read(path)?);
        let read = read.map_err(|error| DumpError::Yaml(error.to_string()))?;
        match read {
            Value::Object(members) if !has_tables(&members) => Self::of(by_id(members)),
            Value::Null => Self::of(Value::Array(Vec::new())),
            other => Self::of(other),
        }
    }

    pub(crate) fn has(&self, table: Table) -> bool {
        self.tables[table as usize].is_some()
    }

    pub(crate) fn take(&mut self, table: Table) -> Vec<Row> {
        self.tables[table as usize].take().unwrap_or_default()
    }

    fn of(read: Value) -> Result<Self, DumpError> {
        let mut dump = Self::default();
        match read {
            Value::Array(rows) => dump.put(Table::Jobs, Value::Array(rows)),
            Value::Object(members) => {
                for (key, value) in members {
                    if let Some(table) = table_of(&key) {
                        dump.put(table, value);
                    }
                }
            }
            _ => {}
        }
        if dump.has(Table::Jobs) {
            Ok(dump)
        } else {
            Err(DumpError::NoJobs)
        }
    }

    fn put(&mut self, table: Table, value: Value) {
        let entries = match value {
            Value::Array(entries) => entries,
            Value::Object(members) => match by_id(members) {
                Value::Array(entries) => entries,
                _ => Vec::new(),
            },
            Value::Null => Vec::new(),
            other => vec![other],
        };
        let rows = self.tables[table as usize].get_or_insert_default();
        for entry in entries {
            match entry {
                Value::Object(row) => rows.push(row),
                _ => self.odd += 1,
            }
        }
    }
}

/// The names that tables and replies of V1 have.
fn table_of(key: &str) -> Option<Table> {
    match key.to_ascii_lowercase().as_str() {
        "job_configurations" | "jobs" => Some(Table::Jobs),
        "job_execution_history" | "executions" | "execution_history" | "history" => {
            Some(Table::History)
        }
        "user_connections" | "connections" => Some(Table::Connections),
        _ => None,
    }
}

/// Whether a mapping is one of tables, and not of jobs by their ids.
fn has_tables(members: &Map<String, Value>) -> bool {
    let jobs = members
        .iter()
        .find(|(key, _)| table_of(key) == Some(Table::Jobs));
    jobs.is_some_and(|(_, jobs)| match jobs {
        Value::Object(jobs) => jobs.values().all(Value::is_object),
        Value::Array(_) | Value::Null => true,
        _ => false,
    })
}

/// A mapping of rows by their ids as a list of rows.
fn by_id(members: Map<String, Value>) -> Value {
    let rows = members.into_iter().map(|(id, row)| match row {
        Value::Object(mut row) => {
            let known = ["job_id", "id"];
            if !row.keys().any(|key| known.contains(&key.as_str())) {
                row.insert("job_id".to_owned(), Value::String(id));
            }
            Value::Object(row)
        }
        other => other,
    });
    Value::Array(rows.collect())
}

fn read(path: &Path) -> Result<String, DumpError> {
    std::fs::read_to_string(path).map_err(|source| DumpError::File {
        path: path.display().to_string(),
        source,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_replies_and_lists_are_found() {
        for (read, jobs, runs) in [
            (json!([{ "name": "a" }, 3]), 1, 0),
            (json!({ "jobs": [{}], "executions": [{}, {}] }), 1, 2),
            (
                json!({ "JOB_CONFIGURATIONS": [{}], "Job_Execution_History": null }),
                1,
                0,
            ),
            (json!({ "success": true, "jobs": [] }), 0, 0),
        ] {
            let mut dump = Dump::of(read).unwrap();
            assert_eq!(dump.take(Table::Jobs).len(), jobs);
            assert_eq!(dump.take(Table::History).len(), runs);
        }
        assert!(matches!(
            Dump::of(json!({ "executions": [] })),
            Err(DumpError::NoJobs)
        ));
    }

    #[test]
    fn jobs_by_their_ids_keep_them() {
        let rows = by_id(json!({ "x": { "name": "a" } }).as_object().unwrap().clone());
        assert_eq!(rows, json!([{ "name": "a", "job_id": "x" }]));
    }
}
