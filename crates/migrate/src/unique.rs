//! Texts that only one job may have: the wanted one, or that with a number
//! behind it. Never changes what somebody has already.

use std::collections::{BTreeMap, HashMap};

use jobcell_model::JobId;

/// Texts and whose they are.
#[derive(Debug)]
pub(crate) struct Unique {
    pub(crate) owners: HashMap<String, JobId>,
    /// What jobs had before this migration.
    before: HashMap<JobId, String>,
    /// For a wanted text, a number below which all are taken.
    next: HashMap<String, u64>,
    longest: usize,
    suffix: fn(u64) -> String,
}

impl Unique {
    pub(crate) fn new(
        taken: &BTreeMap<String, JobId>,
        longest: usize,
        suffix: fn(u64) -> String,
    ) -> Self {
        let pairs = || taken.iter().map(|(text, id)| (text.clone(), *id));
        Self {
            owners: pairs().collect(),
            before: pairs().map(|(text, id)| (id, text)).collect(),
            next: HashMap::new(),
            longest,
            suffix,
        }
    }

    /// The text for a job, which is not taken by that.
    pub(crate) fn pick(&mut self, job_id: JobId, wanted: &str) -> String {
        if let Some(before) = self.before.get(&job_id)
            && self.is_variant(before, wanted)
        {
            return before.clone();
        }
        let free = |text: &str| {
            let owner = self.owners.get(text);
            owner.is_none_or(|owner| *owner == job_id)
        };
        if free(wanted) {
            return wanted.to_owned();
        }
        let mut count = self.next.get(wanted).copied().unwrap_or(2);
        while !free(&self.numbered(wanted, count)) {
            count += 1;
        }
        self.next.insert(wanted.to_owned(), count);
        self.numbered(wanted, count)
    }

    /// The text with a number, shortened to make room for it.
    fn numbered(&self, text: &str, count: u64) -> String {
        let suffix = (self.suffix)(count);
        let room = self.longest.saturating_sub(suffix.chars().count());
        let start: String = text.chars().take(room).collect();
        format!("{}{suffix}", start.trim_end())
    }

    fn is_variant(&self, text: &str, wanted: &str) -> bool {
        let open = text.trim_end_matches(')');
        let digits = open.len()
            - open
                .trim_end_matches(|one: char| one.is_ascii_digit())
                .len();
        let count = open[open.len() - digits..].parse::<u64>();
        text == wanted || count.is_ok_and(|count| self.numbered(wanted, count) == text)
    }
}
