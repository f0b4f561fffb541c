//! Results for programs, as they come: one JSON document, or CSV by RFC 4180.
//! Never holds more than a page of a result.

use jobcell_plugin_sdk::sql::{Column, Summary, Value};
use serde::Deserialize;
use serde_json::json;

use crate::value;

/// How results are written to a run's output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// Tables for people, with headings and counts.
    #[default]
    Table,
    /// `{"results": [{"statement", "columns", "rows", "rowCount", …}, …]}`.
    Json,
    /// A line of names, then a line a row; an empty line between results.
    /// NULL is nothing, an empty text `""`.
    Csv,
}

/// Turns results into text, piece by piece.
pub(crate) struct Writer {
    format: Format,
    /// Results so far.
    results: u64,
    /// Rows of the present one; none between results.
    rows: Option<u64>,
}

impl Format {
    /// What a file of it is (RFC 8259, RFC 4180).
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Table => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

impl Writer {
    pub(crate) const fn new(format: Format) -> Self {
        Self {
            format,
            results: 0,
            rows: None,
        }
    }

    /// Whether nothing but results may be on standard output.
    pub(crate) fn is_for_programs(&self) -> bool {
        self.format != Format::Table
    }

    pub(crate) fn start(&self) -> &'static str {
        if self.format == Format::Json {
            "{\"results\":["
        } else {
            ""
        }
    }

    /// A result of a statement begins.
    pub(crate) fn begin(&mut self, statement: usize, columns: &[Column]) -> String {
        self.rows = Some(0);
        let first = self.results == 0;
        match self.format {
            Format::Table => String::new(),
            Format::Json => {
                self.results += 1;
                let columns: Vec<_> = columns
                    .iter()
                    .map(|column| json!({ "name": column.name, "type": column.type_name }))
                    .collect();
                let comma = if first { "\n" } else { ",\n" };
                format!(
                    "{comma}{{\"statement\":{statement},\"columns\":{},\"rows\":[",
                    json!(columns)
                )
            }
            Format::Csv if columns.is_empty() => String::new(),
            Format::Csv => {
                self.results += 1;
                let parted = if first { "" } else { "\r\n" };
                let names = columns.iter().map(|column| quoted(&column.name));
                format!("{parted}{}\r\n", names.collect::<Vec<_>>().join(","))
            }
        }
    }

    pub(crate) fn rows(&mut self, rows: &[Vec<Value>]) -> String {
        let mut text = String::new();
        for row in rows {
            match self.format {
                Format::Table => {}
                Format::Json => {
                    let comma = if self.rows == Some(0) { "\n" } else { ",\n" };
                    let row: Vec<_> = row.iter().map(value::whole_json).collect();
                    text.push_str(&format!("{comma}{}", json!(row)));
                }
                Format::Csv => {
                    let row = row.iter().map(field).collect::<Vec<_>>();
                    text.push_str(&format!("{}\r\n", row.join(",")));
                }
            }
            self.rows = self.rows.map(|rows| rows + 1);
        }
        text
    }

    /// The present result has ended.
    pub(crate) fn end(&mut self, summary: &Summary, cut: bool) -> String {
        self.rows = None;
        if self.format != Format::Json {
            return String::new();
        }
        let (rows, affected) = (summary.returned, json!(summary.affected));
        let total = summary.total.filter(|_| cut);
        let total = total.map_or_else(String::new, |total| format!(",\"totalRows\":{total}"));
        format!("],\"rowCount\":{rows}{total},\"affectedRows\":{affected},\"truncated\":{cut}}}")
    }

    /// The statement failed, maybe within a result.
    pub(crate) fn fail(&mut self) -> &'static str {
        let open = self.rows.take().is_some() && self.format == Format::Json;
        if open { "],\"failed\":true}" } else { "" }
    }

    pub(crate) fn finish(&self) -> &'static str {
        if self.format == Format::Json {
            "\n]}\n"
        } else {
            ""
        }
    }
}

fn field(value: &Value) -> String {
    match value::whole_json(value) {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => quoted(&text),
        other => quoted(&other.to_string()),
    }
}

fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && !text.contains(['"', ',', '\r', '\n'])
        && text.trim().len() == text.len();
    if plain {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::{Format, Writer};
    use jobcell_plugin_sdk::sql::{Column, Summary, Value};

    fn written(format: Format, fails: bool) -> String {
        let mut writer = Writer::new(format);
        let columns = ["id", "a \"name\""].map(|name| Column {
            name: name.to_owned(),
            type_name: "t".to_owned(),
        });
        let summary = |returned, affected| Summary {
            returned,
            affected,
            total: Some(9),
        };
        let rows = [
            vec![Value::Integer(1 << 60), Value::Text("a,\"b\"\n".to_owned())],
            vec![Value::Null, Value::Text(String::new())],
            vec![Value::Boolean(true), Value::Json("{\"x\":1.50}".to_owned())],
            vec![Value::Binary(vec![0]), Value::Text("x".repeat(5_000))],
        ];
        let mut text = writer.start().to_owned();
        text += &writer.begin(1, &[]);
        text += &writer.end(&summary(0, Some(3)), false);
        text += &writer.begin(2, &columns);
        text += &writer.rows(&rows[..1]);
        text += &writer.rows(&rows[1..]);
        if fails {
            text += writer.fail();
        } else {
            text += &writer.end(&summary(4, None), true);
            text += &writer.begin(3, &columns);
            text += &writer.end(&summary(0, None), false);
        }
        text + writer.finish()
    }

    #[test]
    fn json_is_one_document_whatever_fails() {
        let parse =
            |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("it is JSON");
        let whole = parse(&written(Format::Json, false));
        assert_eq!(whole["results"][0]["affectedRows"], 3);
        let second = &whole["results"][1];
        assert_eq!(second["rows"][0][0], "1152921504606846976");
        assert_eq!(second["rows"][1], serde_json::json!([null, ""]));
        assert_eq!(second["rows"][2][1]["x"].to_string(), "1.50");
        assert_eq!(second["rows"][3][1].as_str().map(str::len), Some(5_000));
        assert_eq!(
            (&second["rowCount"], &second["truncated"]),
            (&4.into(), &true.into())
        );
        assert_eq!(whole["results"][2]["rows"], serde_json::json!([]));
        let failed = parse(&written(Format::Json, true));
        assert_eq!(failed["results"][1]["failed"], true);
    }

    #[test]
    fn csv_is_by_rfc_4180() {
        let text = written(Format::Csv, false);
        let expected = format!(
            "id,\"a \"\"name\"\"\"\r\n1152921504606846976,\"a,\"\"b\"\"\n\"\r\n,\"\"\r\ntrue,\"{{\"\"x\"\":1.50}}\"\r\nAA==,{}\r\n\r\nid,\"a \"\"name\"\"\"\r\n",
            "x".repeat(5_000)
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_table_is_not_written_here() {
        assert_eq!(written(Format::Table, false), "");
    }
}
