//! Cuts SQL text into tokens, as far as splitting needs them apart: words,
//! quoted things, comments, parameters. Never judges grammar and never loses a
//! byte: the tokens lie end to end.

use crate::dialect::Rules;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// White space, or a byte-order mark.
    Blank,
    Comment,
    /// A keyword, a name without quotes, or a number.
    Word,
    /// A string or a quoted name.
    Quoted,
    /// A parameter with its sign: `:day`.
    Parameter,
    Semicolon,
    /// What `DELIMITER` said instead of a semicolon.
    Delimiter,
    Open,
    Close,
    Other,
}

/// A piece of the text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether the text ended before it did.
    pub(crate) unterminated: bool,
}

/// The tokens of a text, in order.
pub(crate) struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    rules: &'static Rules,
    /// What parts statements instead of a semicolon.
    delimiter: Option<&'t [u8]>,
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str, rules: &'static Rules) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            rules,
            delimiter: None,
        }
    }

    /// Takes the rest of the line as what parts statements from here on;
    /// whether that is anything but a semicolon.
    pub(crate) fn take_delimiter(&mut self) -> bool {
        let line = self.rest_of_line();
        self.at += line.len();
        let delimiter = line.trim_ascii();
        self.delimiter = (!matches!(delimiter, b"" | b";")).then_some(delimiter);
        self.delimiter.is_some()
    }

    pub(crate) fn rest_of_line(&self) -> &'t [u8] {
        let rest = &self.text[self.at..];
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        &rest[..end.unwrap_or(rest.len())]
    }

    pub(crate) fn skip_line(&mut self) {
        self.at += self.rest_of_line().len();
    }

    fn at_delimiter(&self) -> Option<usize> {
        let delimiter = self.delimiter?;
        let here = self.text[self.at..].starts_with(delimiter);
        here.then_some(delimiter.len())
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn skip_while(&mut self, accept: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&accept) {
            self.at += 1;
        }
    }

    /// Past the closing character; false when there is none.
    fn quoted(&mut self, close: u8, backslash: bool) -> bool {
        let doubled = !self.rules.not_doubled.contains(&close);
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            self.at += 1;
            if byte == b'\\' && backslash {
                self.at = self.text.len().min(self.at + 1);
            } else if byte == close {
                if !doubled || self.peek(0) != Some(close) {
                    return true;
                }
                self.at += 1;
            }
        }
        false
    }

    /// How long the `$tag$` here is, if one is here.
    fn dollar_tag(&self) -> Option<usize> {
        let rest = &self.text[self.at + 1..];
        let end = rest.iter().position(|byte| *byte == b'$')?;
        let tag = &rest[..end];
        let named =
            tag.iter().all(|byte| in_word(*byte)) && !tag.first().is_some_and(u8::is_ascii_digit);
        named.then_some(end + 2)
    }

    /// Past the closing tag; false when there is none.
    fn dollar_quoted(&mut self, tag: usize) -> bool {
        let tag = &self.text[self.at..self.at + tag];
        self.at += tag.len();
        let rest = &self.text[self.at..];
        let end = rest.windows(tag.len()).position(|window| window == tag);
        self.at += end.map_or(rest.len(), |end| end + tag.len());
        end.is_some()
    }

    /// Past the end of a `/*` comment; false when there is none.
    fn block_comment(&mut self) -> bool {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek(0) {
            if byte == b'/'
                && self.peek(1) == Some(b'*')
                && (depth == 0 || self.rules.nested_comments)
            {
                depth += 1;
                self.at += 2;
            } else if byte == b'*' && self.peek(1) == Some(b'/') {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return true;
                }
            } else {
                self.at += 1;
            }
        }
        false
    }

    fn scan(&mut self, first: u8) -> (Kind, bool) {
        if let Some(blank) = self.blank(first) {
            self.at += blank;
            while let Some(more) = self.peek(0).and_then(|byte| self.blank(byte)) {
                self.at += more;
            }
            return (Kind::Blank, true);
        }
        if let Some(length) = self.at_delimiter() {
            self.at += length;
            return (Kind::Delimiter, true);
        }
        if let Some(comment) = self.comment(first) {
            return comment;
        }
        if let Some(quoted) = self.quote(first) {
            return quoted;
        }
        if let Some(kind) = self.signed(first) {
            return (kind, true);
        }
        if in_word(first) {
            self.word();
            return (Kind::Word, true);
        }
        self.at += 1;
        let kind = match first {
            b';' => Kind::Semicolon,
            b'(' => Kind::Open,
            b')' => Kind::Close,
            _ => Kind::Other,
        };
        (kind, true)
    }

    fn comment(&mut self, first: u8) -> Option<(Kind, bool)> {
        let second = self.peek(1);
        if first == b'/' && second == Some(b'*') {
            let rest = &self.text[self.at + 2..];
            let carried_out =
                self.rules.mysql_comments && (rest.starts_with(b"!") || rest.starts_with(b"M!"));
            let kind = if carried_out {
                Kind::Other
            } else {
                Kind::Comment
            };
            return Some((kind, self.block_comment()));
        }
        let dashes = first == b'-' && second == Some(b'-');
        let begins = if self.rules.mysql_comments {
            let after = self.peek(2);
            first == b'#' || dashes && after.is_none_or(|byte| byte <= b' ')
        } else {
            dashes
        };
        begins.then(|| {
            self.skip_while(|byte| byte != b'\n');
            (Kind::Comment, true)
        })
    }

    fn quote(&mut self, first: u8) -> Option<(Kind, bool)> {
        let quotes = self.rules.quotes.iter();
        if let Some((open, close)) = quotes.copied().find(|(open, _)| *open == first) {
            let backslash = self.rules.backslash.contains(&open);
            return Some((Kind::Quoted, self.quoted(close, backslash)));
        }
        if self.rules.escape_strings && matches!(first, b'e' | b'E') && self.peek(1) == Some(b'\'')
        {
            self.at += 1;
            return Some((Kind::Quoted, self.quoted(b'\'', true)));
        }
        if self.rules.dollar_quotes && first == b'$' {
            let tag = self.dollar_tag()?;
            return Some((Kind::Quoted, self.dollar_quoted(tag)));
        }
        None
    }

    /// A parameter, or what begins as one and is none.
    fn signed(&mut self, first: u8) -> Option<Kind> {
        if !self.rules.signs.contains(&first) {
            return None;
        }
        let second = self.peek(1)?;
        if self.rules.strict_signs {
            if second == first || first == b':' && second == b'=' {
                self.at += 2;
                // `@@rowcount` is one word.
                self.skip_while(|byte| first == b'@' && in_word(byte));
                return Some(Kind::Other);
            }
            if second.is_ascii_digit() || second == b'$' {
                return None;
            }
        }
        if !in_word(second) {
            return None;
        }
        self.at += 1;
        self.word();
        Some(Kind::Parameter)
    }

    /// Past a word, which a delimiter may end.
    fn word(&mut self) {
        while let Some(byte) = self.peek(0)
            && in_word(byte)
            && self.blank(byte).is_none()
            && self.at_delimiter().is_none()
        {
            self.at += 1;
        }
    }

    /// How many bytes of white space begin here.
    fn blank(&self, byte: u8) -> Option<usize> {
        if byte.is_ascii_whitespace() || byte == 0x0b {
            return Some(1);
        }
        self.text[self.at..]
            .starts_with("\u{feff}".as_bytes())
            .then_some(3)
    }
}

/// Every byte of a character beyond ASCII counts as one of a word, so a token
/// never ends inside a character.
pub(crate) fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let start = self.at;
        let (kind, terminated) = self.scan(self.peek(0)?);
        Some(Token {
            kind,
            start,
            end: self.at,
            unterminated: !terminated,
        })
    }
}
