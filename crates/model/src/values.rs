//! Values by kind: text, numbers, words, lengths of time, sizes. Reports each
//! that is not what it must be. Never knows what a value is for.

use std::time::Duration;

use crate::fields::Taken;
use crate::tree::{Kind, Node};
use crate::wording::{did_you_mean, nearest, shown};

const IN_QUOTES: &str = "put it in quotes";

impl<'a> Taken<'a> {
    /// Reports the value.
    pub(crate) fn wrong(&self, code: &'static str, message: impl Into<String>, hint: Option<&str>) {
        let hint = hint.map(str::to_owned);
        self.notes
            .error(code, &self.pointer, self.node.place, message, hint);
    }

    /// Reports that it is of the wrong kind.
    pub(crate) fn wrong_type(&self, expected: &str, hint: Option<&str>) {
        let found = self.node.kind.name();
        let message = format!("`{}` must be {expected}, not {found}", shown(&self.key));
        self.wrong("wrong_type", message, hint);
    }

    /// Reports that there is nothing.
    pub(crate) fn empty(&self) {
        self.wrong(
            "empty",
            format!("`{}` must not be empty", shown(&self.key)),
            None,
        );
    }

    /// A value within it.
    pub(crate) fn inner(&self, key: &str, node: &'a Node) -> Self {
        Self {
            key: key.to_owned(),
            pointer: crate::notes::below(&self.pointer, key),
            today: crate::notes::below(&self.today, key),
            node,
            notes: self.notes,
        }
    }

    /// Text, be it blank.
    pub(crate) fn any_text(&self) -> Option<&'a str> {
        match &self.node.kind {
            Kind::Text(text) => return Some(text),
            Kind::Number(_) | Kind::Bool(_) => self.wrong_type("text", Some(IN_QUOTES)),
            Kind::Null => self.empty(),
            Kind::List(_) | Kind::Map(_) => self.wrong_type("text", None),
        }
        None
    }

    /// Text that is not blank.
    pub(crate) fn text(&self) -> Option<&'a str> {
        let text = self.any_text()?;
        if !text.trim().is_empty() {
            return Some(text);
        }
        self.empty();
        None
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        if let Kind::Bool(value) = self.node.kind {
            return Some(value);
        }
        self.wrong_type("true or false", None);
        None
    }

    /// A whole number within bounds.
    pub(crate) fn count(&self, least: u32, most: u32) -> Option<u32> {
        let Kind::Number(number) = &self.node.kind else {
            self.wrong_type("a whole number", None);
            return None;
        };
        let value = number.as_u64().and_then(|value| u32::try_from(value).ok());
        if let Some(value) = value.filter(|value| (least..=most).contains(value)) {
            return Some(value);
        }
        let message = format!(
            "`{}` must be a whole number from {least} to {most}",
            self.key
        );
        self.wrong("out_of_range", message, None);
        None
    }

    /// A whole number within bounds that may lie below nothing.
    pub(crate) fn integer(&self, least: i32, most: i32) -> Option<i32> {
        let Kind::Number(number) = &self.node.kind else {
            self.wrong_type("a whole number", None);
            return None;
        };
        let value = number.as_i64().and_then(|value| i32::try_from(value).ok());
        if let Some(value) = value.filter(|value| (least..=most).contains(value)) {
            return Some(value);
        }
        let message = format!(
            "`{}` must be a whole number from {least} to {most}",
            self.key
        );
        self.wrong("out_of_range", message, None);
        None
    }

    /// One of some words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = nearest(text, names.iter().copied()).map(did_you_mean);
        let found = shown(text);
        let message = format!(
            "`{}` is `{found}`, but must be one of: {}",
            self.key,
            names.join(", ")
        );
        self.wrong("not_allowed", message, hint.as_deref());
        None
    }

    /// A length of time: a number of seconds, or text such as `90s` or `1h30m`.
    pub(crate) fn duration(&self, most: Duration) -> Option<Duration> {
        let (code, value) = match &self.node.kind {
            Kind::Number(number) => {
                let seconds = number.as_f64().map(Duration::try_from_secs_f64);
                ("out_of_range", seconds.and_then(Result::ok))
            }
            Kind::Text(text) => match humantime::parse_duration(text) {
                Ok(value) => ("out_of_range", Some(value)),
                Err(_) => ("bad_duration", None),
            },
            _ => ("wrong_type", None),
        };
        if let Some(value) = value.filter(|value| *value <= most) {
            return Some(value);
        }
        let message = format!(
            "`{}` must be a length of time from 0 to {} days: a number of seconds, or text such as `90s` or `1h30m`",
            self.key,
            most.as_secs() / 86_400
        );
        self.wrong(code, message, None);
        None
    }

    /// A length of time that is not nothing.
    pub(crate) fn positive_duration(&self, most: Duration) -> Option<Duration> {
        let duration = self.duration(most)?;
        if !duration.is_zero() {
            return Some(duration);
        }
        self.wrong(
            "out_of_range",
            format!("`{}` must be longer than nothing", self.key),
            None,
        );
        None
    }

    /// Bytes: a number, or text such as `512 MiB`.
    pub(crate) fn size(&self) -> Option<u64> {
        let (code, bytes) = match &self.node.kind {
            Kind::Number(number) => ("out_of_range", number.as_u64()),
            Kind::Text(text) => (
                "out_of_range",
                text.parse::<bytesize::ByteSize>()
                    .ok()
                    .map(|size| size.as_u64()),
            ),
            _ => ("wrong_type", None),
        };
        // Beyond 2^53 programs that read JSON would round it.
        if let Some(bytes) = bytes.filter(|bytes| (1..=1 << 53).contains(bytes)) {
            return Some(bytes);
        }
        let message = format!(
            "`{}` must be a number of bytes, at least 1, or text such as `512 MiB`",
            self.key
        );
        self.wrong(code, message, None);
        None
    }

    /// Reports a value of a list that stands there already.
    pub(crate) fn twice(&self, value: &str) {
        let message = format!("`{}` is given twice", shown(value));
        self.wrong("duplicate_key", message, Some("keep one of them"));
    }

    /// The values of a list that must not be long.
    pub(crate) fn list_of_at_most(&self, most: usize) -> Vec<Self> {
        let items = self.items().unwrap_or_default();
        if items.len() <= most {
            return items;
        }
        let message = format!("`{}` must have at most {most} entries", self.key);
        self.wrong("out_of_range", message, None);
        Vec::new()
    }

    /// The values of a list.
    pub(crate) fn items(&self) -> Option<Vec<Self>> {
        let Kind::List(items) = &self.node.kind else {
            self.wrong_type(
                "a list",
                Some("write each entry on a line of its own, after `- `"),
            );
            return None;
        };
        let items = items.iter().enumerate();
        Some(
            items
                .map(|(index, item)| self.inner(&index.to_string(), item))
                .collect(),
        )
    }
}
