//! Takes the known keys out of a mapping and reports the others. Accepts a key
//! in the spelling of the original system too. Never knows what a key is for.

use crate::notes::{Notes, below};
use crate::problem::Location;
use crate::tree::{Entry, Kind, Node};
use crate::wording::{did_you_mean, nearest, shown};

/// The keys of one mapping while they are read.
pub(crate) struct Fields<'a> {
    entries: &'a [Entry],
    taken: Vec<bool>,
    known: Vec<&'a str>,
    /// Pointer to the mapping, as the text spells it.
    pub(crate) pointer: String,
    /// The same with today's keys.
    today: String,
    pub(crate) place: Location,
    pub(crate) notes: &'a Notes,
}

/// A value that was taken, with all that a message about it needs.
#[derive(Clone)]
pub(crate) struct Taken<'a> {
    /// The key as the text spells it.
    pub(crate) key: String,
    pub(crate) pointer: String,
    pub(crate) today: String,
    pub(crate) node: &'a Node,
    pub(crate) notes: &'a Notes,
}

impl<'a> Fields<'a> {
    /// The keys of a job; none when it is no mapping.
    pub(crate) fn of_job(root: &'a Node, notes: &'a Notes) -> Option<Self> {
        let Kind::Map(entries) = &root.kind else {
            let found = root.kind.name();
            let message = format!("a job is a mapping of keys and values, but this is {found}");
            let hint = "begin with a line such as `id: nightly-backup`".to_owned();
            notes.error("wrong_type", "", root.place, message, Some(hint));
            return None;
        };
        Some(Self::new(
            entries,
            String::new(),
            String::new(),
            root.place,
            notes,
        ))
    }

    /// The keys of a mapping within a job; none when it is something else.
    pub(crate) fn of(taken: &Taken<'a>) -> Option<Self> {
        let Kind::Map(entries) = &taken.node.kind else {
            taken.wrong_type("a mapping", None);
            return None;
        };
        let (pointer, today) = (taken.pointer.clone(), taken.today.clone());
        Some(Self::new(
            entries,
            pointer,
            today,
            taken.node.place,
            taken.notes,
        ))
    }

    fn new(
        entries: &'a [Entry],
        pointer: String,
        today: String,
        place: Location,
        notes: &'a Notes,
    ) -> Self {
        let taken = vec![false; entries.len()];
        Self {
            entries,
            taken,
            known: Vec::new(),
            pointer,
            today,
            place,
            notes,
        }
    }

    /// The value of a key, in any of its spellings, be it nothing.
    pub(crate) fn find(&mut self, key: &'a str, spellings: &[&str]) -> Option<Taken<'a>> {
        self.known.push(key);
        let names: Vec<(&str, String)> = std::iter::once(&key)
            .chain(spellings)
            .map(|name| (*name, snake_case(name)))
            .collect();
        let mut found: Option<&'a Entry> = None;
        for (index, entry) in self.entries.iter().enumerate() {
            let fits = names
                .iter()
                .any(|(camel, snake)| entry.key == *camel || entry.key == *snake);
            if self.taken[index] || !fits {
                continue;
            }
            self.taken[index] = true;
            match found {
                Some(first) => self.same(entry, first),
                None => found = Some(entry),
            }
        }
        let entry = found?;
        let pointer = below(&self.pointer, &entry.key);
        let today = below(&self.today, key);
        self.notes.renamed(today.clone(), pointer.clone());
        Some(Taken {
            key: entry.key.clone(),
            pointer,
            today,
            node: &entry.value,
            notes: self.notes,
        })
    }

    /// Reports a key that was given already in another spelling.
    fn same(&self, entry: &Entry, first: &Entry) {
        let pointer = below(&self.pointer, &entry.key);
        let message = format!(
            "`{}` means the same as `{}`, which stands in line {}",
            shown(&entry.key),
            shown(&first.key),
            first.key_place.line
        );
        let hint = Some("keep one of them".to_owned());
        self.notes
            .error("duplicate_key", &pointer, entry.key_place, message, hint);
    }

    /// The value of a key. A key with nothing behind it is as good as left out.
    pub(crate) fn take(&mut self, key: &'a str, spellings: &[&str]) -> Option<Taken<'a>> {
        self.find(key, spellings)
            .filter(|taken| taken.node.kind != Kind::Null)
    }

    /// The value of a key that must be there.
    pub(crate) fn require(&mut self, key: &'a str, spellings: &[&str]) -> Option<Taken<'a>> {
        match self.find(key, spellings) {
            Some(taken) if taken.node.kind == Kind::Null => taken.empty(),
            None => self.missing(key),
            found => return found,
        }
        None
    }

    /// Reports a key that is missing.
    pub(crate) fn missing(&self, key: &str) {
        let pointer = below(&self.pointer, key);
        let message = format!("`{key}` is missing");
        self.notes
            .error("missing_key", &pointer, self.place, message, None);
    }

    /// The keys that nobody took.
    pub(crate) fn rest(&self) -> Vec<&'a Entry> {
        let left = self
            .entries
            .iter()
            .zip(&self.taken)
            .filter(|(_, taken)| !**taken);
        left.map(|(entry, _)| entry).collect()
    }

    /// Reports the keys that nobody took.
    pub(crate) fn refuse_rest(&self) {
        for entry in self.rest() {
            self.unknown(entry, &[]);
        }
    }

    /// Reports one key as unknown; `more` are further keys that would do.
    pub(crate) fn unknown(&self, entry: &Entry, more: &[&str]) {
        if self.notes.is_full() {
            return;
        }
        let known = self.known.iter().chain(more).copied();
        let pointer = below(&self.pointer, &entry.key);
        unknown(
            self.notes,
            &pointer,
            &entry.key,
            entry.key_place,
            known.collect(),
        );
    }
}

/// Reports a key as unknown among those that would do.
pub(crate) fn unknown(
    notes: &Notes,
    pointer: &str,
    key: &str,
    place: Location,
    mut known: Vec<&str>,
) {
    let hint = match nearest(key, known.iter().copied()) {
        Some(meant) => Some(did_you_mean(meant)),
        None if known.is_empty() => None,
        None => {
            known.sort_unstable();
            known.dedup();
            Some(format!("known here: {}", known.join(", ")))
        }
    };
    let message = format!("the key `{}` is not known", shown(key));
    notes.error("unknown_key", pointer, place, message, hint);
}

/// `executionPolicy` as `execution_policy`.
pub(crate) fn snake_case(key: &str) -> String {
    let mut snake = String::new();
    for one in key.chars() {
        if one.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(one.to_ascii_lowercase());
    }
    snake
}
