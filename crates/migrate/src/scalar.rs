//! Texts as YAML: plain where nobody could take them for anything else, in
//! quotes, or as a block of lines. Never loses a character.

use crate::row::is_plain;

/// Words that some reader of YAML takes for something else than text.
const WORDS: [&str; 12] = [
    "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity",
];

/// A text on one line: plain, or in quotes.
pub(crate) fn inline(text: &str) -> String {
    if is_safe(text) {
        return text.to_owned();
    }
    let simple = text.chars().all(is_plain);
    if simple && text.contains(['\\', '"']) && !text.contains('\'') {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    text.chars().for_each(|one| escape(one, &mut quoted));
    quoted.push('"');
    quoted
}

/// Whether a text is itself without quotes.
fn is_safe(text: &str) -> bool {
    let starts = |one: char| one.is_alphabetic() || one == '/';
    let fits = |one: char| {
        one.is_alphanumeric() && is_plain(one) || " _./\\-+(),'@=&!~$;:*<>".contains(one)
    };
    text.starts_with(starts)
        && text.chars().all(fits)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !WORDS.contains(&text.to_lowercase().as_str())
}

fn escape(one: char, to: &mut String) {
    match one {
        '"' | '\\' => to.extend(['\\', one]),
        '\n' => to.push_str("\\n"),
        '\r' => to.push_str("\\r"),
        '\t' => to.push_str("\\t"),
        one if is_plain(one) => to.push(one),
        one => {
            let code = u32::from(one);
            let escaped = match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
            to.push_str(&escaped);
        }
    }
}

/// A text of lines behind its key: a `|` block where that can carry it exactly,
/// else in quotes, line by line. `indent` is that of the key.
pub(crate) fn lines(text: &str, indent: usize) -> String {
    if is_block(text) {
        block(text, indent)
    } else if text.contains('\n') {
        quoted_lines(text, indent)
    } else {
        inline(text)
    }
}

/// Whether a block carries the text exactly.
fn is_block(text: &str) -> bool {
    let blank = |line: &str| !line.is_empty() && line.trim().is_empty();
    let body = text.trim_end_matches('\n');
    let (first, last) = (body.lines().next(), body.lines().next_back());
    !body.is_empty()
        && text
            .chars()
            .all(|one| is_plain(one) || one == '\n' || one == '\t')
        && !first.is_some_and(|line| blank(line) || line.starts_with('\t'))
        && !last.is_some_and(blank)
}

fn block(text: &str, indent: usize) -> String {
    let body = text.trim_end_matches('\n');
    // Without it the first line's own blanks would count as indentation.
    let indicator = if body.starts_with([' ', '\n']) {
        "2"
    } else {
        ""
    };
    let chomping = match text.len() - body.len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let mut block = format!("|{indicator}{chomping}");
    let margin = " ".repeat(indent + 2);
    for line in body.split('\n') {
        block.push('\n');
        if !line.is_empty() {
            block.push_str(&margin);
            block.push_str(line);
        }
    }
    // The break after the last line is that of the line itself.
    block.push_str(&"\n".repeat((text.len() - body.len()).saturating_sub(1)));
    block
}

/// In double quotes, broken after each line break of the text.
fn quoted_lines(text: &str, indent: usize) -> String {
    let margin = " ".repeat(indent + 2);
    let mut quoted = String::from("\"\\");
    for line in text.split_inclusive('\n') {
        if quoted.len() > 2 {
            quoted.push('\\');
        }
        quoted.push('\n');
        quoted.push_str(&margin);
        // Blanks at the beginning of a line would be dropped.
        if line.starts_with(' ') {
            quoted.push('\\');
        }
        line.chars().for_each(|one| escape(one, &mut quoted));
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_only_where_nothing_else_could_be_meant() {
        for plain in [
            "Nightly backup",
            "C:\\Scripts\\MyScript.ps1",
            "/opt/a.ps1",
            "Größe",
            "it's",
            "a:b",
        ] {
            assert_eq!(inline(plain), plain);
        }
        for (text, quoted) in [
            ("", "\"\""),
            ("yes", "\"yes\""),
            ("No", "\"No\""),
            ("12", "\"12\""),
            ("1e3", "\"1e3\""),
            ("-x", "\"-x\""),
            ("#1", "\"#1\""),
            ("a #b", "\"a #b\""),
            ("a: b", "\"a: b\""),
            ("a:", "\"a:\""),
            (" a", "\" a\""),
            ("a ", "\"a \""),
            ("*", "\"*\""),
            ("null", "\"null\""),
            ("a\tb", "\"a\\tb\""),
            ("😀", "\"😀\""),
            ("\u{85}\u{feff}\u{e0001}", "\"\\x85\\uFEFF\\U000E0001\""),
            ("#\\d", "'#\\d'"),
        ] {
            assert_eq!(inline(text), quoted, "{text:?}");
        }
    }

    #[test]
    fn blocks_keep_their_ends_and_first_blanks() {
        assert_eq!(lines("a\nb", 0), "|-\n  a\n  b");
        assert_eq!(lines("a\n\nb\n", 0), "|\n  a\n\n  b");
        assert_eq!(lines("a\n\n\n", 0), "|+\n  a\n\n");
        assert_eq!(lines("  a\n", 0), "|2\n    a");
        assert_eq!(lines("\na", 2), "|2-\n\n    a");
    }

    #[test]
    fn what_a_block_can_not_carry_is_quoted_line_by_line() {
        assert_eq!(
            lines("a\r\n  b \r\n", 0),
            "\"\\\n  a\\r\\n\\\n  \\  b \\r\\n\""
        );
        assert_eq!(lines("\tx", 0), "\"\\tx\"");
    }
}
