//! What is wrong with a text that is not YAML, said so that whoever wrote it
//! can put it right; and places that the parser does not tell.

use granit_parser::{ErrorKind, Marker, ScanError};

use crate::notes::Notes;
use crate::problem::Location;
use crate::yaml::location;

/// Reports an error of the parser.
pub(crate) fn report(notes: &Notes, source: &str, pointer: &str, error: &ScanError) {
    let place = end_of_text(source).min(location(error.marker()));
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        let message = "values lie too deep in each other";
        return notes.error("too_deep", pointer, place, message, None);
    }
    let hint = match error.kind() {
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            "remove the control character, or write it as an escape in double quotes"
        }
        ErrorKind::UnknownAnchor | ErrorKind::UnexpectedCharacter { .. } => {
            "put text that begins with `*`, `@`, `%` or a backtick in quotes: `\"*/5 * * * *\"`"
        }
        ErrorKind::MappingValueNotAllowed => {
            "put text that holds `: ` in quotes; else check the indentation of this line"
        }
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabAtBlockScalarStart => "indent with blanks: YAML allows no tabs there",
        ErrorKind::UnclosedQuotedScalar => "close the quote that opens here",
        ErrorKind::UnknownQuotedScalarEscape => {
            "in double quotes a backslash must be doubled; single quotes take it as it is"
        }
        _ => "check indentation, quotes and brackets here and just above",
    };
    let message = format!("this is not YAML: {}", error.info());
    notes.error("syntax", pointer, place, message, Some(hint.to_owned()));
}

/// The place of a byte.
pub(crate) fn place_of(source: &str, offset: usize) -> Location {
    let before = &source[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).saturating_add(1);
    Location {
        line: count(before.matches('\n').count()),
        column: count(before[line_start..].chars().count()),
    }
}

fn end_of_text(source: &str) -> Location {
    place_of(source, source.len())
}

/// The place of the `|` or `>` that comes next after `passed`. Looks at no
/// more than lies between the two.
pub(crate) fn block_header(source: &str, passed: &Marker) -> Option<Location> {
    let mut rest = source.get(passed.byte_offset().unwrap_or(0)..)?;
    let mut place = location(passed);
    loop {
        let first = rest.chars().next()?;
        let skipped = match first {
            '|' | '>' => return Some(place),
            '\n' => {
                place = Location {
                    line: place.line.saturating_add(1),
                    column: 0,
                };
                1
            }
            '#' => rest.find('\n')?,
            // A tag or an anchor.
            '!' | '&' => rest.find(char::is_whitespace)?,
            ':' | '-' | '?' | ' ' | '\t' | '\r' => 1,
            _ => return None,
        };
        let characters = rest[..skipped].chars().count();
        place.column = place
            .column
            .saturating_add(u32::try_from(characters).unwrap_or(u32::MAX));
        rest = &rest[skipped..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_header_of_a_block() {
        let find = |source: &str, column: usize| {
            let passed = Marker::new(column, 1, column).with_byte_offset(Some(column));
            block_header(source, &passed).map(|place| (place.line, place.column))
        };
        assert_eq!(find("q: |\n", 1), Some((1, 4)));
        assert_eq!(find("q: # why | so\n  &a|b !!str >-\n", 1), Some((2, 14)));
        assert_eq!(find("- - |\n", 0), Some((1, 5)));
        assert_eq!(find("q: x|\n", 1), None);
        assert_eq!(find("q:", 9), None);
    }

    #[test]
    fn places_count_characters() {
        assert_eq!(place_of("ä\nöü", 5), Location { line: 2, column: 2 });
        assert_eq!(place_of("", 0), Location::START);
    }
}
