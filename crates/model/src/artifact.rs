//! Files that a run leaves with its record. Never touches a disk.

use serde::Serialize;

/// The longest name, in bytes.
const LONGEST_NAME: usize = 100;
/// The longest media type, in bytes.
const LONGEST_TYPE: usize = 100;

/// What is known of a file that a run left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArtifactInfo {
    /// Its name, once in its run.
    pub name: String,
    /// What is in it (RFC 6838): `text/csv`.
    pub media_type: String,
    /// Whether its plugin ended it; else the run ended before.
    pub complete: bool,
    /// How long it is, in bytes.
    pub size: u64,
}

/// A file that a run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its name, once in its run.
    pub name: String,
    /// What is in it.
    pub media_type: String,
    /// Whether its plugin ended it.
    pub complete: bool,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Artifact {
    /// What is known of it.
    #[must_use]
    pub fn info(&self) -> ArtifactInfo {
        ArtifactInfo {
            name: self.name.clone(),
            media_type: self.media_type.clone(),
            complete: self.complete,
            size: self.bytes.len() as u64,
        }
    }
}

/// What is wrong with a name for a file; none where nothing is. It has to be
/// one that every system can save.
#[must_use]
pub fn bad_artifact_name(name: &str) -> Option<&'static str> {
    let spoilt = |one: char| one.is_control() || "/\\:*?\"<>|".contains(one);
    if name.is_empty() {
        Some("is empty")
    } else if name.len() > LONGEST_NAME {
        Some("has more than 100 bytes")
    } else if name.chars().any(spoilt) {
        Some("has a control character or one of / \\ : * ? \" < > |")
    } else if name.starts_with(['.', ' ']) || name.ends_with(['.', ' ']) {
        Some("begins or ends with a dot or a blank")
    } else {
        None
    }
}

/// Whether a text can be a media type: `type/subtype`, maybe with parameters.
#[must_use]
pub fn is_media_type(text: &str) -> bool {
    let (essence, _) = text.split_once(';').unwrap_or((text, ""));
    let word = |word: &str| {
        let known = |one: u8| one.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&one);
        !word.is_empty() && word.bytes().all(known)
    };
    let printable = text.bytes().all(|one| (b' '..=b'~').contains(&one));
    let parts = essence.split_once('/');
    text.len() <= LONGEST_TYPE
        && printable
        && parts.is_some_and(|(of, kind)| word(of) && word(kind))
}

#[cfg(test)]
mod tests {
    use super::{bad_artifact_name, is_media_type};

    #[test]
    fn a_name_can_be_saved_anywhere() {
        for name in ["report.csv", "Bericht ä 2.json", "a"] {
            assert_eq!(bad_artifact_name(name), None, "{name}");
        }
        for name in [
            "",
            "../a",
            "a\\b",
            "a\nb",
            ".a",
            "a ",
            "C:x",
            &"x".repeat(101),
        ] {
            assert!(bad_artifact_name(name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn a_media_type_has_two_words() {
        for text in [
            "text/csv",
            "application/vnd.x+json",
            "text/csv; charset=utf-8",
        ] {
            assert!(is_media_type(text), "{text}");
        }
        for text in ["", "csv", "text/", "text/c v", "text/csv\r\nX: y", "ä/b"] {
            assert!(!is_media_type(text), "{text:?}");
        }
    }
}
