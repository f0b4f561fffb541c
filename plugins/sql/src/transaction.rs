//! What `transaction` and `isolationLevel` mean in each dialect. Never runs
//! anything.

use jobcell_plugin_sdk::types::Failure;
use jobcell_sql_text::{Dialect, Statement};
use serde::Deserialize;

use crate::failure::invalid;

/// What shares a transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Transaction {
    /// What the script itself says.
    #[default]
    None,
    /// All statements.
    Single,
    /// Nothing: each statement has its own.
    PerStatement,
}

/// How far a transaction is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    /// By ISO 9075's words.
    const fn words(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "READ UNCOMMITTED",
            Self::ReadCommitted => "READ COMMITTED",
            Self::RepeatableRead => "REPEATABLE READ",
            Self::Serializable => "SERIALIZABLE",
        }
    }
}

/// What begins a transaction, statement by statement.
pub(crate) fn begin(
    dialect: Dialect,
    isolation: Option<Isolation>,
) -> Result<Vec<String>, Failure> {
    let level = isolation.map(Isolation::words);
    Ok(match (dialect, level) {
        (Dialect::Sqlite, Some(level)) if level != "SERIALIZABLE" => {
            let message = format!(
                "`isolationLevel`: a SQLite transaction is always serializable, never {}; leave the key out",
                level.to_lowercase()
            );
            return Err(invalid("configuration", message));
        }
        // Takes the right to write now, when waiting for it can still help.
        (Dialect::Sqlite, _) => vec!["BEGIN IMMEDIATE".to_owned()],
        (Dialect::PostgreSql, Some(level)) => vec![format!("BEGIN ISOLATION LEVEL {level}")],
        (Dialect::PostgreSql, None) => vec!["BEGIN".to_owned()],
        (Dialect::MySql, Some(level)) => vec![
            format!("SET TRANSACTION ISOLATION LEVEL {level}"),
            "START TRANSACTION".to_owned(),
        ],
        (Dialect::MySql, None) => vec!["START TRANSACTION".to_owned()],
        (Dialect::SqlServer, Some(level)) => vec![
            format!("SET TRANSACTION ISOLATION LEVEL {level}"),
            "BEGIN TRANSACTION".to_owned(),
        ],
        (Dialect::SqlServer, None) => vec!["BEGIN TRANSACTION".to_owned()],
    })
}

/// The words for what a transaction can go back to.
pub(crate) struct Savepoint {
    pub(crate) begin: &'static str,
    pub(crate) undo: &'static str,
    /// None where the transaction's end is enough.
    pub(crate) release: Option<&'static str>,
}

pub(crate) const fn savepoint(dialect: Dialect) -> Savepoint {
    match dialect {
        Dialect::SqlServer => Savepoint {
            begin: "SAVE TRANSACTION jobcell",
            undo: "ROLLBACK TRANSACTION jobcell",
            release: None,
        },
        Dialect::Sqlite | Dialect::PostgreSql | Dialect::MySql => Savepoint {
            begin: "SAVEPOINT jobcell",
            undo: "ROLLBACK TO SAVEPOINT jobcell",
            release: Some("RELEASE SAVEPOINT jobcell"),
        },
    }
}

/// Fails when a script that is given transactions has some of its own.
pub(crate) fn check(
    transaction: Transaction,
    dialect: Dialect,
    statements: &[Statement<'_>],
) -> Result<(), Failure> {
    if transaction == Transaction::None {
        return Ok(());
    }
    let own = |kind: &str| {
        matches!(
            kind,
            "abort" | "begin" | "commit" | "end" | "rollback" | "start"
        )
    };
    match statements
        .iter()
        .enumerate()
        .find(|(_, statement)| own(&statement.kind) && !is_block(dialect, statement))
    {
        Some((index, statement)) => Err(invalid(
            "configuration",
            format!(
                "statement {} (line {}) is `{}`, but `transaction` already says what shares a transaction; take the statement or the key out",
                index + 1,
                statement.line,
                statement.kind.to_uppercase()
            ),
        )),
        None => Ok(()),
    }
}

/// Whether a batch begins with a block, which begins no transaction.
fn is_block(dialect: Dialect, statement: &Statement<'_>) -> bool {
    let mut words = jobcell_sql_text::words(statement.text, dialect);
    let second = words.nth(1).unwrap_or_default().to_ascii_lowercase();
    let of_transaction = matches!(&*second, "tran" | "transaction" | "distributed");
    dialect == Dialect::SqlServer && statement.kind == "begin" && !of_transaction
}

#[cfg(test)]
mod tests {
    use super::{Isolation, Transaction, begin, check};
    use crate::failure::words;
    use jobcell_sql_text::{Dialect, split};

    #[test]
    fn each_dialect_begins_in_its_own_words() {
        let of = |dialect, level| begin(dialect, level).map_err(|failure| words(&failure));
        let level = Some(Isolation::RepeatableRead);
        assert_eq!(
            of(Dialect::PostgreSql, level),
            Ok(vec!["BEGIN ISOLATION LEVEL REPEATABLE READ".to_owned()])
        );
        assert_eq!(of(Dialect::MySql, level).map(|words| words.len()), Ok(2));
        assert_eq!(
            of(Dialect::Sqlite, None),
            Ok(vec!["BEGIN IMMEDIATE".to_owned()])
        );
        assert!(of(Dialect::Sqlite, Some(Isolation::Serializable)).is_ok());
        let refused = of(Dialect::Sqlite, level);
        assert!(refused.is_err_and(|words| words.contains("always serializable")));
    }

    #[test]
    fn a_script_can_t_have_both() {
        let (statements, _) = split("SELECT 1;\nCOMMIT", Dialect::Sqlite);
        let of = Dialect::Sqlite;
        assert!(check(Transaction::None, of, &statements).is_ok());
        let refused =
            check(Transaction::Single, of, &statements).map_err(|failure| words(&failure));
        assert!(refused.is_err_and(|words| words.starts_with("statement 2 (line 2) is `COMMIT`")));
    }

    #[test]
    fn a_block_is_no_transaction() {
        let of = Dialect::SqlServer;
        let single = |text| check(Transaction::Single, of, &split(text, of).0);
        assert!(single("BEGIN TRY SELECT 1 END TRY BEGIN CATCH THROW END CATCH").is_ok());
        assert!(single("BEGIN SELECT 1 END").is_ok());
        assert!(single("begin tran").is_err() && single("BEGIN TRANSACTION x").is_err());
    }
}
