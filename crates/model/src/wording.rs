//! How messages speak: guesses at what was meant, and text of others made safe
//! to show. Never decides what is wrong.

/// How much of somebody's text a message repeats, in characters.
const SHOWN: usize = 60;
/// The longest word that anything is guessed for, in bytes.
const GUESSED: usize = 64;
/// How alike two words must be, from 0 to 1.
const ALIKE: f64 = 0.6;

/// The hint that names what a word was probably meant to be.
pub(crate) fn did_you_mean(word: &str) -> String {
    format!("did you mean `{word}`?")
}

/// The candidate that a word was probably meant to be.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.len() > GUESSED {
        return None;
    }
    let lower = word.to_lowercase();
    let rated = candidates.into_iter().map(|candidate| {
        let likeness = strsim::normalized_damerau_levenshtein(&lower, &candidate.to_lowercase());
        (likeness, candidate)
    });
    rated
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}

/// Somebody's text for a message: short, on one line, nothing that a terminal
/// would obey.
pub(crate) fn shown(text: &str) -> String {
    shown_up_to(text, SHOWN)
}

/// Somebody's text for a message or a comment: on one line, cut after this many
/// characters, nothing that a terminal or a YAML reader would obey.
#[must_use]
pub fn shown_up_to(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for (index, one) in text.chars().enumerate() {
        if index == most {
            shown.push('…');
            break;
        }
        if is_plain(one) {
            shown.push(one);
        } else {
            shown.extend(one.escape_default());
        }
    }
    shown
}

/// Whether a character shows itself, and moves nothing around it.
#[must_use]
pub fn is_plain(one: char) -> bool {
    let invisible = matches!(
        one,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{fffe}'..='\u{ffff}' | '\u{e0000}'..='\u{e007f}'
    );
    !one.is_control() && !invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_only_what_is_near() {
        let candidates = ["timeout", "enabled", "Europe/Berlin"];
        assert_eq!(nearest("timeOut", candidates), Some("timeout"));
        assert_eq!(nearest("Europe/Berln", candidates), Some("Europe/Berlin"));
        assert_eq!(nearest("foo", candidates), None);
        assert_eq!(nearest(&"timeout".repeat(20), candidates), None);
    }

    #[test]
    fn shows_no_control_characters_and_no_novels() {
        assert_eq!(shown("a\u{1b}[31m\nb\u{202e}"), "a\\u{1b}[31m\\nb\\u{202e}");
        assert_eq!(shown("größer 日本"), "größer 日本");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), SHOWN + 1);
    }
}
