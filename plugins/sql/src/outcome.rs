//! What came of one statement: its results and the server's messages, taken
//! from a cursor and shown to people and programs. Never runs anything.

use jobcell_plugin_sdk::sql::{Column, Cursor, Message, Summary, Value};
use jobcell_plugin_sdk::types::{Failure, LimitReached};

use crate::details::Details;
use crate::output::Output;
use crate::{table, value};

/// Rows of one result that the output shows.
const SHOWN: usize = 200;
/// Rows asked for at a time.
const PAGE: u32 = 1_000;
/// Results of one statement that are shown.
const RESULTS: usize = 20;
/// Messages of one statement that are shown, and the bytes of their texts.
const MESSAGES: usize = 1_001;
const MESSAGE_BYTES: usize = 512 << 10;

/// What came of one statement, however often it was carried out.
#[derive(Default)]
pub(crate) struct Outcome {
    results: Vec<Found>,
    messages: Vec<Message>,
    /// Bytes of the messages.
    bytes: usize,
    /// Results and messages that are not shown.
    more: u64,
    unsaid: u64,
}

/// One result.
struct Found {
    columns: Vec<Column>,
    /// The first rows.
    rows: Vec<Vec<Value>>,
    summary: Summary,
    /// The host's cap that cut the result.
    limit: Option<LimitReached>,
}

impl Outcome {
    /// Adds all results of a cursor, to its end.
    pub(crate) fn take(
        &mut self,
        cursor: &Cursor,
        number: usize,
        output: &mut Output,
    ) -> Result<(), Failure> {
        loop {
            let found = take_result(cursor, number, output)?;
            if self.results.len() < RESULTS {
                self.results.push(found);
            } else {
                self.more += 1;
            }
            if !cursor.next_result()? {
                break;
            }
        }
        for message in cursor.messages() {
            self.bytes += message.text.len();
            if self.messages.len() < MESSAGES && self.bytes < MESSAGE_BYTES {
                self.messages.push(message);
            } else {
                self.unsaid += 1;
            }
        }
        Ok(())
    }

    /// Says what is not shown of what was taken.
    pub(crate) fn finish(mut self) -> Self {
        let left_out = [(self.more, "results"), (self.unsaid, "messages")];
        for (count, what) in left_out.into_iter().filter(|(count, _)| *count > 0) {
            self.messages.push(Message {
                severity: "warning".to_owned(),
                text: format!("{count} more {what} are not shown"),
            });
        }
        self
    }

    /// The statement's part of what people read; without rows where those are
    /// for programs.
    pub(crate) fn text(&self, heading: Option<&str>, ms: f64, rows: bool) -> String {
        let mut text = String::new();
        if let Some(heading) = heading {
            text.push_str(heading);
            text.push('\n');
        }
        for message in &self.messages {
            let words = value::line(&message.text, 4_000);
            text.push_str(&format!("{}: {words}\n", message.severity));
        }
        for found in &self.results {
            found.write(&mut text, ms, rows);
        }
        text
    }

    pub(crate) fn describe(&self, details: &mut Details) {
        if let Some(first) = self.results.first() {
            first.describe(details);
        }
        let further = self.results.iter().skip(1).map(|found| {
            let mut details = Details::default();
            found.describe(&mut details);
            details
        });
        details.add_results(further);
        let messages = self.messages.iter();
        details.add_messages(
            messages.map(|message| (message.severity.as_str(), message.text.as_str())),
        );
    }
}

/// The present result of a cursor, to its end; each page is written as it comes.
fn take_result(cursor: &Cursor, number: usize, output: &mut Output) -> Result<Found, Failure> {
    let columns = cursor.columns();
    output.begin(number, &columns);
    let mut rows = Vec::new();
    let limit = loop {
        match cursor.next_page(PAGE) {
            Ok(page) => {
                output.rows(&page.rows);
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
    let summary = cursor.summary();
    output.end(&summary, limit.is_some());
    Ok(Found {
        columns,
        rows,
        summary,
        limit,
    })
}

impl Found {
    fn write(&self, text: &mut String, ms: f64, rows: bool) {
        if rows && !self.columns.is_empty() {
            text.push_str(&table::render(&self.columns, &self.rows));
            let more = self.summary.returned.saturating_sub(self.rows.len() as u64);
            if more > 0 {
                text.push_str(&format!("… and {}\n", count(more, "more row")));
            }
        }
        if let Some(limit) = &self.limit {
            let LimitReached { value, setting, .. } = limit;
            let of = self.summary.total.map(|total| format!(" of {total} rows"));
            let of = of.unwrap_or_default();
            text.push_str(&format!(
                "the result was cut at {value}{of}; raise {setting} to get more\n"
            ));
        }
        let what = match self.summary.affected {
            Some(affected) => format!("{} affected", count(affected, "row")),
            None if self.columns.is_empty() => "ok".to_owned(),
            None => count(self.summary.returned, "row"),
        };
        text.push_str(&format!("({what}, {ms:.1} ms)\n"));
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
            details.set("totalRows", self.summary.total);
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
