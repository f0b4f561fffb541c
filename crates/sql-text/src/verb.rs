//! What a statement does, by its first words. Never reads further than it must.

/// Reads what a statement does from its first words.
#[derive(Default)]
pub(crate) struct Verb {
    words: Vec<String>,
    done: bool,
    /// Whether words are passed over until it is said what is created.
    seeking: bool,
}

/// What MySQL can say between `CREATE` and one of [`SOUGHT`].
const AHEAD: &[&str] = &["aggregate", "algorithm", "definer", "sql"];
const SOUGHT: &[&str] = &["event", "function", "procedure", "trigger", "view"];

/// Words between `CREATE` and the thing that is created.
const BETWEEN: &[&str] = &[
    "global",
    "local",
    "materialized",
    "or",
    "replace",
    "temp",
    "temporary",
    "unique",
    "virtual",
];

/// What can follow the table expressions of a `WITH`.
const AFTER_WITH: &[&str] = &[
    "delete", "insert", "merge", "replace", "select", "update", "values",
];

impl Verb {
    pub(crate) fn read(&mut self, word: &str) {
        if self.done {
            return;
        }
        let word = word.to_ascii_lowercase();
        if self.seeking && !SOUGHT.contains(&word.as_str()) {
            return;
        }
        match self.words.first().map(String::as_str) {
            None if word == "explain" => self.words.push(word),
            None => {
                self.done = !matches!(word.as_str(), "create" | "drop" | "alter" | "with");
                self.words.push(word);
            }
            Some("with") => {
                if AFTER_WITH.contains(&word.as_str()) {
                    self.words = vec![word];
                    self.done = true;
                }
            }
            // What is explained decides whether it is a trigger, not the kind.
            Some("explain") => match word.as_str() {
                "query" | "plan" => {}
                _ if BETWEEN.contains(&word.as_str()) => {}
                "create" if self.words.len() == 1 => self.words.push(word),
                _ => {
                    self.words.push(word);
                    self.done = true;
                }
            },
            Some(_) if BETWEEN.contains(&word.as_str()) => {}
            Some("create") if AHEAD.contains(&word.as_str()) => self.seeking = true,
            Some(_) => {
                self.words.push(word);
                self.done = true;
            }
        }
    }

    /// Anything but a word ends the first words, except within a `WITH`.
    pub(crate) fn stop(&mut self) {
        let within = self.words.first().is_some_and(|word| word == "with");
        if !within && !self.seeking {
            self.done = true;
        }
    }

    /// The first words, as far as they were read.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    pub(crate) fn kind(&self) -> String {
        match self.words.first().map(String::as_str) {
            None => "other".to_owned(),
            Some("explain") => "explain".to_owned(),
            Some(_) => self.words.join("-"),
        }
    }
}
