//! What differs between dialects for whoever cuts their text.

use crate::body::Bodies;

/// The dialects that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite 3.
    Sqlite,
    /// PostgreSQL.
    PostgreSql,
    /// MySQL and MariaDB.
    MySql,
    /// SQL Server.
    SqlServer,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sqlite, Self::PostgreSql, Self::MySql, Self::SqlServer];

    /// The dialect of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// Its name: `sqlite`, `postgresql`, `mysql`, `sqlserver`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::PostgreSql => "postgresql",
            Self::MySql => "mysql",
            Self::SqlServer => "sqlserver",
        }
    }

    pub(crate) const fn rules(self) -> &'static Rules {
        match self {
            Self::Sqlite => &SQLITE,
            Self::PostgreSql => &POSTGRESQL,
            Self::MySql => &MYSQL,
            Self::SqlServer => &SQLSERVER,
        }
    }
}

/// A dialect's rules.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Characters that open a quoted thing, each with the one that closes it.
    pub(crate) quotes: &'static [(u8, u8)],
    /// Of these, the closing ones that don't stand for themselves when doubled.
    pub(crate) not_doubled: &'static [u8],
    /// Of these, the opening ones in which a backslash takes the next character
    /// along.
    pub(crate) backslash: &'static [u8],
    /// Whether `E'…'` is a string with backslashes.
    pub(crate) escape_strings: bool,
    /// Whether `$tag$…$tag$` is a string.
    pub(crate) dollar_quotes: bool,
    /// Whether `/*` inside a comment opens another one.
    pub(crate) nested_comments: bool,
    /// Whether `#` begins a comment, `--` only does before a blank, and
    /// `/*! … */` holds what is carried out.
    pub(crate) mysql_comments: bool,
    /// Characters that make the name after them a parameter.
    pub(crate) signs: &'static [u8],
    /// Whether `::` and `:=` are operators, and no parameter's name begins with
    /// a digit.
    pub(crate) strict_signs: bool,
    /// What has semicolons of its own.
    pub(crate) bodies: Bodies,
    /// Whether a semicolon in parentheses parts nothing.
    pub(crate) whole_parentheses: bool,
    /// Whether lines with `GO` part batches, rather than semicolons statements.
    pub(crate) batches: bool,
    /// Whether `DELIMITER` sets what parts statements.
    pub(crate) delimiter: bool,
}

const SQLITE: Rules = Rules {
    quotes: &[(b'\'', b'\''), (b'"', b'"'), (b'`', b'`'), (b'[', b']')],
    not_doubled: b"]",
    backslash: b"",
    escape_strings: false,
    dollar_quotes: false,
    nested_comments: false,
    mysql_comments: false,
    signs: b":@$",
    strict_signs: false,
    bodies: Bodies::Triggers,
    whole_parentheses: false,
    batches: false,
    delimiter: false,
};

const POSTGRESQL: Rules = Rules {
    quotes: &[(b'\'', b'\''), (b'"', b'"')],
    not_doubled: b"",
    escape_strings: true,
    dollar_quotes: true,
    nested_comments: true,
    signs: b":",
    strict_signs: true,
    bodies: Bodies::Atomic,
    whole_parentheses: true,
    ..SQLITE
};

const MYSQL: Rules = Rules {
    quotes: &[(b'\'', b'\''), (b'"', b'"'), (b'`', b'`')],
    not_doubled: b"",
    backslash: b"'\"",
    mysql_comments: true,
    signs: b":",
    strict_signs: true,
    bodies: Bodies::Compound,
    delimiter: true,
    ..SQLITE
};

const SQLSERVER: Rules = Rules {
    quotes: &[(b'\'', b'\''), (b'"', b'"'), (b'[', b']')],
    not_doubled: b"",
    nested_comments: true,
    signs: b":@",
    strict_signs: true,
    bodies: Bodies::None,
    batches: true,
    ..SQLITE
};
