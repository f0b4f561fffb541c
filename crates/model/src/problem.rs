//! What is wrong or doubtful in a job, with its place. Never decides what to
//! do about it.

use serde::Serialize;

/// Whether a finding stops a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It must be put right.
    Error,
    /// It is doubtful.
    Warning,
}

/// A place in a text: line and column, both from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Location {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Location {
    /// Where every text begins.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// A finding about a job.
///
/// The words for `code`, which stay:
///
/// - of the text: `syntax`, `nul_character`, `empty_document`,
///   `several_documents`, `too_large`, `too_deep`, `bad_alias`, `bad_key`,
///   `merge_key`, `unknown_tag`
/// - of keys: `unknown_key`, `duplicate_key`, `missing_key`
/// - of values: `wrong_type`, `empty`, `out_of_range`, `not_allowed`,
///   `bad_duration`, `bad_id`, `bad_name`, `bad_cron`, `never_fires`,
///   `bad_date`, `unknown_zone`, `unknown_type`, `unknown_calendar`,
///   `own_job`, `unexpected_firings`
/// - of the installed job type: `bad_type_schema`
/// - of the list itself: `too_many_problems`
/// - warnings: `ambiguous_time`, `clock_change`, `no_effect`, `oversized_step`,
///   `unchecked`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether it stops the job.
    pub severity: Severity,
    /// A stable word for programs: `unknown_key`.
    pub code: &'static str,
    /// RFC 6901 pointer to what it is about, with keys as the text spells them.
    pub pointer: String,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1, in characters.
    pub column: Option<u32>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// How to put it right.
    pub hint: Option<String>,
}
