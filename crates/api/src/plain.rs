//! Text from output that comes in pieces: a character or an escape sequence
//! (ECMA-48) that was cut between two of them is whole again. Each stream of a
//! run has a reader of its own. Never changes what is stored.

use anstyle_parse::state::{Action, State, state_change};
use jobcell_model::{OutputStream, RunOutput};

use crate::error::ApiError;
use crate::extract::{Parameters, bad_parameter};

const STREAMS: [OutputStream; 3] = [
    OutputStream::Stdout,
    OutputStream::Stderr,
    OutputStream::Log,
];
const ESCAPE: char = '\x1b';

/// What becomes of escape sequences such as those of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ansi {
    /// They stay.
    Keep,
    /// They are left out.
    Strip,
}

impl Ansi {
    /// What the caller wants: all as it was written unless it says otherwise.
    pub(crate) fn wanted(parameters: &mut Parameters) -> Result<Self, ApiError> {
        let Some(word) = parameters.text("ansi")? else {
            return Ok(Self::Keep);
        };
        match word.as_str() {
            "keep" => Ok(Self::Keep),
            "strip" => Ok(Self::Strip),
            _ => Err(bad_parameter("ansi", &word, "`keep` or `strip`")),
        }
    }
}

/// The output of these streams as text without escape sequences, otherwise as
/// [`RunOutput::text_of`] gives it.
pub(crate) fn text_of(output: &RunOutput, keep: impl Fn(OutputStream) -> bool) -> String {
    let mut texts = Texts::new(Ansi::Strip);
    let mut text = String::new();
    for chunk in output.chunks.iter().filter(|chunk| keep(chunk.stream)) {
        if let Some(line) = chunk.gap_line() {
            text.extend(texts.cut().map(|(_, rest)| rest));
            text.push_str(&line);
        }
        text.push_str(&texts.push(chunk.stream, &chunk.bytes));
    }
    text.extend(texts.cut().map(|(_, rest)| rest));
    text
}

/// The texts of all streams of a run.
pub(crate) struct Texts([Text; 3]);

impl Texts {
    pub(crate) fn new(ansi: Ansi) -> Self {
        Self([Text::new(ansi), Text::new(ansi), Text::new(ansi)])
    }

    /// The text that these bytes complete.
    pub(crate) fn push(&mut self, stream: OutputStream, bytes: &[u8]) -> String {
        let [stdout, stderr, log] = &mut self.0;
        match stream {
            OutputStream::Stdout => stdout.push(bytes),
            OutputStream::Stderr => stderr.push(bytes),
            OutputStream::Log => log.push(bytes),
        }
    }

    /// What came before does not go on: gives what is left of each stream.
    pub(crate) fn cut(&mut self) -> impl Iterator<Item = (OutputStream, String)> {
        let rests = STREAMS.into_iter().zip(&mut self.0);
        rests
            .map(|(stream, text)| (stream, text.cut()))
            .filter(|(_, rest)| !rest.is_empty())
    }
}

/// The text of one stream.
struct Text {
    ansi: Ansi,
    state: State,
    /// The beginning of a character whose end has not come yet.
    held: Vec<u8>,
}

impl Text {
    const fn new(ansi: Ansi) -> Self {
        Self {
            ansi,
            state: State::Ground,
            held: Vec::new(),
        }
    }

    fn push(&mut self, bytes: &[u8]) -> String {
        let mut held = std::mem::take(&mut self.held);
        let bytes = if held.is_empty() {
            bytes
        } else {
            held.extend_from_slice(bytes);
            &held
        };
        let mut text = String::with_capacity(bytes.len());
        let whole = bytes.len() - incomplete(bytes);
        for part in bytes[..whole].utf8_chunks() {
            self.show(part.valid(), &mut text);
            if !part.invalid().is_empty() {
                self.show("\u{fffd}", &mut text);
            }
        }
        self.held = bytes[whole..].to_vec();
        text
    }

    fn cut(&mut self) -> String {
        let mut text = String::new();
        if !std::mem::take(&mut self.held).is_empty() {
            self.show("\u{fffd}", &mut text);
        }
        self.state = State::Ground;
        text
    }

    fn show(&mut self, part: &str, text: &mut String) {
        let plain = self.state == State::Ground && !part.contains(ESCAPE);
        if plain || self.ansi == Ansi::Keep {
            return text.push_str(part);
        }
        text.extend(part.chars().filter(|&letter| self.shows(letter)));
    }

    /// Whether a character is none of an escape sequence.
    fn shows(&mut self, letter: char) -> bool {
        let Some(byte) = u8::try_from(letter).ok().filter(u8::is_ascii) else {
            // Only the text of a control string may hold such a character.
            if !is_string(&self.state) {
                self.state = State::Ground;
            }
            return self.state == State::Ground;
        };
        let ends_string = is_string(&self.state);
        let (next, action) = state_change(self.state, byte);
        if next != State::Anywhere {
            self.state = next;
        }
        // A control character within a sequence is obeyed as if it stood before.
        !ends_string && matches!(action, Action::Print | Action::Execute)
    }
}

const fn is_string(state: &State) -> bool {
    matches!(
        state,
        State::OscString
            | State::SosPmApcString
            | State::DcsPassthrough
            | State::DcsIgnore
            | State::DcsEntry
            | State::DcsParam
            | State::DcsIntermediate
    )
}

/// How many bytes at the end begin a character that may still be completed.
fn incomplete(bytes: &[u8]) -> usize {
    let last = bytes.len().saturating_sub(3);
    (last..bytes.len())
        .find_map(|start| {
            let rest = &bytes[start..];
            let error = std::str::from_utf8(rest).err()?;
            // Whole from its first byte on but for what is missing.
            let begins = error.valid_up_to() == 0 && error.error_len().is_none();
            begins.then_some(rest.len())
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_pieces(ansi: Ansi, bytes: &[u8], length: usize) -> String {
        let mut text = Text::new(ansi);
        let mut all: String = bytes.chunks(length).map(|piece| text.push(piece)).collect();
        all += &text.cut();
        all
    }

    #[test]
    fn characters_cut_anywhere_come_out_whole() {
        let text = "a ä € 😀 \u{10ffff}\r\n";
        for length in 1..=text.len() {
            assert_eq!(in_pieces(Ansi::Keep, text.as_bytes(), length), text);
        }
    }

    #[test]
    fn what_is_no_utf8_is_replaced_wherever_it_is_cut() {
        for bytes in [
            b"a\xff\xe2\x82b\xf0\x9f\x98".as_slice(),
            b"\xc3\xc3\xa4\x80\x80\xed\xa0\x80|\xf4\x90\x80\x80",
            b"\xe2\x82",
        ] {
            let whole = String::from_utf8_lossy(bytes);
            for length in 1..=bytes.len() {
                assert_eq!(in_pieces(Ansi::Keep, bytes, length), whole, "{length}");
            }
        }
    }

    #[test]
    fn escape_sequences_cut_anywhere_are_left_out_and_nothing_else_is() {
        let written = "\x1b[1;31mred ä\x1b[0m\t\x1b]0;a title ü\x07x\x1b]8;;http://a\x1b\\y\
                       \x1b(B\x1bP1$qm\x1b\\z\x1b[38:2::1:2:3m\x1b7\x1b_apc\x1b\\\x08\x07\r\n[0m";
        for length in 1..=written.len() {
            let text = in_pieces(Ansi::Strip, written.as_bytes(), length);
            assert_eq!(text, "red ä\txyz\x08\x07\r\n[0m", "{length}");
        }
    }

    #[test]
    fn a_gap_ends_the_sequence_and_the_character_that_it_cuts() {
        let chunk = |dropped_before, bytes: &[u8]| jobcell_model::OutputChunk {
            stream: OutputStream::Stdout,
            at_ms: 0,
            dropped_before,
            bytes: bytes.to_vec(),
        };
        let chunks = vec![chunk(0, b"a\x1b]0;"), chunk(7, b"b\xe2"), chunk(1, b"c")];
        let text = text_of(&RunOutput { chunks }, |_| true);
        let line = |bytes| format!("\n[… {bytes} bytes were dropped here …]\n");
        assert_eq!(text, format!("a{}b\u{fffd}{}c", line(7), line(1)));
    }

    #[test]
    fn a_sequence_of_one_stream_goes_on_after_a_piece_of_another() {
        let chunk = |stream, bytes: &[u8]| jobcell_model::OutputChunk {
            stream,
            at_ms: 0,
            dropped_before: 0,
            bytes: bytes.to_vec(),
        };
        let chunks = vec![
            chunk(OutputStream::Stdout, b"a\x1b[3"),
            chunk(OutputStream::Stderr, b"e\n"),
            chunk(OutputStream::Stdout, b"1mb"),
        ];
        assert_eq!(text_of(&RunOutput { chunks }, |_| true), "ae\nb");
    }
}
