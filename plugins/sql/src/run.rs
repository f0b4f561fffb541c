//! Carries out a query: one step for each statement, its rows into the run's
//! output. Never holds more rows than it shows.

use std::time::{Duration, Instant};

use jobcell_plugin_sdk::job_type::Completion;
use jobcell_plugin_sdk::run_context::{self, Level, Parameter, Step, StepStatus};
use jobcell_plugin_sdk::sql::{Connection, Value};
use jobcell_plugin_sdk::types::{Failure, OutputStream};

use crate::configuration::{Configuration, OnError};
use crate::details::Details;
use crate::failure;
use crate::outcome::Outcome;
use crate::output::{Output, put};
use crate::transaction::{self, Transaction};
use crate::value::{from_json, line};
use jobcell_sql_text::{Dialect, Statement, split};

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
    transaction::check(configuration.transaction, dialect, &statements)?;
    let mut run = Run {
        connection,
        dialect,
        mode: configuration.transaction,
        keeps_on: configuration.on_error == OnError::Continue,
        begin: transaction::begin(dialect, configuration.isolation_level)?,
        alone: statements.len() == 1,
        parameters: None,
        begun: None,
        failed: None,
        failures: 0,
        output: Output::of(configuration)?,
    };
    if run.mode == Transaction::Single {
        run.begin()?;
    }
    for (index, statement) in statements.iter().enumerate() {
        if let Err(failure) = run.step(index + 1, statement) {
            run.note(index + 1, statement, failure);
            let stop = configuration.on_error == OnError::Stop;
            if stop || run.failed.as_ref().is_some_and(failure::ends_run) {
                let skipped = skip(&statements[index + 1..], index + 1);
                if let Err(failure) = skipped {
                    drop(run.output.finish());
                    return Err(failure);
                }
                break;
            }
        }
    }
    run.end(statements.len())
}

struct Run {
    connection: Connection,
    dialect: Dialect,
    mode: Transaction,
    /// Whether other statements go on after one that failed.
    keeps_on: bool,
    /// What begins a transaction.
    begin: Vec<String>,
    /// Whether the query has one statement, which then needs no heading.
    alone: bool,
    /// The job's parameters, once a statement has named one.
    parameters: Option<Vec<Parameter>>,
    /// The statement, with its line, that began the open transaction.
    begun: Option<(usize, u32)>,
    /// The first failure, and how many there were.
    failed: Option<Failure>,
    failures: usize,
    output: Output,
}

impl Run {
    fn step(&mut self, number: usize, statement: &Statement<'_>) -> Result<(), Failure> {
        let text = line(statement.text, NAME);
        let name = format!("statement {number} (line {}): {text}", statement.line);
        let step = Step::start(&name, &statement.kind)?;
        let mut details = Details::of(number, statement);
        let begun = Instant::now();
        let outcome = self.within(number, statement);
        let elapsed = begun.elapsed();
        self.follow_transaction(number, statement);
        match outcome {
            Ok(outcome) => {
                self.tell(&outcome, &name, elapsed);
                outcome.describe(&mut details);
                report(&step, details)
            }
            Err(failure) => {
                self.output.fail();
                details.add_error(&failure, place(statement, &failure));
                // The statement's own failure says more than this one could.
                let _ = step.finish(StepStatus::Failed, &details.into_json());
                Err(failure)
            }
        }
    }

    /// What people read of a statement: on standard output, or in the run's log
    /// where the output is for programs.
    fn tell(&self, outcome: &Outcome, name: &str, elapsed: Duration) {
        let for_programs = self.output.is_for_programs();
        let heading = (for_programs || !self.alone).then_some(name);
        let ms = elapsed.as_secs_f64() * 1000.0;
        let text = outcome.text(heading, ms, !for_programs);
        if for_programs {
            run_context::log(Level::Info, text.trim_end());
        } else {
            put(&text);
        }
    }

    /// Runs a statement within the transaction that the job asks for.
    fn within(&mut self, number: usize, statement: &Statement<'_>) -> Result<Outcome, Failure> {
        match self.mode {
            Transaction::None => self.execute(number, statement),
            Transaction::PerStatement => {
                self.begin()?;
                let outcome = self.execute(number, statement);
                if outcome.is_err() && self.connection.in_transaction() {
                    // The statement's own failure says more than this one could.
                    drop(self.command("ROLLBACK"));
                }
                let outcome = outcome?;
                self.still_open(number, statement)?;
                self.command("COMMIT")?;
                self.all_ended(number, statement)?;
                Ok(outcome)
            }
            Transaction::Single if self.keeps_on => {
                let savepoint = transaction::savepoint(self.dialect);
                self.command(savepoint.begin)?;
                let outcome = self.execute(number, statement);
                if outcome.is_err() && self.connection.in_transaction() {
                    drop(self.command(savepoint.undo));
                }
                let outcome = outcome?;
                self.still_open(number, statement)?;
                if let Some(release) = savepoint.release {
                    self.command(release)?;
                }
                Ok(outcome)
            }
            Transaction::Single => {
                let outcome = self.execute(number, statement)?;
                self.still_open(number, statement)?;
                Ok(outcome)
            }
        }
    }

    /// Fails when a statement has ended the transaction: what it changed can't
    /// be taken back any more.
    fn still_open(&self, number: usize, statement: &Statement<'_>) -> Result<(), Failure> {
        if self.connection.in_transaction() {
            return Ok(());
        }
        let message = format!(
            "statement {number} ({}) ended the transaction that `transaction` asks for; databases do that when a definition is changed: give it a job of its own",
            statement.kind
        );
        Err(failure::other("transaction_ended", message))
    }

    /// Fails when a transaction is open after ours has ended: one that the
    /// statement began within ours, and that would be rolled back.
    fn all_ended(&self, number: usize, statement: &Statement<'_>) -> Result<(), Failure> {
        if !self.connection.in_transaction() {
            return Ok(());
        }
        let message = format!(
            "statement {number} (line {}) left a transaction open that it had begun, so its changes are rolled back; take its BEGIN out, since `transaction` gives it one",
            statement.line
        );
        Err(failure::other("transaction_left_open", message))
    }

    fn begin(&mut self) -> Result<(), Failure> {
        let begin = std::mem::take(&mut self.begin);
        let begun = begin.iter().try_for_each(|text| self.command(text));
        self.begin = begin;
        begun
    }

    /// Runs a statement of ours.
    fn command(&self, text: &str) -> Result<(), Failure> {
        let cursor = self.connection.prepare(text)?.execute()?;
        while !cursor.next_page(1)?.last {}
        Ok(())
    }

    /// Ends the transaction of all statements, by whether one failed.
    fn settle(&mut self) {
        if self.mode != Transaction::Single || !self.connection.in_transaction() {
            return;
        }
        let undo = self
            .failed
            .as_ref()
            .is_some_and(|failed| !self.keeps_on || failure::ends_run(failed));
        let ended = self.command(if undo { "ROLLBACK" } else { "COMMIT" });
        let ended = ended.and_then(|()| {
            if undo || !self.connection.in_transaction() {
                return Ok(());
            }
            let message = "a statement began a transaction within that of the job and left it open, so all changes are rolled back; take its BEGIN out";
            Err(failure::other("transaction_left_open", message))
        });
        match ended {
            Ok(()) if undo => {
                let text = b"the transaction of all statements was rolled back, as `transaction: single` asks\n";
                run_context::write(OutputStream::Stderr, text);
            }
            Ok(()) => {}
            Err(failure) if self.failed.is_none() => {
                let message = format!(
                    "the transaction could not be committed: {}",
                    failure::words(&failure)
                );
                run_context::write(OutputStream::Stderr, format!("{message}\n").as_bytes());
                self.failures += 1;
                self.failed = Some(failure::with_message(failure, &message));
            }
            // The statement's own failure says more.
            Err(_) => {}
        }
    }

    fn execute(&mut self, number: usize, statement: &Statement<'_>) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::default();
        for _ in 0..statement.repeat {
            let prepared = self.connection.prepare(statement.text)?;
            for name in &statement.parameters {
                prepared.bind(name, &self.parameter(name)?)?;
            }
            let cursor = prepared.execute()?;
            outcome.take(&cursor, number, &mut self.output)?;
        }
        Ok(outcome.finish())
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

    /// Keeps where an open transaction of the script began.
    fn follow_transaction(&mut self, number: usize, statement: &Statement<'_>) {
        if self.mode != Transaction::None {
            return;
        }
        let may_change = matches!(
            statement.kind.as_str(),
            "begin" | "start" | "savepoint" | "commit" | "end" | "rollback" | "release"
        );
        // A batch may begin one anywhere.
        let batch = self.dialect == Dialect::SqlServer;
        if may_change || batch || self.begun.is_some() {
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

    fn end(mut self, statements: usize) -> Result<Completion, Failure> {
        self.settle();
        let finished = self.output.finish();
        if self.failed.is_none() {
            self.failed = finished.err();
        }
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
