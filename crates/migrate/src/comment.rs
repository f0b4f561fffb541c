//! YAML comments: notes on lines of a readable length. Never holds anything
//! that would end a comment.

use crate::row::shown;

/// The longest line, in characters.
const WIDTH: usize = 88;
/// The longest comment, in characters.
const LONGEST: usize = 2_000;

/// A text as lines of comments, each with its line break.
pub(crate) fn write(text: &str, to: &mut String) {
    let text = shown(text, LONGEST);
    let mut line = String::from("#");
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let longer = line.chars().count() + 1 + word.chars().count();
        if longer > WIDTH && line.len() > 1 {
            to.push_str(&line);
            to.push('\n');
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    to.push_str(&line);
    to.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_notes_are_wrapped_and_line_breaks_are_shown() {
        let mut text = String::new();
        write(&format!("{} a\nkey: value", "word ".repeat(20)), &mut text);
        assert!(
            text.lines()
                .all(|line| line.starts_with("# ") && line.len() <= WIDTH)
        );
        assert!(text.contains("a\\nkey: value"));
    }
}
