//! Takes the known keys out of a mapping and reports the others. Accepts a key
//! in the spelling of the original system too. Never knows what a key is for.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::problem::{Location, Problems, did_you_mean, nearest};
use crate::tree::{Entry, Kind, Node, duplicate};

/// The keys of one mapping while they are read.
pub(crate) struct Fields<'a> {
    entries: &'a [Entry],
    taken: Vec<bool>,
    known: Vec<&'static str>,
    /// The mapping with its keys as they are spelled today.
    pub(crate) normal: Map<String, Value>,
    pub(crate) pointer: String,
    pub(crate) place: Location,
    pub(crate) problems: &'a Problems,
}

/// A value that was taken, with all that a message about it needs.
#[derive(Clone, Copy)]
pub(crate) struct Taken<'a> {
    pub(crate) key: &'a str,
    pub(crate) node: &'a Node,
}

impl<'a> Fields<'a> {
    /// The keys of a mapping; none when the node is something else.
    pub(crate) fn of(node: &'a Node, pointer: &str, problems: &'a Problems) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            let found = node.kind_name();
            let message = match pointer {
                "" => format!("a job is a mapping of keys and values, but this is {found}"),
                _ => format!("`{}` must be a mapping, not {found}", last(pointer)),
            };
            problems.error("wrong_type", pointer, node.place, message, None);
            return None;
        };
        Some(Self {
            entries,
            taken: vec![false; entries.len()],
            known: Vec::new(),
            normal: Map::new(),
            pointer: pointer.to_owned(),
            place: node.place,
            problems,
        })
    }

    /// The value of a key, in any of its spellings.
    pub(crate) fn take(&mut self, key: &'static str, spellings: &[&str]) -> Option<Taken<'a>> {
        self.known.push(key);
        let matches = |entry: &Entry| {
            entry.key == key
                || camel_case(&entry.key) == key
                || spellings.contains(&entry.key.as_str())
        };
        let mut found: Option<&'a Entry> = None;
        for (index, entry) in self.entries.iter().enumerate() {
            if self.taken[index] || !matches(entry) {
                continue;
            }
            self.taken[index] = true;
            match found {
                Some(first) => {
                    duplicate(self.problems, &entry.key, entry.key_place, first.key_place)
                }
                None => found = Some(entry),
            }
        }
        let entry = found?;
        self.normal.insert(key.to_owned(), entry.value.to_json());
        Some(Taken {
            key: &entry.key,
            node: &entry.value,
        })
    }

    /// The value of a key that was taken.
    pub(crate) fn node(&self, key: &str) -> Option<&'a Node> {
        let found = self
            .entries
            .iter()
            .find(|entry| camel_case(&entry.key) == key);
        found.map(|entry| &entry.value)
    }

    /// The keys that nobody took, with what the caller knows of them.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &'a Entry> {
        let left = self
            .entries
            .iter()
            .zip(&self.taken)
            .filter(|(_, taken)| !**taken);
        left.map(|(entry, _)| entry).collect::<Vec<_>>().into_iter()
    }

    /// Reports the keys that nobody took.
    pub(crate) fn refuse_rest(&self) {
        for entry in self.rest() {
            self.unknown(entry, &[]);
        }
    }

    /// Reports one key as unknown.
    pub(crate) fn unknown(&self, entry: &Entry, more: &[String]) {
        let known = self
            .known
            .iter()
            .copied()
            .chain(more.iter().map(String::as_str));
        let mut names: Vec<&str> = known.clone().collect();
        let hint = match nearest(&entry.key, known) {
            Some(meant) => did_you_mean(meant),
            None => {
                names.sort_unstable();
                format!("known here: {}", names.join(", "))
            }
        };
        let pointer = self.pointer_to(&entry.key);
        let message = format!("the key `{}` is not known", entry.key);
        self.problems.error(
            "unknown_key",
            &pointer,
            entry.key_place,
            message,
            Some(hint),
        );
    }

    pub(crate) fn pointer_to(&self, key: &str) -> String {
        format!(
            "{}/{}",
            self.pointer,
            key.replace('~', "~0").replace('/', "~1")
        )
    }

    /// Reports a value.
    pub(crate) fn wrong(
        &self,
        taken: &Taken<'_>,
        code: &'static str,
        message: impl Into<String>,
        hint: Option<&str>,
    ) {
        let pointer = self.pointer_to(taken.key);
        self.problems.error(
            code,
            &pointer,
            taken.node.place,
            message,
            hint.map(str::to_owned),
        );
    }

    fn wrong_type(&self, taken: &Taken<'_>, expected: &str, hint: Option<&str>) {
        let found = taken.node.kind_name();
        let message = format!("`{}` must be {expected}, not {found}", taken.key);
        self.wrong(taken, "wrong_type", message, hint);
    }

    /// Text that is there and not blank.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<(String, Taken<'a>)> {
        let taken = self.take(key, &[])?;
        match &taken.node.kind {
            Kind::Text(text) if !text.trim().is_empty() => Some((text.clone(), taken)),
            Kind::Text(_) | Kind::Null => {
                self.wrong(&taken, "empty", format!("`{key}` must not be empty"), None);
                None
            }
            Kind::Number(_) | Kind::Bool(_) => {
                self.wrong_type(&taken, "text", Some("put it in quotes"));
                None
            }
            Kind::List(_) | Kind::Map(_) => {
                self.wrong_type(&taken, "text", None);
                None
            }
        }
    }

    /// Text that must be there. None when it is not usable; that is reported.
    pub(crate) fn required_text(&mut self, key: &'static str) -> Option<(String, Taken<'a>)> {
        let before = self.known.len();
        let found = self.text(key);
        let given = self.normal.contains_key(key);
        debug_assert!(self.known.len() > before, "text registers the key");
        if found.is_none() && !given {
            self.missing(key);
        }
        found
    }

    /// Reports a key that is missing.
    pub(crate) fn missing(&self, key: &str) {
        let pointer = self.pointer_to(key);
        let message = format!("`{key}` is missing");
        self.problems
            .error("missing_key", &pointer, self.place, message, None);
    }

    pub(crate) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let taken = self.take(key, &[])?;
        if let Kind::Bool(value) = taken.node.kind {
            return Some(value);
        }
        self.wrong_type(&taken, "true or false", None);
        None
    }

    /// A whole number within bounds.
    pub(crate) fn count(&mut self, key: &'static str, least: u64, most: u64) -> Option<u64> {
        let taken = self.take(key, &[])?;
        let value = match &taken.node.kind {
            Kind::Number(number) => number.as_u64(),
            _ => None,
        };
        if let Some(value) = value.filter(|value| (least..=most).contains(value)) {
            return Some(value);
        }
        let message = format!("`{key}` must be a whole number from {least} to {most}");
        self.wrong(&taken, "out_of_range", message, None);
        None
    }

    /// One of some words.
    pub(crate) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let (text, taken) = self.text(key)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!(
            "`{key}` is `{text}`, but must be one of: {}",
            names.join(", ")
        );
        self.wrong(&taken, "not_allowed", message, None);
        None
    }

    /// A length of time: a number of seconds, or text such as `90s` or `1h30m`.
    pub(crate) fn duration(&mut self, key: &'static str, most: Duration) -> Option<Duration> {
        let taken = self.take(key, &[])?;
        let value = match &taken.node.kind {
            Kind::Number(number) => number
                .as_f64()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            Kind::Text(text) => humantime::parse_duration(text).ok(),
            _ => None,
        };
        if let Some(value) = value.filter(|value| *value <= most) {
            return Some(value);
        }
        let message = format!(
            "`{key}` must be a length of time from 0 to {} days: a number of seconds, or text such as `90s` or `1h30m`",
            most.as_secs() / 86_400
        );
        self.wrong(&taken, "out_of_range", message, None);
        None
    }
}

/// `execution_policy` as `executionPolicy`.
pub(crate) fn camel_case(key: &str) -> String {
    let mut parts = key.split('_');
    let mut camel = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut characters = part.chars();
        camel.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(characters.as_str());
    }
    camel
}

fn last(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or(pointer)
}
