//! Cuts a query into its statements, each with its place, its kind and the
//! parameters that it names. Never changes a statement's text.

use std::collections::HashSet;

use crate::Parameter;
use crate::body::{Body, Part};
use crate::dialect::{Dialect, Rules};
use crate::lexer::{Kind, Lexer, Token};
use crate::verb::Verb;

/// One statement of a query, or one batch where the dialect has those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement<'t> {
    /// Its text, from its first word to before its semicolon.
    pub text: &'t str,
    /// Where that begins in the query, in bytes.
    pub start: usize,
    /// The line of its first word, from 1.
    pub line: u32,
    /// The column of its first word, in characters from 1.
    pub column: u32,
    /// What it does: `select`, `create-table`.
    pub kind: String,
    /// The parameters that it names, without their signs, each once.
    pub parameters: Vec<&'t str>,
    /// How often it is to be carried out: the number after `GO`.
    pub repeat: u32,
}

/// Something in a query that never ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Whether it is a comment rather than a string or a name.
    pub in_comment: bool,
    /// Its line, from 1.
    pub line: u32,
    /// Its column, in characters from 1.
    pub column: u32,
    /// The character that opens it.
    pub opened_by: char,
}

/// A query's statements, and what in it never ends.
#[must_use]
pub fn split(text: &str, dialect: Dialect) -> (Vec<Statement<'_>>, Option<Flaw>) {
    let rules = dialect.rules();
    let mut splitter = Splitter {
        text,
        rules,
        statements: Vec::new(),
        open: None,
        place: Place::START,
        custom: false,
    };
    let mut flaw = None;
    let mut lexer = Lexer::new(text, rules);
    while let Some(token) = lexer.next() {
        if token.unterminated {
            flaw = Some(splitter.flaw(token));
        }
        if splitter.is_command(token) {
            splitter.custom = lexer.take_delimiter();
        } else if let Some(repeat) = splitter.batch_end(token) {
            splitter.close(repeat);
            lexer.skip_line();
        } else {
            splitter.take(token);
        }
    }
    splitter.close(1);
    (splitter.statements, flaw)
}

/// Every parameter of one statement, in order.
pub(crate) fn words(text: &str, dialect: Dialect) -> impl Iterator<Item = &str> {
    let tokens = Lexer::new(text, dialect.rules());
    let words = tokens.filter(|token| token.kind == Kind::Word);
    words.map(|token| &text[token.start..token.end])
}

pub(crate) fn parameters(text: &str, dialect: Dialect) -> Vec<Parameter<'_>> {
    let rules = dialect.rules();
    let mut open = Open::at(0, (1, 1), rules);
    let mut found = Vec::new();
    for token in Lexer::new(text, rules) {
        if matches!(token.kind, Kind::Blank | Kind::Comment) {
            continue;
        }
        open.read(token, text, rules);
        if token.kind == Kind::Parameter {
            found.push(Parameter {
                name: &text[token.start + 1..token.end],
                range: token.start..token.end,
            });
        }
    }
    found.retain(|parameter| open.is_free(&text[parameter.range.clone()], parameter.range.start));
    found
}

struct Splitter<'t> {
    text: &'t str,
    rules: &'static Rules,
    statements: Vec<Statement<'t>>,
    open: Option<Open<'t>>,
    place: Place,
    /// Whether something else than a semicolon parts statements.
    custom: bool,
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
    /// Each with its sign, and where it stands.
    parameters: Vec<(&'t str, usize)>,
    locals: Locals,
}

/// Names with an `@` that are not parameters of the job: what a batch declares,
/// and the arguments' names of what it executes.
#[derive(Default)]
struct Locals {
    names: HashSet<String>,
    /// Where one stands that names an argument.
    arguments: HashSet<usize>,
    state: Local,
    /// Whether a name that comes here is declared.
    names_next: bool,
    /// The name just read, in what is executed.
    last: Option<usize>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Local {
    #[default]
    None,
    Declaring,
    Executing,
}

/// Words that end a `DECLARE` or an `EXEC`.
const NEXT_STATEMENT: &[&str] = &[
    "begin", "delete", "end", "if", "insert", "merge", "print", "return", "select", "set",
    "update", "while", "with",
];

/// A place in the text that only moves forward.
struct Place {
    at: usize,
    line: u32,
    column: u32,
}

impl Place {
    const START: Self = Self {
        at: 0,
        line: 1,
        column: 1,
    };

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
    fn take(&mut self, token: Token) {
        if matches!(token.kind, Kind::Blank | Kind::Comment) {
            return;
        }
        if self.parts(token.kind) {
            self.close(1);
            return;
        }
        if self.open.is_none() {
            let place = self.place.move_to(token.start, self.text);
            self.open = Some(Open::at(token.start, place, self.rules));
        }
        if let Some(open) = &mut self.open {
            open.read(token, self.text, self.rules);
        }
    }

    /// Whether this ends the statement.
    fn parts(&self, kind: Kind) -> bool {
        match kind {
            Kind::Delimiter => true,
            Kind::Semicolon if self.custom || self.rules.batches => false,
            Kind::Semicolon => self.open.as_ref().is_none_or(|open| {
                open.body.is_over() && !(self.rules.whole_parentheses && open.depth > 0)
            }),
            _ => false,
        }
    }

    /// Whether this is the client's own `DELIMITER`.
    fn is_command(&self, token: Token) -> bool {
        self.rules.delimiter
            && token.kind == Kind::Word
            && self.open.is_none()
            && self.text[token.start..token.end].eq_ignore_ascii_case("delimiter")
    }

    /// How often the batch is to be carried out that this line with `GO` ends.
    fn batch_end(&self, token: Token) -> Option<u32> {
        let word = &self.text[token.start..token.end];
        if !self.rules.batches || token.kind != Kind::Word || !word.eq_ignore_ascii_case("go") {
            return None;
        }
        let before = self.text[..token.start].rsplit(['\n', '\r']).next();
        let after = self.text[token.end..].split(['\n', '\r']).next();
        let blank = |text: &str| text.trim_matches([' ', '\t', '\u{feff}']).is_empty();
        if !before.is_some_and(blank) {
            return None;
        }
        let after = after.unwrap_or_default();
        let count = after.split("--").next().unwrap_or_default().trim();
        if count.is_empty() {
            return Some(1);
        }
        count.parse().ok()
    }

    fn close(&mut self, repeat: u32) {
        let Some(open) = self.open.take() else {
            return;
        };
        if repeat == 0 {
            return;
        }
        let mut parameters = Vec::new();
        for (written, at) in &open.parameters {
            let name = &written[1..];
            if open.is_free(written, *at) && !parameters.contains(&name) {
                parameters.push(name);
            }
        }
        self.statements.push(Statement {
            text: &self.text[open.start..open.end],
            start: open.start,
            line: open.line,
            column: open.column,
            kind: open.verb.kind(),
            parameters,
            repeat,
        });
    }

    fn flaw(&self, token: Token) -> Flaw {
        let mut place = Place::START;
        let (line, column) = place.move_to(token.start, self.text);
        Flaw {
            in_comment: self.text[token.start..].starts_with("/*"),
            line,
            column,
            opened_by: self.text[token.start..].chars().next().unwrap_or(' '),
        }
    }
}

impl<'t> Open<'t> {
    fn at(start: usize, (line, column): (u32, u32), rules: &Rules) -> Self {
        Self {
            start,
            end: start,
            line,
            column,
            depth: 0,
            verb: Verb::default(),
            body: Body::new(rules.bodies),
            parameters: Vec::new(),
            locals: Locals::default(),
        }
    }

    fn read(&mut self, token: Token, text: &'t str, rules: &Rules) {
        let word = &text[token.start..token.end];
        self.end = token.end;
        match token.kind {
            Kind::Open => self.depth += 1,
            Kind::Close => self.depth = self.depth.saturating_sub(1),
            Kind::Word if self.depth == 0 => self.verb.read(word),
            Kind::Word => {}
            Kind::Parameter => self.parameters.push((word, token.start)),
            _ => self.verb.stop(),
        }
        let part = match token.kind {
            Kind::Word => Part::Word,
            Kind::Semicolon => Part::Semicolon,
            _ => Part::Other,
        };
        self.body.read(part, word, self.verb.words());
        if rules.batches {
            self.locals.read(token, word);
        }
    }

    /// Whether a parameter is the job's, rather than the batch's own.
    fn is_free(&self, written: &str, at: usize) -> bool {
        if !written.starts_with('@') {
            return true;
        }
        let words: Vec<&str> = self.verb.words().iter().map(String::as_str).collect();
        let routine = matches!(
            words[..],
            [
                "create" | "alter",
                "proc" | "procedure" | "function" | "trigger"
            ]
        );
        // SQLite's own parameters may be written so too, and it has no locals.
        let local = self.locals.names.contains(&written.to_lowercase())
            || self.locals.arguments.contains(&at);
        !(routine || local)
    }
}

impl Locals {
    fn read(&mut self, token: Token, word: &str) {
        if token.kind != Kind::Parameter {
            let assigned = word == "=" && self.state == Local::Executing;
            if let Some(at) = self.last.take().filter(|_| assigned) {
                self.arguments.insert(at);
            }
        }
        match token.kind {
            Kind::Word => self.read_word(&word.to_ascii_lowercase()),
            Kind::Semicolon => self.state = Local::None,
            Kind::Parameter => {
                if self.state == Local::Declaring && self.names_next {
                    self.names.insert(word.to_lowercase());
                }
                self.names_next = false;
                self.last = Some(token.start);
            }
            _ => self.names_next = word == ",",
        }
    }

    fn read_word(&mut self, word: &str) {
        match word {
            "declare" => {
                self.state = Local::Declaring;
                self.names_next = true;
                return;
            }
            "exec" | "execute" => self.state = Local::Executing,
            other if NEXT_STATEMENT.contains(&other) => self.state = Local::None,
            _ => {}
        }
        self.names_next = false;
    }
}

#[cfg(test)]
mod dialect_tests;
#[cfg(test)]
mod tests;
