//! Ids and names of migrated jobs: what V1 had, made to fit and made unique.
//! Never touches what V2 has already.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use jobcell_model::JobId;

use crate::report::Note;
use crate::row::{is_plain, shown};
use crate::unique::Unique;

/// What V2 has already. A job that was migrated before keeps what it got then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// The jobs' own ids, and whose they are.
    pub keys: BTreeMap<String, JobId>,
    /// The jobs' names, and whose they are.
    pub names: BTreeMap<String, JobId>,
}

/// The longest id of V2, in characters.
const LONGEST_KEY: usize = 200;
/// The longest name of V2, in characters.
const LONGEST_NAME: usize = 255;
/// What a path of the API can't carry, or a URL takes for something else.
const NO_PATH: [char; 5] = ['/', '\\', '#', '?', '%'];

/// Who a migrated job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) job_id: JobId,
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) notes: Vec<Note>,
}

/// What is taken while rows are migrated.
#[derive(Debug)]
pub(crate) struct Claims {
    keys: Unique,
    names: Unique,
    ids: HashSet<JobId>,
}

impl Claims {
    pub(crate) fn new(taken: &Taken) -> Self {
        Self {
            keys: Unique::new(&taken.keys, LONGEST_KEY, |count| format!("-{count}")),
            names: Unique::new(&taken.names, LONGEST_NAME, |count| format!(" ({count})")),
            ids: HashSet::new(),
        }
    }

    /// Who a row would be. Nothing is claimed yet: the row may prove broken.
    pub(crate) fn identify(
        &mut self,
        job_id: Option<&str>,
        name: Option<&str>,
        raw: &Value,
    ) -> Identity {
        let mut notes = Vec::new();
        let job_id = self.job_id(job_id, raw, &mut notes);
        let wanted = fitting_name(name, job_id, &mut notes);
        let name = self.names.pick(job_id, &wanted);
        if name != wanted {
            let note = format!("another job has the name `{}` already", shown(&wanted, 80));
            notes.push(Note::new("name", note));
        }
        let wanted = fitting_key(&wanted, job_id);
        let key = self.keys.pick(job_id, &wanted);
        if key != wanted {
            let note = format!("another job has the id `{}` already", shown(&wanted, 80));
            notes.push(Note::new("id", note));
        }
        Identity {
            job_id,
            key,
            name,
            notes,
        }
    }

    /// Takes it for good.
    pub(crate) fn claim(&mut self, identity: &Identity) {
        self.ids.insert(identity.job_id);
        self.keys
            .owners
            .insert(identity.key.clone(), identity.job_id);
        self.names
            .owners
            .insert(identity.name.clone(), identity.job_id);
    }

    /// V1's id where that is a UUID, else one that follows from the row, so
    /// that a second migration finds the same.
    fn job_id(&self, text: Option<&str>, raw: &Value, notes: &mut Vec<Note>) -> JobId {
        let seed = match text {
            Some(text) => match text.trim().parse::<JobId>() {
                Ok(id) if !self.ids.contains(&id) => return id,
                Ok(_) => {
                    notes.push(Note::new(
                        "",
                        format!(
                            "another row has the job_id {} too; this job got a new one",
                            text.trim()
                        ),
                    ));
                    text.to_owned()
                }
                Err(_) => {
                    let note = format!(
                        "V1's job_id `{}` is no UUID; this job got a new one",
                        shown(text, 60)
                    );
                    notes.push(Note::new("", note));
                    text.to_owned()
                }
            },
            None => {
                notes.push(Note::new(
                    "",
                    "V1 has no job_id for this row; this job got a new one",
                ));
                raw.to_string()
            }
        };
        let ids = (0_u64..).map(|count| derived(&seed, count));
        let mut free = ids.filter(|id| !self.ids.contains(id));
        free.next().unwrap_or_else(JobId::generate)
    }
}

/// A UUID (version 8) that follows from a text.
fn derived(seed: &str, count: u64) -> JobId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"jobcell v1 job\0");
    hasher.update(&count.to_be_bytes());
    hasher.update(seed.as_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    JobId::from_bytes(bytes)
}

fn fitting_name(name: Option<&str>, job_id: JobId, notes: &mut Vec<Note>) -> String {
    let given = name.unwrap_or_default();
    let spaced: String = given
        .chars()
        .map(|one| if one.is_control() { ' ' } else { one })
        .collect();
    let fitting: String = spaced.trim().chars().take(LONGEST_NAME).collect();
    if fitting.is_empty() {
        notes.push(Note::new("name", "V1 has no name for this job"));
        return format!("V1 job {job_id}");
    }
    if fitting != given {
        let note = format!("V1's name is `{}`", shown(given, 300));
        notes.push(Note::new("name", note));
    }
    fitting
}

/// The name in upper case, with `-` for blanks and `_`, as the original made
/// ids; and without what V2's ids can't hold.
fn fitting_key(name: &str, job_id: JobId) -> String {
    let upper = name.to_uppercase();
    let letters = upper.chars().filter_map(|one| match one {
        '_' => Some('-'),
        one if one.is_whitespace() || NO_PATH.contains(&one) => Some('-'),
        one => Some(one).filter(|one| is_plain(*one)),
    });
    let key: String = letters.take(LONGEST_KEY).collect();
    if !key.chars().any(char::is_alphanumeric) {
        return format!("V1-{job_id}");
    }
    if key.parse::<JobId>().is_ok() {
        return format!("V1-{key}");
    }
    key
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "0c8b4b3e-5d6f-4a70-8f3f-0d6c0a1b2c3d";

    fn identify(claims: &mut Claims, id: Option<&str>, name: Option<&str>) -> Identity {
        let identity = claims.identify(id, name, &json!({ "name": name }));
        claims.claim(&identity);
        identity
    }

    #[test]
    fn ids_follow_the_originals_rule() {
        let key = |name| fitting_key(name, ID.parse().unwrap());
        assert_eq!(key("Nightly backup_job"), "NIGHTLY-BACKUP-JOB");
        assert_eq!(
            key("V2-Get-Long execution details."),
            "V2-GET-LONG-EXECUTION-DETAILS."
        );
        assert_eq!(key("Größe 東京"), "GRÖSSE-東京");
        assert_eq!(key("a/b\\c#d?e%f"), "A-B-C-D-E-F");
        assert_eq!(key("zero\u{200b}width"), "ZEROWIDTH");
        assert_eq!(key(".."), format!("V1-{ID}"));
        assert_eq!(key("###"), format!("V1-{ID}"));
        assert_eq!(key(ID), format!("V1-{}", ID.to_uppercase()));
    }

    #[test]
    fn clashing_names_and_ids_get_a_number_and_a_note() {
        let mut claims = Claims::new(&Taken::default());
        let first = identify(&mut claims, None, Some("System Test"));
        assert_eq!(
            (first.key.as_str(), first.name.as_str()),
            ("SYSTEM-TEST", "System Test")
        );
        let second = identify(&mut claims, Some(ID), Some("System Test"));
        assert_eq!(
            (second.key.as_str(), second.name.as_str()),
            ("SYSTEM-TEST-2", "System Test (2)")
        );
        let third = identify(&mut claims, None, Some("System_Test"));
        assert_eq!(
            (third.key.as_str(), third.name.as_str()),
            ("SYSTEM-TEST-3", "System_Test")
        );
        assert!(third.notes.iter().any(|note| note.key == "id"));
    }

    #[test]
    fn a_job_keeps_what_it_got_before() {
        let taken = Taken {
            keys: BTreeMap::from([("A".to_owned(), ID.parse().unwrap())]),
            names: BTreeMap::from([("A".to_owned(), ID.parse().unwrap())]),
        };
        let mut claims = Claims::new(&taken);
        let other = identify(&mut claims, None, Some("A"));
        assert_eq!((other.key.as_str(), other.name.as_str()), ("A-2", "A (2)"));
        let same = identify(&mut claims, Some(ID), Some("A"));
        assert_eq!((same.key.as_str(), same.name.as_str()), ("A", "A"));
    }

    #[test]
    fn ids_that_are_none_are_derived_and_told() {
        let mut claims = Claims::new(&Taken::default());
        let one = identify(&mut claims, Some("job-7"), Some("A"));
        let again = Claims::new(&Taken::default()).identify(Some("job-7"), Some("A"), &json!({}));
        assert_eq!(one.job_id, again.job_id);
        let twin = identify(&mut claims, Some("job-7"), Some("B"));
        assert_ne!(one.job_id, twin.job_id);
        assert!(one.notes[0].text.contains("no UUID"));
        assert_eq!(identify(&mut claims, Some(ID), None).job_id.to_string(), ID);
    }

    #[test]
    fn names_that_v2_refuses_are_made_to_fit() {
        let name = |name: &str| {
            let mut notes = Vec::new();
            (
                fitting_name(Some(name), ID.parse().unwrap(), &mut notes),
                notes.len(),
            )
        };
        assert_eq!(name("a\tb\n"), ("a b".to_owned(), 1));
        assert_eq!(name(" "), (format!("V1 job {ID}"), 1));
        assert_eq!(name(&"x".repeat(300)).0.len(), 255);
        assert_eq!(name("fine"), ("fine".to_owned(), 0));
    }
}
