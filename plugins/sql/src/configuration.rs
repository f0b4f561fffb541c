//! The job type's own keys: what they are, how they are read, what can be
//! wrong with them. Never opens a connection.

use jobcell_plugin_sdk::types::{Failure, Problem, Severity};
use serde::Deserialize;

use crate::failure::invalid;
use crate::format::Format;
use crate::transaction::{Isolation, Transaction};
use jobcell_sql_text::{Dialect, split};

/// The keys of an SQL job.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Configuration {
    pub(crate) query: String,
    #[serde(default = "default_connection")]
    pub(crate) connection: String,
    #[serde(default)]
    pub(crate) on_error: OnError,
    #[serde(default)]
    pub(crate) transaction: Transaction,
    pub(crate) isolation_level: Option<Isolation>,
    #[serde(default)]
    pub(crate) output_format: Format,
    pub(crate) output_file: Option<String>,
}

/// What happens after a statement that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnError {
    /// The remaining ones are skipped.
    #[default]
    Stop,
    /// The remaining ones run; the run fails at its end.
    Continue,
}

fn default_connection() -> String {
    "default".to_owned()
}

/// JSON Schema of the keys. Others belong to every job and are checked
/// elsewhere.
pub(crate) const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "SQL job",
  "description": "Runs SQL statements, one after another, on one named connection.",
  "type": "object",
  "required": ["query"],
  "properties": {
    "query": {
      "title": "Query",
      "description": "One or more SQL statements, parted by semicolons. A parameter of the job is used by its name, as in `WHERE day = :day`; its value is never pasted into the text.",
      "type": "string",
      "minLength": 1,
      "pattern": "\\S",
      "examples": ["SELECT count(*) FROM orders WHERE day = :day;"]
    },
    "connection": {
      "title": "Connection",
      "description": "The name of a configured database connection.",
      "type": "string",
      "minLength": 1,
      "pattern": "\\S",
      "default": "default"
    },
    "onError": {
      "title": "On error",
      "description": "After a statement that failed: `stop` skips the remaining ones, `continue` runs them. The run counts as failed either way.",
      "enum": ["stop", "continue"],
      "default": "stop"
    },
    "transaction": {
      "title": "Transaction",
      "description": "What shares a transaction: `none` leaves that to the script, `single` puts all statements into one (rolled back when one fails and `onError` is `stop`; with `continue`, only what failed is undone), `perStatement` gives each its own.",
      "enum": ["none", "single", "perStatement"],
      "default": "none"
    },
    "isolationLevel": {
      "title": "Isolation level",
      "description": "How far such a transaction is kept from others, by ISO 9075's words; the database's usual one if left out.",
      "enum": ["readUncommitted", "readCommitted", "repeatableRead", "serializable"]
    },
    "outputFormat": {
      "title": "Output format",
      "description": "How results are written to the output: `table` for people; `json`, one document with every result; `csv`, by RFC 4180, with an empty line between results. With the last two, all else goes to the log.",
      "enum": ["table", "json", "csv"],
      "default": "table"
    },
    "outputFile": {
      "title": "Output file",
      "description": "A file by this name is kept with the run and holds its results in the `outputFormat`, `json` or `csv`; the output then shows tables for people.",
      "type": "string",
      "minLength": 1,
      "maxLength": 100,
      "pattern": "^[^\\\\/:*?\"<>|\\x00-\\x1f. ]([^\\\\/:*?\"<>|\\x00-\\x1f]*[^\\\\/:*?\"<>|\\x00-\\x1f. ])?$",
      "examples": ["report.csv"]
    }
  },
  "additionalProperties": true
}"#;

/// Reads the keys.
pub(crate) fn read(configuration: &str) -> Result<Configuration, Failure> {
    serde_json::from_str(configuration).map_err(|error| {
        invalid(
            "configuration",
            format!("the SQL job's keys can't be read: {error}"),
        )
    })
}

/// What is wrong with the keys beyond what the schema says.
pub(crate) fn check(configuration: &str) -> Vec<Problem> {
    let configuration = match read(configuration) {
        Ok(configuration) => configuration,
        Err(failure) => {
            return vec![problem(
                Severity::Error,
                "",
                None,
                crate::failure::words(&failure),
                None,
            )];
        }
    };
    if configuration.output_file.is_some() && configuration.output_format == Format::Table {
        let message = "`outputFile` holds results for programs: set `outputFormat: csv` or `json`";
        let found = problem(
            Severity::Error,
            "/outputFile",
            None,
            message.to_owned(),
            None,
        );
        return vec![found];
    }
    // The connection's dialect is not known before the job runs: what one of
    // them can read may be right.
    let read = Dialect::ALL.map(|dialect| split(&configuration.query, dialect));
    let can_be_read = read.iter().any(|(_, flaw)| flaw.is_none());
    let alone =
        configuration.isolation_level.is_some() && configuration.transaction == Transaction::None;
    let nothing = read.iter().all(|(statements, _)| statements.is_empty());
    let [(_, flaw), ..] = read;
    let mut problems = Vec::new();
    if let Some(flaw) = flaw.filter(|_| !can_be_read) {
        let at = Some((flaw.line, flaw.column));
        problems.push(if flaw.in_comment {
            let message = "this comment never ends, so all that follows it is ignored".to_owned();
            problem(
                Severity::Warning,
                "/query",
                at,
                message,
                Some("close it with `*/`"),
            )
        } else {
            let opened_by = flaw.opened_by;
            let message = format!("the text that `{opened_by}` opens here never ends");
            let hint = "close it; inside it, write the closing character twice";
            problem(Severity::Error, "/query", at, message, Some(hint))
        });
    }
    if alone {
        let message = "`isolationLevel` holds for transactions that `transaction` asks for, and it asks for none".to_owned();
        let hint = "add `transaction: single` or `perStatement`, or take `isolationLevel` out";
        problems.push(problem(
            Severity::Error,
            "/isolationLevel",
            None,
            message,
            Some(hint),
        ));
    }
    if nothing {
        let message = "the query holds no statement, only blanks or comments".to_owned();
        let hint = "write at least one statement, such as `SELECT 1`";
        problems.push(problem(
            Severity::Error,
            "/query",
            None,
            message,
            Some(hint),
        ));
    }
    problems
}

fn problem(
    severity: Severity,
    pointer: &str,
    position: Option<(u32, u32)>,
    message: String,
    hint: Option<&str>,
) -> Problem {
    let hint = hint.map(str::to_owned);
    Problem {
        severity,
        pointer: pointer.to_owned(),
        position,
        message,
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::{OnError, SCHEMA, Severity, check, read};

    #[test]
    fn keys_have_their_defaults() {
        let configuration = read(r#"{"query": "SELECT 1", "timeout": 5}"#).map_err(drop);
        let configuration = configuration.expect("these keys are right");
        assert_eq!(configuration.connection, "default");
        assert_eq!(configuration.on_error, OnError::Stop);
    }

    #[test]
    fn the_schema_is_json() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("it is JSON");
        assert_eq!(schema["required"], serde_json::json!(["query"]));
    }

    #[test]
    fn an_open_string_is_an_error_with_its_place() {
        let problems = check(r#"{"query": "SELECT 1;\nSELECT 'x"}"#);
        assert_eq!(problems.len(), 1);
        assert!(matches!(problems[0].severity, Severity::Error));
        assert_eq!(
            (problems[0].pointer.as_str(), problems[0].position),
            ("/query", Some((2, 8)))
        );
    }

    #[test]
    fn an_open_comment_is_a_warning() {
        let problems = check(r#"{"query": "SELECT 1 /* x"}"#);
        assert_eq!(problems.len(), 1);
        assert!(matches!(problems[0].severity, Severity::Warning));
    }

    #[test]
    fn a_query_of_comments_is_an_error() {
        let problems = check(r#"{"query": "-- SELECT 1"}"#);
        assert!(
            problems[0].message.contains("no statement"),
            "{}",
            problems[0].message
        );
    }
}
