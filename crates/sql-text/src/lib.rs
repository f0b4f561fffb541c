//! SQL text as its client has to read it, by each dialect's own rules: where
//! statements and batches end, what they do first, which parameters they name.
//! Never judges grammar, and never changes a text.

mod body;
mod dialect;
mod lexer;
mod split;
mod verb;

use std::ops::Range;

pub use dialect::Dialect;
pub use split::{Flaw, Statement, split};

/// A parameter in a statement's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter<'t> {
    /// Its name, without the sign.
    pub name: &'t str,
    /// Where it stands, in bytes, with its sign.
    pub range: Range<usize>,
}

/// Every parameter of one statement, as often as it stands there.
#[must_use]
pub fn parameters(text: &str, dialect: Dialect) -> Vec<Parameter<'_>> {
    split::parameters(text, dialect)
}

/// The words of a text: names without quotes, keywords, numbers. What stands in
/// strings, quoted names and comments is none.
pub fn words(text: &str, dialect: Dialect) -> impl Iterator<Item = &str> {
    split::words(text, dialect)
}

/// What one statement does first: `select`, `create-table`; `other` where no
/// word tells.
#[must_use]
pub fn kind(text: &str, dialect: Dialect) -> String {
    let (statements, _) = split(text, dialect);
    let first = statements.into_iter().next();
    first.map_or_else(|| "other".to_owned(), |statement| statement.kind)
}
