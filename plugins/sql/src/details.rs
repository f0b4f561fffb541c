//! What is kept of a statement with its step, as a JSON object that stays
//! within what the host keeps. Never shown to people as it is.

use jobcell_plugin_sdk::sql::{Column, Value};
use jobcell_plugin_sdk::types::{Failure, LimitReached};
use serde_json::{Map, Value as Json};

use crate::failure;
use crate::value::{json, line};
use jobcell_sql_text::Statement;

/// All of it, in bytes. The host takes 64 KiB.
const MOST: usize = 60 << 10;
/// Of that, the columns.
const COLUMNS: usize = 16 << 10;

/// Of that, what the server said.
const MESSAGES: usize = 8 << 10;

/// Facts of a failure that count within the statement, not within the query.
const OF_PLACE: &[&str] = &["line", "column", "offset"];

/// The details of one step, or of one of its results.
#[derive(Default)]
pub(crate) struct Details(Map<String, Json>);

impl Details {
    pub(crate) fn of(number: usize, statement: &Statement<'_>) -> Self {
        let mut details = Map::new();
        details.insert("statement".to_owned(), number.into());
        details.insert("line".to_owned(), statement.line.into());
        details.insert("column".to_owned(), statement.column.into());
        details.insert("kind".to_owned(), statement.kind.as_str().into());
        Self(details)
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Json>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Adds a result: its columns and as many of its first rows as fit.
    /// Returns whether anything of these rows was left out.
    pub(crate) fn add_rows(&mut self, columns: &[Column], rows: &[Vec<Value>]) -> bool {
        let mut left = COLUMNS;
        let mut shown = Vec::new();
        for column in columns {
            let column = serde_json::json!({ "name": column.name, "type": column.type_name });
            if !takes(&mut left, &column) {
                break;
            }
            shown.push(column);
        }
        let mut cut = shown.len() < columns.len();
        let mut left = MOST - 1024 - (COLUMNS - left);
        let mut kept = Vec::new();
        for row in rows {
            let mut row_cut = false;
            let row = row.iter().map(|value| {
                let (value, was_cut) = json(value);
                row_cut |= was_cut;
                value
            });
            let row = Json::Array(row.collect());
            if !takes(&mut left, &row) {
                break;
            }
            cut |= row_cut;
            kept.push(row);
        }
        cut |= kept.len() < rows.len();
        self.set("columns", shown);
        self.set("rows", kept);
        cut
    }

    /// Adds the results after the first, without rows where these don't fit.
    pub(crate) fn add_results(&mut self, further: impl Iterator<Item = Self>) {
        let mut left = MOST.saturating_sub(Json::Object(self.0.clone()).to_string().len() + 1024);
        let mut results = Vec::new();
        for result in further {
            let small = result.without_rows();
            let whole = Json::Object(result.0);
            if takes(&mut left, &whole) {
                results.push(whole);
                continue;
            }
            let small = Json::Object(small.0);
            if !takes(&mut left, &small) {
                break;
            }
            results.push(small);
        }
        if !results.is_empty() {
            self.set("furtherResults", results);
        }
    }

    /// Adds what the server said, as far as it fits.
    pub(crate) fn add_messages<'m>(&mut self, messages: impl Iterator<Item = (&'m str, &'m str)>) {
        let mut left =
            MESSAGES.min(MOST.saturating_sub(Json::Object(self.0.clone()).to_string().len()));
        let all = messages.map(|(severity, text)| {
            serde_json::json!({ "severity": severity, "text": line(text, 1_000) })
        });
        let fitting: Vec<Json> = all
            .take_while(|message| takes(&mut left, message))
            .collect();
        if !fitting.is_empty() {
            self.set("messages", fitting);
        }
    }

    pub(crate) fn add_limit(&mut self, limit: &LimitReached) {
        let limit = serde_json::json!({
            "limit": limit.limit, "value": limit.value, "setting": limit.setting,
        });
        self.set("limit", limit);
    }

    /// Adds why the statement failed, with the error's place in the query.
    pub(crate) fn add_error(&mut self, failure: &Failure, place: Option<(u32, u32)>) {
        let mut error = Map::new();
        let message = line(&failure::words(failure), 4_000);
        error.insert("message".to_owned(), message.into());
        if let Some(detail) = failure::detail(failure) {
            error.insert("code".to_owned(), detail.code.as_str().into());
            let facts = detail.attributes.iter().take(16);
            for fact in facts.filter(|fact| !OF_PLACE.contains(&fact.name.as_str())) {
                error.insert(line(&fact.name, 40), line(&fact.value, 200).into());
            }
        }
        if let Some((line, column)) = place {
            error.insert("line".to_owned(), line.into());
            error.insert("column".to_owned(), column.into());
        }
        self.set("error", error);
    }

    /// The same without rows, which can be long.
    pub(crate) fn without_rows(&self) -> Self {
        let mut small = self.0.clone();
        small.remove("furtherResults");
        if small.remove("rows").is_some() {
            small.insert("truncated".to_owned(), true.into());
        }
        Self(small)
    }

    pub(crate) fn into_json(self) -> String {
        Json::Object(self.0).to_string()
    }
}

/// Takes a value's share of what is left; false when it is too large.
fn takes(left: &mut usize, value: &Json) -> bool {
    let size = value.to_string().len() + 1;
    let fits = size <= *left;
    if fits {
        *left -= size;
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::{Column, Details, Statement, Value};

    fn details() -> Details {
        let statement = Statement {
            text: "SELECT 1",
            start: 0,
            line: 3,
            column: 1,
            kind: "select".to_owned(),
            parameters: Vec::new(),
            repeat: 1,
        };
        Details::of(2, &statement)
    }

    #[test]
    fn large_results_stay_within_the_bound() {
        let column = |index: usize| Column {
            name: format!("column {index}"),
            type_name: "TEXT".to_owned(),
        };
        let columns: Vec<_> = (0..2000).map(column).collect();
        let row = || vec![Value::Text("\"\n".repeat(500)); 20];
        let rows: Vec<_> = (0..200).map(|_| row()).collect();
        let mut details = details();
        assert!(details.add_rows(&columns, &rows));
        assert!(details.into_json().len() <= super::MOST);
    }

    #[test]
    fn small_results_are_whole() {
        let columns = [Column {
            name: "x".to_owned(),
            type_name: "INTEGER".to_owned(),
        }];
        let mut details = details();
        assert!(!details.add_rows(&columns, &[vec![Value::Integer(1)], vec![Value::Null]]));
        let expected = r#"{"column":1,"columns":[{"name":"x","type":"INTEGER"}],"kind":"select","line":3,"rows":[[1],[null]],"statement":2}"#;
        assert_eq!(details.into_json(), expected);
    }
}
