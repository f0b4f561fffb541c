//! What is wrong or doubtful in a job, with its place. Never decides what to
//! do about it.

use std::cell::RefCell;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether it stops the job.
    pub severity: Severity,
    /// A stable word for programs: `unknown_key`.
    pub code: &'static str,
    /// RFC 6901 pointer to what it is about.
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

/// Collects findings while a job is read.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Adds an error.
    pub(crate) fn error(
        &self,
        code: &'static str,
        pointer: &str,
        place: Location,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.0.borrow_mut().push(Problem {
            severity: Severity::Error,
            code,
            pointer: pointer.to_owned(),
            line: Some(place.line),
            column: Some(place.column),
            message: message.into(),
            hint,
        });
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// All of them in the order of the text, each once.
    pub(crate) fn into_sorted(self) -> Vec<Problem> {
        let mut all = self.0.into_inner();
        // One mistake is reported once: who misspelled a key did not leave it out.
        let meant: Vec<String> = all
            .iter()
            .filter(|problem| problem.code == "unknown_key")
            .filter_map(|problem| problem.hint.clone())
            .collect();
        all.retain(|problem| {
            let key = problem.pointer.rsplit('/').next().unwrap_or_default();
            problem.code != "missing_key" || !meant.contains(&did_you_mean(key))
        });
        all.sort_by_key(|problem| (problem.line, problem.column));
        all.dedup();
        all
    }
}

/// The hint that names what a word was probably meant to be.
pub(crate) fn did_you_mean(word: &str) -> String {
    format!("did you mean `{word}`?")
}

/// The candidate that a word was probably meant to be.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let rated = candidates.into_iter().map(|candidate| {
        (
            strsim::normalized_damerau_levenshtein(&lower, &candidate.to_lowercase()),
            candidate,
        )
    });
    rated
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}
