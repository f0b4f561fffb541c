//! A job that was read: what it says, and where it says it.

use serde_json::{Map, Value};

use crate::problem::{Location, Problem};
use crate::spec::JobSpec;
use crate::tree::{Kind, Node};

/// A job as understood, with the places of its text.
#[derive(Debug, Clone, PartialEq)]
pub struct JobDocument {
    /// The keys that all types share.
    pub spec: JobSpec,
    /// The type's own keys, in today's spelling.
    pub configuration: Map<String, Value>,
    /// What is doubtful.
    pub warnings: Vec<Problem>,
    /// Pointers in today's spelling, with what the text has instead.
    pub(crate) renamed: Vec<(String, String)>,
    pub(crate) root: Node,
}

impl JobDocument {
    /// The whole job as JSON: every key in today's spelling, lengths of time as
    /// seconds, sizes as bytes, defaults written out. Read as a job, it is the
    /// same job.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let spec = serde_json::to_value(&self.spec)
            .expect("keys are text and numbers finite, so it can be written as JSON");
        let mut whole = self.configuration.clone();
        if let Value::Object(spec) = spec {
            whole.extend(spec);
        }
        Value::Object(whole)
    }

    /// Where a value stands, by an RFC 6901 pointer into the document or the
    /// configuration. A value that is not there (a default, a missing key) is
    /// found where it would stand: at the innermost value around it. None only
    /// when it is no pointer.
    #[must_use]
    pub fn locate(&self, pointer: &str) -> Option<Location> {
        self.find(pointer).map(|node| node.place)
    }

    /// Where a place inside a text value stands, line and column from 1. Exact
    /// for `|` blocks and for text on one line without escapes; else the place
    /// of the value.
    #[must_use]
    pub fn locate_within(&self, pointer: &str, line: u32, column: u32) -> Option<Location> {
        let node = self.find(pointer)?;
        let (Kind::Text(text), Some(start)) = (&node.kind, node.text_place) else {
            return Some(node.place);
        };
        let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
        if line == 0 || line > lines {
            return Some(node.place);
        }
        Some(Location {
            line: start.line.saturating_add(line - 1),
            column: start.column.saturating_add(column.saturating_sub(1)),
        })
    }

    fn find(&self, pointer: &str) -> Option<&Node> {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return None;
        }
        let renamed = self.renamed.iter().filter_map(|(today, text)| {
            let rest = pointer.strip_prefix(today.as_str())?;
            (rest.is_empty() || rest.starts_with('/'))
                .then(|| (today.len(), format!("{text}{rest}")))
        });
        match renamed.max_by_key(|(length, _)| *length) {
            Some((_, pointer)) => Some(self.root.innermost(&pointer)),
            None => Some(self.root.innermost(pointer)),
        }
    }
}
