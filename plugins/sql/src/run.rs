//! Carries out a query: one step for each statement, its rows into the run's
//! output. Never holds more rows than it shows.

use std::time::Instant;

use jobcell_plugin_sdk::job_type::Completion;
use jobcell_plugin_sdk::run_context::{self, Parameter, Step, StepStatus};
use jobcell_plugin_sdk::sql::{Column, Connection, Summary, Value};
use jobcell_plugin_sdk::types::{Failure, LimitReached, OutputStream};

use crate::configuration::{Configuration, OnError};
use crate::details::Details;
use crate::failure;
use crate::table;
use crate::value::{from_json, line};
use jobcell_sql_text::{Dialect, Statement, split};

/// Rows of one result that the output shows.
const SHOWN: usize = 200;
/// Rows asked for at a time.
const PAGE: u32 = 1_000;
/// Characters of a statement in its step's name.
const NAME: usize = 60;
/// Skipped statements that get a step each.
const SKIPPED: usize = 200;

/// Runs the query of a job.
pub(crate) fn run(configuration: &Configuration) -> Result<Completion, Failure> {
    let connection = Connection::open(&configuration.connection)?;
    let dialect = Dialect::named(&connection.dialect()).unwrap_or(Dialect::Sqlite);
    let (statements, _) = split(&configuration.query, dialect);
    if statements.is_empty() {
        return Err(failure::invalid(
            "no_statement",
            "the query holds no statement",
        ));
    }
    let mut run = Run {
        connection,
        alone: statements.len() == 1,
        parameters: None,
        begun: None,
        failed: None,
        failures: 0,
    };
    for (index, statement) in statements.iter().enumerate() {
        if let Err(failure) = run.step(index + 1, statement) {
            run.note(index + 1, statement, failure);
            let stop = configuration.on_error == OnError::Stop;
            if stop || run.failed.as_ref().is_some_and(failure::ends_run) {
                skip(&statements[index + 1..], index + 1)?;
                break;
            }
        }
    }
    run.end(statements.len())
}

struct Run {
    connection: Connection,
    /// Whether the query has one statement, which then needs no heading.
    alone: bool,
    /// The job's parameters, once a statement has named one.
    parameters: Option<Vec<Parameter>>,
    /// The statement, with its line, that began the open transaction.
    begun: Option<(usize, u32)>,
    /// The first failure, and how many there were.
    failed: Option<Failure>,
    failures: usize,
}

/// What came of one statement.
struct Outcome {
    columns: Vec<Column>,
    /// The first rows.
    rows: Vec<Vec<Value>>,
    summary: Summary,
    /// The host's cap that cut the result.
    limit: Option<LimitReached>,
}

impl Run {
    fn step(&mut self, number: usize, statement: &Statement<'_>) -> Result<(), Failure> {
        let text = line(statement.text, NAME);
        let name = format!("statement {number} (line {}): {text}", statement.line);
        let step = Step::start(&name, &statement.kind)?;
        let mut details = Details::of(number, statement);
        let begun = Instant::now();
        let outcome = self.execute(statement);
        let elapsed = begun.elapsed();
        self.follow_transaction(number, statement);
        match outcome {
            Ok(outcome) => {
                let heading = if self.alone {
                    None
                } else {
                    Some(name.as_str())
                };
                let ms = elapsed.as_secs_f64() * 1000.0;
                run_context::write(OutputStream::Stdout, outcome.text(heading, ms).as_bytes());
                outcome.describe(&mut details);
                report(&step, details)
            }
            Err(failure) => {
                details.add_error(&failure, place(statement, &failure));
                // The statement's own failure says more than this one could.
                let _ = step.finish(StepStatus::Failed, &details.into_json());
                Err(failure)
            }
        }
    }

    fn execute(&mut self, statement: &Statement<'_>) -> Result<Outcome, Failure> {
        let prepared = self.connection.prepare(statement.text)?;
        for name in &statement.parameters {
            prepared.bind(name, &self.parameter(name)?)?;
        }
        let cursor = prepared.execute()?;
        let columns = cursor.columns();
        let mut rows = Vec::new();
        let limit = loop {
            match cursor.next_page(PAGE) {
                Ok(page) => {
                    let room = SHOWN - rows.len();
                    rows.extend(page.rows.into_iter().take(room));
                    if page.last {
                        break None;
                    }
                }
                Err(Failure::Limit(limit)) if is_cap(&limit) => break Some(limit),
                Err(failure) => return Err(failure),
            }
        };
        Ok(Outcome {
            columns,
            rows,
            summary: cursor.summary(),
            limit,
        })
    }

    fn parameter(&mut self, name: &str) -> Result<Value, Failure> {
        let parameters = self.parameters.get_or_insert_with(run_context::parameters);
        let exact = parameters.iter().find(|parameter| parameter.name == name);
        let found = exact.or_else(|| {
            parameters
                .iter()
                .find(|parameter| parameter.name.eq_ignore_ascii_case(name))
        });
        match found {
            Some(parameter) => Ok(from_json(&parameter.value)),
            None => Err(failure::invalid(
                "parameter_missing",
                format!(
                    "it uses the parameter `{name}`, which the job does not have; add it to the job's `parameters`"
                ),
            )),
        }
    }

    /// Keeps where an open transaction began.
    fn follow_transaction(&mut self, number: usize, statement: &Statement<'_>) {
        let may_change = matches!(
            statement.kind.as_str(),
            "begin" | "start" | "savepoint" | "commit" | "end" | "rollback" | "release"
        );
        if may_change || self.begun.is_some() {
            let open = self.connection.in_transaction();
            self.begun = open.then(|| self.begun.unwrap_or((number, statement.line)));
        }
    }

    /// Keeps the first failure and writes each into the output.
    fn note(&mut self, number: usize, statement: &Statement<'_>, failure: Failure) {
        let message = message(number, statement, &failure);
        run_context::write(OutputStream::Stderr, format!("{message}\n").as_bytes());
        self.failures += 1;
        if failure::ends_run(&failure) {
            self.failed = Some(failure);
        } else if self.failed.is_none() {
            self.failed = Some(failure::with_message(failure, &message));
        }
    }

    fn end(self, statements: usize) -> Result<Completion, Failure> {
        let open = self.begun.map(|(number, line)| {
            format!("the transaction begun in statement {number} (line {line}) was still open at the end, so its changes are rolled back; end it with COMMIT to keep them")
        });
        if let Some(open) = &open {
            run_context::write(OutputStream::Stderr, format!("{open}\n").as_bytes());
        }
        match (self.failed, open) {
            (Some(failure), _) if self.failures > 1 && !failure::ends_run(&failure) => {
                let first = failure::words(&failure);
                let message = format!(
                    "{} of {statements} statements failed; the first: {first}",
                    self.failures
                );
                Err(failure::with_message(failure, &message))
            }
            (Some(failure), _) => Err(failure),
            // A job that loses its changes has not done what it was for.
            (None, Some(open)) => Err(failure::other("transaction_left_open", open)),
            (None, None) => Ok(Completion {
                success: true,
                return_code: None,
                message: None,
            }),
        }
    }
}

impl Outcome {
    /// The statement's part of the run's output.
    fn text(&self, heading: Option<&str>, ms: f64) -> String {
        let mut text = String::new();
        if let Some(heading) = heading {
            text.push_str(heading);
            text.push('\n');
        }
        if !self.columns.is_empty() {
            text.push_str(&table::render(&self.columns, &self.rows));
            let more = self.summary.returned.saturating_sub(self.rows.len() as u64);
            if more > 0 {
                text.push_str(&format!("… and {}\n", count(more, "more row")));
            }
        }
        if let Some(limit) = &self.limit {
            let LimitReached { value, setting, .. } = limit;
            text.push_str(&format!(
                "the result was cut at {value}; raise {setting} to get more\n"
            ));
        }
        let what = match self.summary.affected {
            Some(affected) => format!("{} affected", count(affected, "row")),
            None if self.columns.is_empty() => "ok".to_owned(),
            None => count(self.summary.returned, "row"),
        };
        text.push_str(&format!("({what}, {ms:.1} ms)\n"));
        text
    }

    fn describe(&self, details: &mut Details) {
        let mut truncated = self.limit.is_some();
        if !self.columns.is_empty() {
            truncated |= details.add_rows(&self.columns, &self.rows);
            truncated |= self.summary.returned > self.rows.len() as u64;
        }
        details.set("rowCount", self.summary.returned);
        details.set("affectedRows", self.summary.affected);
        details.set("truncated", truncated);
        if let Some(limit) = &self.limit {
            details.add_limit(limit);
        }
    }
}

/// Whether a limit cuts a result rather than failing its statement.
fn is_cap(limit: &LimitReached) -> bool {
    matches!(limit.limit.as_str(), "sql.rows" | "sql.bytes")
}

fn count(number: u64, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

/// What failed, where, and why. The place of the error itself is told where it
/// is not on the statement's first line.
fn message(number: usize, statement: &Statement<'_>, failure: &Failure) -> String {
    let line = statement.line;
    let at = match place(statement, failure) {
        Some((error_line, column)) if error_line > line => {
            format!(" (at line {error_line}, column {column})")
        }
        _ => String::new(),
    };
    format!(
        "statement {number} (line {line}) failed: {}{at}",
        failure::words(failure)
    )
}

/// Where in the query the database found the error: line and column.
fn place(statement: &Statement<'_>, failure: &Failure) -> Option<(u32, u32)> {
    let line = failure::number(failure, "line")?;
    let column = failure::number(failure, "column")?;
    // The first line of a statement may begin in the middle of one.
    let before = if line == 1 { statement.column - 1 } else { 0 };
    Some((statement.line + line.saturating_sub(1), column + before))
}

/// Records the statements that were not tried.
fn skip(statements: &[Statement<'_>], before: usize) -> Result<(), Failure> {
    for (index, statement) in statements.iter().take(SKIPPED).enumerate() {
        let number = before + index + 1;
        let text = line(statement.text, NAME);
        let name = format!("statement {number} (line {}): {text}", statement.line);
        let step = Step::start(&name, &statement.kind)?;
        step.finish(
            StepStatus::Skipped,
            &Details::of(number, statement).into_json(),
        )?;
    }
    if statements.len() > SKIPPED {
        let name = format!("{} more statements", statements.len() - SKIPPED);
        Step::start(&name, "other")?.finish(StepStatus::Skipped, "{}")?;
    }
    Ok(())
}

/// Ends the step of a statement that succeeded. Where the host takes no more
/// rows, it is kept without them: what is reported must not undo what was done.
fn report(step: &Step, details: Details) -> Result<(), Failure> {
    let small = details.without_rows();
    match step.finish(StepStatus::Success, &details.into_json()) {
        Err(Failure::Limit(_) | Failure::Invalid(_)) => {
            step.finish(StepStatus::Success, &small.into_json())
        }
        ended => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::{Statement, message, place};
    use jobcell_plugin_sdk::types::{Attribute, Detail, Failure};

    fn failure(line: &str, column: &str) -> Failure {
        let attribute = |name: &str, value: &str| Attribute {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        Failure::Other(Detail {
            code: "syntax_error".to_owned(),
            message: "near \"x\": syntax error".to_owned(),
            attributes: vec![attribute("line", line), attribute("column", column)],
        })
    }

    const STATEMENT: Statement<'static> = Statement {
        text: "SELECT",
        start: 0,
        line: 3,
        column: 5,
        kind: String::new(),
        parameters: Vec::new(),
        repeat: 1,
    };

    #[test]
    fn an_error_is_placed_in_the_query() {
        assert_eq!(place(&STATEMENT, &failure("1", "2")), Some((3, 6)));
        assert_eq!(place(&STATEMENT, &failure("2", "2")), Some((4, 2)));
        assert_eq!(place(&STATEMENT, &Failure::Cancelled), None);
    }

    #[test]
    fn a_message_names_statement_and_line() {
        let expected = "statement 2 (line 3) failed: near \"x\": syntax error";
        assert_eq!(message(2, &STATEMENT, &failure("1", "2")), expected);
        let further = format!("{expected} (at line 4, column 2)");
        assert_eq!(message(2, &STATEMENT, &failure("2", "2")), further);
    }
}
