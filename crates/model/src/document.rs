//! A job that was read: what it says, and where it says it.

use serde_json::{Map, Value};

use crate::fields::camel_case;
use crate::problem::{Location, Problem};
use crate::spec::JobSpec;
use crate::tree::{Kind, Node};

/// A job as understood, with the places of its text.
#[derive(Debug, Clone, PartialEq)]
pub struct JobDocument {
    /// The keys that all types share.
    pub spec: JobSpec,
    /// The type's own keys.
    pub configuration: Map<String, Value>,
    /// What is doubtful.
    pub warnings: Vec<Problem>,
    normal: Map<String, Value>,
    root: Node,
}

impl JobDocument {
    pub(crate) fn new(
        root: Node,
        spec: JobSpec,
        configuration: Map<String, Value>,
        normal: Map<String, Value>,
    ) -> Self {
        Self {
            spec,
            configuration,
            warnings: Vec::new(),
            normal,
            root,
        }
    }

    /// The job as JSON, with today's spelling of each key.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.normal.clone())
    }

    /// Where a value stands (RFC 6901 pointer, in either spelling of a key).
    #[must_use]
    pub fn locate(&self, pointer: &str) -> Option<Location> {
        self.find(pointer).map(|node| node.place)
    }

    /// Where a place inside a text value stands. Exact for block text; the
    /// value's own place for text in quotes, whose lines may be folded.
    #[must_use]
    pub fn locate_within(&self, pointer: &str, line: u32, column: u32) -> Option<Location> {
        let node = self.find(pointer)?;
        let Some(text) = node.text_place else {
            return Some(node.place);
        };
        Some(Location {
            line: text.line.saturating_add(line.saturating_sub(1)),
            column: text.column.saturating_add(column.saturating_sub(1)),
        })
    }

    fn find(&self, pointer: &str) -> Option<&Node> {
        let mut node = &self.root;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            node = match &node.kind {
                Kind::Map(entries) => {
                    let found = entries
                        .iter()
                        .find(|entry| entry.key == part || camel_case(&entry.key) == part);
                    &found?.value
                }
                Kind::List(items) => items.get(part.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(node)
    }
}
