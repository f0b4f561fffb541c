//! What is noted while a job is read: its problems, and which pointer of today
//! means which key of the text. Never decides what to do about them.

use std::cell::RefCell;

use crate::problem::{Location, Problem, Severity};
use crate::wording::did_you_mean;

/// The most problems that are told of one job.
const MOST: usize = 100;

/// Collects while a job is read.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    problems: RefCell<Vec<Problem>>,
    renamed: RefCell<Vec<(String, String)>>,
}

impl Notes {
    /// Adds an error.
    pub(crate) fn error(
        &self,
        code: &'static str,
        pointer: &str,
        place: Location,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.add(Severity::Error, code, pointer, place, message.into(), hint);
    }

    /// Adds a warning.
    pub(crate) fn warning(
        &self,
        code: &'static str,
        pointer: &str,
        place: Location,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.add(
            Severity::Warning,
            code,
            pointer,
            place,
            message.into(),
            hint,
        );
    }

    fn add(
        &self,
        severity: Severity,
        code: &'static str,
        pointer: &str,
        place: Location,
        message: String,
        hint: Option<String>,
    ) {
        if self.is_full() {
            return;
        }
        self.problems.borrow_mut().push(Problem {
            severity,
            code,
            pointer: pointer.to_owned(),
            line: Some(place.line),
            column: Some(place.column),
            message,
            hint,
        });
    }

    /// Whether something is wrong at a pointer or below it.
    pub(crate) fn has_errors_below(&self, pointer: &str) -> bool {
        let problems = self.problems.borrow();
        problems.iter().any(|problem| {
            let rest = problem.pointer.strip_prefix(pointer);
            problem.severity == Severity::Error
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Whether nothing more is kept, so that nobody need look for more.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.borrow().len() >= MOST
    }

    /// Keeps that `today` is written as `text` in the job.
    pub(crate) fn renamed(&self, today: String, text: String) {
        if today != text {
            self.renamed.borrow_mut().push((today, text));
        }
    }

    /// All problems in the order of the text, each once, and the renamed keys.
    pub(crate) fn finish(self) -> (Vec<Problem>, Vec<(String, String)>) {
        let full = self.is_full();
        let mut all = self.problems.into_inner();
        // One mistake is told once: who misspelled a key did not leave it out.
        let meant: Vec<(String, String)> = all
            .iter()
            .filter(|problem| problem.code == "unknown_key")
            .filter_map(|problem| Some((parent(&problem.pointer), problem.hint.clone()?)))
            .collect();
        all.retain(|problem| {
            let key = problem.pointer.rsplit('/').next().unwrap_or_default();
            problem.code != "missing_key"
                || !meant.contains(&(parent(&problem.pointer), did_you_mean(key)))
        });
        all.sort_by(|one, other| {
            let key = |problem: &Problem| (problem.line, problem.column, problem.code);
            key(one).cmp(&key(other)).then_with(|| {
                (&one.message, other.hint.is_some()).cmp(&(&other.message, one.hint.is_some()))
            })
        });
        // The first of two that say the same has the hint, if any has.
        all.dedup_by(|next, kept| {
            let same = |one: &Problem| (one.line, one.column, one.code, one.message.clone());
            same(next) == same(kept)
        });
        if full && let Some(last) = all.last().cloned() {
            all.push(Problem {
                severity: Severity::Error,
                code: "too_many_problems",
                message: format!("only {MOST} problems are shown; there may be more"),
                hint: Some("put these right first".to_owned()),
                ..last
            });
        }
        (all, self.renamed.into_inner())
    }
}

fn parent(pointer: &str) -> String {
    pointer
        .rsplit_once('/')
        .map_or("", |(parent, _)| parent)
        .to_owned()
}

/// A pointer's part for a key (RFC 6901).
pub(crate) fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}
