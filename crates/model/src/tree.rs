//! A YAML text as a tree in which every value knows its place. Never reads a
//! text, never gives a meaning to a key.

use serde_json::{Map, Number, Value};

use crate::problem::Location;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Where it begins; for a block of text, its `|` or `>`.
    pub(crate) place: Location,
    /// Where its text begins, when its lines and columns are those of the
    /// document: a literal block, or one line without escapes.
    pub(crate) text_place: Option<Location>,
}

/// What a value is, by YAML's core schema.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Location,
    pub(crate) value: Node,
}

/// How much a value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Values, itself included.
    pub(crate) nodes: usize,
    /// Bytes of text.
    pub(crate) text: usize,
    /// How deep values lie in it; 0 when none does.
    pub(crate) height: usize,
}

impl Kind {
    /// The word for it in messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// The value without places.
    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(value) => Value::Number(value.clone()),
            Kind::Text(value) => Value::String(value.clone()),
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Map(entries) => {
                let entries = entries.iter();
                let object: Map<String, Value> = entries
                    .map(|entry| (entry.key.clone(), entry.value.to_json()))
                    .collect();
                Value::Object(object)
            }
        }
    }

    /// How much it holds.
    pub(crate) fn weight(&self) -> Weight {
        let mut weight = Weight {
            nodes: 1,
            text: 0,
            height: 0,
        };
        match &self.kind {
            Kind::Text(text) => weight.text = text.len(),
            Kind::List(items) => items.iter().for_each(|item| weight.hold(item.weight())),
            Kind::Map(entries) => {
                for entry in entries {
                    weight.hold(entry.value.weight());
                    weight.nodes += 1;
                    weight.text += entry.key.len();
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => {}
        }
        weight
    }

    /// The value that a pointer (RFC 6901) leads to, or the innermost one on
    /// the way that is there.
    pub(crate) fn innermost(&self, pointer: &str) -> &Self {
        let mut node = self;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.kind {
                Kind::Map(entries) => entries
                    .iter()
                    .find(|entry| entry.key == part)
                    .map(|entry| &entry.value),
                Kind::List(items) => part
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index)),
                _ => None,
            };
            let Some(next) = next else { break };
            node = next;
        }
        node
    }

    /// The place of a key in this mapping.
    pub(crate) fn key_place(&self, key: &str) -> Option<Location> {
        let Kind::Map(entries) = &self.kind else {
            return None;
        };
        entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| entry.key_place)
    }
}

impl Weight {
    fn hold(&mut self, inner: Self) {
        self.nodes += inner.nodes;
        self.text += inner.text;
        self.height = self.height.max(inner.height + 1);
    }
}
