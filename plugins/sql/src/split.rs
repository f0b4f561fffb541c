//! Cuts a query into its statements, each with its place, its kind and the
//! parameters that it names. Never changes a statement's text.

use crate::lexer::{Kind, Lexer, Rules, Token};

/// One statement of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement<'t> {
    /// Its text, from its first word to before its semicolon.
    pub(crate) text: &'t str,
    /// Where that begins in the query, in bytes.
    pub(crate) start: usize,
    /// The line of its first word, from 1.
    pub(crate) line: u32,
    /// The column of its first word, in characters from 1.
    pub(crate) column: u32,
    /// What it is: `select`, `create-table`.
    pub(crate) kind: String,
    /// The parameters that it names, without their signs, each once.
    pub(crate) parameters: Vec<&'t str>,
}

/// Something in a query that never ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// Whether it is a comment rather than a string or a name.
    pub(crate) in_comment: bool,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// The character that opens it.
    pub(crate) opened_by: char,
}

/// A query's statements, and what in it never ends.
pub(crate) fn split(text: &str, rules: Rules) -> (Vec<Statement<'_>>, Option<Flaw>) {
    let mut splitter = Splitter {
        text,
        statements: Vec::new(),
        open: None,
        place: Place {
            at: 0,
            line: 1,
            column: 1,
        },
    };
    let mut flaw = None;
    for token in Lexer::new(text, rules) {
        if token.unterminated {
            flaw = Some(splitter.flaw(token));
        }
        splitter.take(token, rules);
    }
    splitter.close();
    (splitter.statements, flaw)
}

struct Splitter<'t> {
    text: &'t str,
    statements: Vec<Statement<'t>>,
    open: Option<Open<'t>>,
    place: Place,
}

/// The statement that is being read.
struct Open<'t> {
    start: usize,
    end: usize,
    line: u32,
    column: u32,
    depth: usize,
    verb: Verb,
    body: Body,
    parameters: Vec<&'t str>,
}

/// Where a trigger's body stands; its end is `;`, `END`, `;`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    None,
    Inside,
    AfterSemicolon,
    AfterEnd,
}

/// A place in the text that only moves forward.
struct Place {
    at: usize,
    line: u32,
    column: u32,
}

impl Place {
    fn move_to(&mut self, at: usize, text: &str) -> (u32, u32) {
        for character in text[self.at..at].chars() {
            if character == '\n' {
                self.line += 1;
                self.column = 1;
            } else if character != '\u{feff}' {
                self.column += 1;
            }
        }
        self.at = at;
        (self.line, self.column)
    }
}

impl<'t> Splitter<'t> {
    fn take(&mut self, token: Token, rules: Rules) {
        if matches!(token.kind, Kind::Blank | Kind::Comment) {
            return;
        }
        if token.kind == Kind::Semicolon && self.ends_statement() {
            self.close();
            return;
        }
        if self.open.is_none() {
            let (line, column) = self.place.move_to(token.start, self.text);
            self.open = Some(Open {
                start: token.start,
                end: token.end,
                line,
                column,
                depth: 0,
                verb: Verb::default(),
                body: Body::None,
                parameters: Vec::new(),
            });
        }
        let word = &self.text[token.start..token.end];
        if let Some(open) = &mut self.open {
            open.read(token, word, rules);
        }
    }

    /// Whether a semicolon here is not part of a trigger's body.
    fn ends_statement(&self) -> bool {
        self.open
            .as_ref()
            .is_none_or(|open| matches!(open.body, Body::None | Body::AfterEnd))
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.statements.push(Statement {
                text: &self.text[open.start..open.end],
                start: open.start,
                line: open.line,
                column: open.column,
                kind: open.verb.kind(),
                parameters: open.parameters,
            });
        }
    }

    fn flaw(&self, token: Token) -> Flaw {
        let mut place = Place {
            at: 0,
            line: 1,
            column: 1,
        };
        let (line, column) = place.move_to(token.start, self.text);
        Flaw {
            in_comment: token.kind == Kind::Comment,
            line,
            column,
            opened_by: self.text[token.start..].chars().next().unwrap_or(' '),
        }
    }
}

impl<'t> Open<'t> {
    fn read(&mut self, token: Token, word: &'t str, rules: Rules) {
        self.end = token.end;
        match token.kind {
            Kind::Open => self.depth += 1,
            Kind::Close => self.depth = self.depth.saturating_sub(1),
            Kind::Word if self.depth == 0 => self.verb.read(word),
            Kind::Word => {}
            Kind::Parameter => {
                let name = &word[1..];
                if !self.parameters.contains(&name) {
                    self.parameters.push(name);
                }
            }
            _ => self.verb.stop(),
        }
        self.body = match self.body {
            Body::None if rules.trigger_bodies && self.verb.is_trigger() => Body::Inside,
            Body::None => Body::None,
            _ if token.kind == Kind::Semicolon => Body::AfterSemicolon,
            Body::AfterSemicolon if word.eq_ignore_ascii_case("end") => Body::AfterEnd,
            _ => Body::Inside,
        };
    }
}

/// Reads what a statement does from its first words.
#[derive(Default)]
struct Verb {
    words: Vec<String>,
    done: bool,
}

/// Words between `CREATE` and the thing that is created.
const BETWEEN: &[&str] = &[
    "global",
    "local",
    "materialized",
    "or",
    "replace",
    "temp",
    "temporary",
    "unique",
    "virtual",
];

/// What can follow the table expressions of a `WITH`.
const AFTER_WITH: &[&str] = &[
    "delete", "insert", "merge", "replace", "select", "update", "values",
];

impl Verb {
    fn read(&mut self, word: &str) {
        if self.done {
            return;
        }
        let word = word.to_ascii_lowercase();
        match self.words.first().map(String::as_str) {
            None if word == "explain" => self.words.push(word),
            None => {
                self.done = !matches!(word.as_str(), "create" | "drop" | "alter" | "with");
                self.words.push(word);
            }
            Some("with") => {
                if AFTER_WITH.contains(&word.as_str()) {
                    self.words = vec![word];
                    self.done = true;
                }
            }
            // What is explained decides whether it is a trigger, not the kind.
            Some("explain") => match word.as_str() {
                "query" | "plan" => {}
                _ if BETWEEN.contains(&word.as_str()) => {}
                "create" if self.words.len() == 1 => self.words.push(word),
                _ => {
                    self.words.push(word);
                    self.done = true;
                }
            },
            Some(_) if BETWEEN.contains(&word.as_str()) => {}
            Some(_) => {
                self.words.push(word);
                self.done = true;
            }
        }
    }

    /// Anything but a word ends the first words, except within a `WITH`.
    fn stop(&mut self) {
        if self.words.first().is_none_or(|word| word != "with") {
            self.done = true;
        }
    }

    fn is_trigger(&self) -> bool {
        let words = self.words.iter().map(String::as_str).collect::<Vec<_>>();
        matches!(
            words[..],
            ["create", "trigger"] | ["explain", "create", "trigger"]
        )
    }

    fn kind(&self) -> String {
        match self.words.first().map(String::as_str) {
            None => "other".to_owned(),
            Some("explain") => "explain".to_owned(),
            Some(_) => self.words.join("-"),
        }
    }
}

#[cfg(test)]
mod tests;
