//! Finds the message of the last error in what PowerShell wrote to standard
//! error: Windows PowerShell and PowerShell 7 each have a form of their own.
//! Never decides whether the run failed.

/// The longest message, in characters.
const LONGEST: usize = 500;

/// The message of the last error; none where nothing was written.
pub(crate) fn last_error(words: &[u8]) -> Option<String> {
    let words = String::from_utf8_lossy(words);
    let words = plain(&words);
    let lines: Vec<&str> = words.lines().map(str::trim_end).collect();
    let message = concise(&lines)
        .or_else(|| classic(&lines))
        .or_else(|| last_line(&lines))?;
    Some(message.chars().take(LONGEST).collect())
}

/// PowerShell 7 draws a frame, and the message stands behind its last bars:
///
/// ```text
/// Exception: /srv/a.ps1:3
/// Line |
///    3 |  throw 'no space left'
///      |  ~~~~~~~~~~~~~~~~~~~~~
///      | no space left
/// ```
fn concise(lines: &[&str]) -> Option<String> {
    let frame = lines.iter().rposition(|line| line.trim() == "Line |")?;
    let below = &lines[frame + 1..];
    let bars = below
        .iter()
        .map_while(|line| line.split_once('|'))
        .filter(|(before, _)| before.trim().is_empty())
        .map(|(_, after)| after.trim())
        .filter(|text| !text.is_empty() && !text.chars().all(|mark| mark == '~'));
    let message: Vec<&str> = bars.collect();
    (!message.is_empty()).then(|| message.join(" "))
}

/// Windows PowerShell says the message first, and then where:
///
/// ```text
/// no space left
/// At C:\a.ps1:3 char:1
/// + throw 'no space left'
/// ```
fn classic(lines: &[&str]) -> Option<String> {
    let place = lines.iter().rposition(|line| is_place(line))?;
    let above = lines[..place]
        .iter()
        .rev()
        .take_while(|line| !line.trim().is_empty() && !line.trim_start().starts_with('+'));
    let mut message: Vec<&str> = above.map(|line| line.trim()).collect();
    message.reverse();
    (!message.is_empty()).then(|| message.join(" "))
}

fn is_place(line: &str) -> bool {
    line.starts_with("At ")
        && line.rsplit_once(" char:").is_some_and(|(_, column)| {
            !column.is_empty() && column.chars().all(|digit| digit.is_ascii_digit())
        })
}

fn last_line(lines: &[&str]) -> Option<String> {
    let line = lines.iter().rfind(|line| !line.trim().is_empty())?;
    Some(line.trim().to_owned())
}

/// Without the colours of ECMA-48.
fn plain(words: &str) -> String {
    let mut plain = String::with_capacity(words.len());
    let mut characters = words.chars();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            plain.push(character);
        } else if characters.next() == Some('[') {
            // A sequence ends with its first letter or the like.
            characters.find(|end| ('@'..='~').contains(end));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &str) -> Option<String> {
        last_error(words.as_bytes())
    }

    #[test]
    fn the_message_in_a_frame_is_found() {
        let frame = "Exception: /srv/a.ps1:3\nLine |\n   3 |  throw 'no space left'\n     |  ~~~~~~~~~~~~~~~~~~~~~\n     | no space left\n";
        assert_eq!(said(frame).as_deref(), Some("no space left"));
        let long = "Get-Item: /srv/a.ps1:1\nLine |\n   1 |  Get-Item /x\n     |  ~~~~~~~~~~~\n     | Cannot find path '/x' because it\n     | does not exist.\n\n";
        assert_eq!(
            said(long).as_deref(),
            Some("Cannot find path '/x' because it does not exist.")
        );
    }

    #[test]
    fn colours_are_no_part_of_it() {
        let frame = "\u{1b}[31;1mException: \u{1b}[0m/a.ps1:3\n\u{1b}[96mLine |\u{1b}[0m\n   3 |  throw 'x|y'\n     | \u{1b}[31;1m ~~~\u{1b}[0m\n     | \u{1b}[31;1mx|y\u{1b}[0m\n";
        assert_eq!(said(frame).as_deref(), Some("x|y"));
    }

    #[test]
    fn the_message_before_a_place_is_found() {
        let classic = "earlier\n\nCannot find path 'C:\\x' because it\ndoes not exist.\nAt C:\\a.ps1:3 char:1\n+ Get-Item C:\\x\n+ ~~~~~~~~~~~~~\n    + CategoryInfo          : ObjectNotFound: (C:\\x:String)\n";
        assert_eq!(
            said(classic).as_deref(),
            Some("Cannot find path 'C:\\x' because it does not exist.")
        );
    }

    #[test]
    fn the_last_of_several_errors_counts_and_other_words_stand_for_themselves() {
        let two = "Exception: a\nLine |\n   1 |  throw 1\n     | first\nException: b\nLine |\n   2 |  throw 2\n     | second\n";
        assert_eq!(said(two).as_deref(), Some("second"));
        assert_eq!(said("first\n  the end  \n\n").as_deref(), Some("the end"));
        assert_eq!(said("At home char:x\n").as_deref(), Some("At home char:x"));
        assert_eq!(said("\n \n"), None);
        assert_eq!(said("\u{1b}[").as_deref(), None);
        assert_eq!(said("Line |\n").as_deref(), Some("Line |"));
    }
}
