//! Makes words of a plugin fit to be shown: bounded, on one line, without
//! characters that move a cursor or reorder what a person reads.

/// What is put where a text was cut.
const CUT: &str = " […]";

/// One sentence: line ends become spaces.
pub(crate) fn sentence(text: &str, most: usize) -> String {
    one_line(text.trim(), most, " ")
}

/// One line of a log: line ends become `\n`, so that none is forged.
pub(crate) fn log_line(text: &str, most: usize) -> String {
    one_line(text, most, "\\n")
}

fn one_line(text: &str, most: usize, line_end: &str) -> String {
    let mut line = String::with_capacity(text.len().min(most) + CUT.len());
    for character in text.chars() {
        match character {
            '\r' | '\n' if line_end == " " => {
                if !line.ends_with(' ') {
                    line.push(' ');
                }
            }
            '\n' => line.push_str(line_end),
            '\t' => line.push('\t'),
            odd if odd.is_control() || reorders(odd) => line.extend(odd.escape_default()),
            plain => line.push(plain),
        }
        if line.len() > most {
            line.truncate(line.floor_char_boundary(most));
            line.push_str(CUT);
            break;
        }
    }
    line
}

/// Line and paragraph separators, and what turns the direction of a text.
const fn reorders(character: char) -> bool {
    matches!(
        character,
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_stays_one_line_without_control_characters() {
        assert_eq!(
            log_line("a\nerror: forged \u{1b}[31mred\r \u{202e}x", 100),
            "a\\nerror: forged \\u{1b}[31mred\\r \\u{202e}x"
        );
    }

    #[test]
    fn a_sentence_has_no_line_ends() {
        assert_eq!(
            sentence(" near \"x\"\r\n  line 2\n", 100),
            "near \"x\"   line 2"
        );
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        assert_eq!(log_line("äää", 3), "ä […]");
        assert_eq!(log_line("abc", 3), "abc");
        // Escapes count as what they become.
        assert_eq!(log_line("\0\0\0", 5), "\\u{0} […]");
    }
}
