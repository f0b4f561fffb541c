//! A row of V1's `job_configurations`, as it stands. Never judges it.

use serde_json::{Map, Value};

use crate::row::{Columns, truth_of};

/// A row of V1's `job_configurations`, as it stands. What is none is NULL,
/// missing, or can't be read as what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1Job {
    /// The key of the row, mostly a UUID.
    pub job_id: Option<String>,
    /// The name, which need not be unique.
    pub name: Option<String>,
    /// `sql` or `powershell`.
    pub job_type: Option<String>,
    /// What the job does, as JSON text in one of five shapes.
    pub configuration: Option<String>,
    /// Whether it may run. A row without the column has V1's default, true.
    pub enabled: Option<bool>,
    /// When it was created: mostly naive.
    pub created_date: Option<String>,
    /// When it was last changed: mostly naive.
    pub modified_date: Option<String>,
    /// Who created it.
    pub created_by: Option<String>,
    /// What it is for, on the installations that had the column.
    pub description: Option<String>,
    /// Whether the three columns that follow count.
    pub schedule_enabled: Option<bool>,
    /// `cron`, `interval`, `date` or `once`.
    pub schedule_type: Option<String>,
    /// Cron text, `1d 2h 0m 0s`, or a date.
    pub schedule_expression: Option<String>,
    /// The zone that the schedule is read in.
    pub timezone: Option<String>,
    /// The whole row.
    pub raw: Value,
}

impl V1Job {
    /// Takes a row apart: column names in any casing, NULLs, `0` or `"true"`
    /// for truth. A row without a `configuration`, as V1's YAML storage had
    /// them, is a configuration itself.
    #[must_use]
    pub fn from_row(row: &Map<String, Value>) -> Self {
        let columns = Columns(row);
        let truth = |name: &str| columns.find(&[name]).and_then(truth_of);
        let enabled = columns.find(&["enabled"]).map_or(Some(true), truth_of);
        let raw = Value::Object(row.clone());
        let configuration = match columns.find(&["configuration"]) {
            Some(_) => columns.text(&["configuration"]),
            None => Some(raw.to_string()),
        };
        Self {
            job_id: columns.filled(&["job_id", "id"]),
            name: columns.text(&["name"]),
            job_type: columns.filled(&["job_type", "type"]),
            configuration,
            enabled,
            created_date: columns.filled(&["created_date", "created_at"]),
            modified_date: columns.filled(&["modified_date", "updated_at"]),
            created_by: columns.filled(&["created_by"]),
            description: columns.filled(&["description"]),
            schedule_enabled: truth("schedule_enabled"),
            schedule_type: columns.filled(&["schedule_type"]),
            schedule_expression: columns.filled(&["schedule_expression"]),
            timezone: columns.filled(&["timezone"]),
            raw,
        }
    }
}
