//! What is known of one statement's text once SQLite has compiled it. Never
//! holds a compiled statement: those belong to a connection's thread.

use std::sync::Arc;

use jobcell_plugin_host::bindings::sql::Value;

use crate::error::SqlError;

/// What compiling a statement told about what it does, beyond reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    /// It does more than read: it writes, begins, commits or sets something.
    pub(crate) acts: bool,
    /// It changes the session itself: temporary objects, settings.
    pub(crate) marks_session: bool,
    /// It asks for counters that a connection keeps, or begins a transaction
    /// in which a later statement may.
    pub(crate) wants_fresh_counters: bool,
}

impl Traits {
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            acts: self.acts || other.acts,
            marks_session: self.marks_session || other.marks_session,
            wants_fresh_counters: self.wants_fresh_counters || other.wants_fresh_counters,
        }
    }
}

/// One statement that compiled.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) text: Arc<str>,
    /// Its parameters in SQLite's order, as written: `:name`, `?`.
    pub(crate) parameters: Vec<Option<String>>,
    pub(crate) traits: Traits,
    pub(crate) counts_changes: bool,
}

impl Prepared {
    /// The statement's text, without blanks around it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it does nothing but read.
    #[must_use]
    pub const fn only_reads(&self) -> bool {
        !self.traits.acts
    }

    /// Puts `value` into each parameter of this name.
    ///
    /// # Errors
    /// When the statement has no parameter of this name.
    pub fn bind(
        &self,
        bindings: &mut Vec<Option<Value>>,
        name: &str,
        value: &Value,
    ) -> Result<(), SqlError> {
        bindings.resize(self.parameters.len(), None);
        let mut found = false;
        for (slot, parameter) in bindings.iter_mut().zip(&self.parameters) {
            if parameter
                .as_deref()
                .is_some_and(|written| bare(written) == name)
            {
                *slot = Some(value.clone());
                found = true;
            }
        }
        if found {
            return Ok(());
        }
        let known = self
            .parameters
            .iter()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>();
        Err(SqlError::UnknownParameter {
            name: name.to_owned(),
            known: known.join(", "),
        })
    }

    /// Checks that each parameter has a value.
    pub(crate) fn check_bound(&self, bindings: &[Option<Value>]) -> Result<(), SqlError> {
        for (index, written) in self.parameters.iter().enumerate() {
            if bindings.get(index).is_none_or(Option::is_none) {
                let parameter = match written {
                    Some(written) => written.clone(),
                    None => format!("? (number {})", index + 1),
                };
                return Err(SqlError::UnboundParameter { parameter });
            }
        }
        Ok(())
    }
}

/// A parameter's name without its sign.
fn bare(written: &str) -> &str {
    let mut rest = written.chars();
    rest.next();
    rest.as_str()
}

/// The first word of a statement in lower case, past blanks and comments.
pub(crate) fn first_word(text: &str) -> String {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';' || c == '\u{feff}');
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
        } else {
            break;
        }
    }
    rest.chars()
        .take_while(|c| c.is_ascii_alphabetic())
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::first_word;

    #[test]
    fn first_word_is_found_past_comments() {
        assert_eq!(
            first_word("-- a\n /* b */ ;\u{feff} Insert INTO t"),
            "insert"
        );
        assert_eq!(first_word("/* open"), "");
        assert_eq!(first_word("WITH x AS (SELECT 1) DELETE FROM t"), "with");
    }
}
