//! Cuts SQL text into tokens, as far as splitting needs them apart: words,
//! quoted things, comments, parameters. Never judges grammar and never loses a
//! byte: the tokens lie end to end.

/// What differs between dialects for whoever cuts their text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Characters that open a quoted thing, each with the one that closes it.
    /// A doubled closing character stands for itself, except after `[`.
    pub(crate) quotes: &'static [(u8, u8)],
    /// Whether `/*` inside a comment opens another one.
    pub(crate) nested_comments: bool,
    /// Characters that make the name after them a parameter.
    pub(crate) parameter_signs: &'static [u8],
    /// Whether `CREATE TRIGGER … BEGIN …; END;` holds semicolons of its own.
    pub(crate) trigger_bodies: bool,
}

const SQLITE: Rules = Rules {
    quotes: &[(b'\'', b'\''), (b'"', b'"'), (b'`', b'`'), (b'[', b']')],
    nested_comments: false,
    parameter_signs: b":@$",
    trigger_bodies: true,
};

/// Each dialect by the word that `connection.dialect` has for it.
const DIALECTS: &[(&str, Rules)] = &[("sqlite", SQLITE)];

/// The rules of a dialect. SQLite reads the quotes of the others too, so its
/// rules are the best guess for one that is not known here.
pub(crate) fn rules(dialect: &str) -> Rules {
    let known = DIALECTS.iter().find(|(name, _)| *name == dialect);
    known.map_or(SQLITE, |(_, rules)| *rules)
}

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
    rules: Rules,
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str, rules: Rules) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            rules,
        }
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
    fn quoted(&mut self, close: u8) -> bool {
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            self.at += 1;
            if byte == close {
                if close == b']' || self.peek(0) != Some(close) {
                    return true;
                }
                self.at += 1;
            }
        }
        false
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
        if first == b'-' && self.peek(1) == Some(b'-') {
            self.skip_while(|byte| byte != b'\n');
            return (Kind::Comment, true);
        }
        if first == b'/' && self.peek(1) == Some(b'*') {
            return (Kind::Comment, self.block_comment());
        }
        if let Some((_, close)) = self.rules.quotes.iter().find(|(open, _)| *open == first) {
            return (Kind::Quoted, self.quoted(*close));
        }
        if self.rules.parameter_signs.contains(&first) && self.peek(1).is_some_and(in_word) {
            self.at += 1;
            self.skip_while(in_word);
            return (Kind::Parameter, true);
        }
        if in_word(first) {
            self.skip_while(in_word);
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
fn in_word(byte: u8) -> bool {
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
