//! Columns of a row: by name in any casing, with the kinds of values that
//! databases and dumps use for the same thing. Never knows what a column is for.

pub(crate) use jobcell_model::{is_plain, shown_up_to as shown};
use serde_json::{Map, Value};

/// A row, as its columns are looked up.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Columns<'a> {
    /// The first of these columns that the row has, be it NULL. A column with a
    /// value goes before one that is NULL.
    pub(crate) fn find(self, names: &[&str]) -> Option<&'a Value> {
        let found = names
            .iter()
            .flat_map(|name| {
                let exact = self.0.get(*name);
                let others = self.0.iter().filter(|(key, _)| key.as_str() != *name);
                let others = others.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
                exact.into_iter().chain(others.map(|(_, value)| value))
            })
            .collect::<Vec<_>>();
        let full = found.iter().find(|value| !value.is_null());
        full.or(found.first()).copied()
    }

    /// A column as text; none when it is NULL or not there.
    pub(crate) fn text(self, names: &[&str]) -> Option<String> {
        self.find(names).and_then(text_of)
    }

    /// The same, where blank text is as good as none.
    pub(crate) fn filled(self, names: &[&str]) -> Option<String> {
        self.text(names).filter(|text| !text.trim().is_empty())
    }
}

/// A value as text; none for nothing.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// What databases and dumps write for true and false.
pub(crate) fn truth_of(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => match number.as_f64() {
            Some(0.0) => Some(false),
            Some(1.0) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "1" | "true" | "t" | "yes" | "y" | "on" => Some(true),
            "0" | "false" | "f" | "no" | "n" | "off" => Some(false),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number, or text that is one. Never infinite.
pub(crate) fn number_of(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse::<f64>().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// Whether a value says nothing: NULL, blank text, an empty list or mapping.
pub(crate) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        // JSON Schema's `\S` takes a byte order mark for a blank.
        Value::String(text) => text.trim_matches(blank).is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn blank(one: char) -> bool {
    one.is_whitespace() || one == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_columns_in_any_casing_and_values_before_nulls() {
        let row = json!({ "JOB_ID": "a", "name": null, "NAME": "n", "Enabled": 1 });
        let row = row.as_object().cloned().unwrap_or_default();
        let columns = Columns(&row);
        assert_eq!(columns.text(&["job_id"]).as_deref(), Some("a"));
        assert_eq!(columns.text(&["name"]).as_deref(), Some("n"));
        assert_eq!(columns.find(&["enabled"]), Some(&json!(1)));
        assert_eq!(columns.find(&["other"]), None);
    }

    #[test]
    fn reads_truth_as_databases_write_it() {
        for yes in [
            json!(true),
            json!(1),
            json!("1"),
            json!(" True "),
            json!("yes"),
        ] {
            assert_eq!(truth_of(&yes), Some(true), "{yes}");
        }
        for no in [json!(false), json!(0), json!("FALSE"), json!("0")] {
            assert_eq!(truth_of(&no), Some(false), "{no}");
        }
        for neither in [json!(null), json!(2), json!("maybe"), json!([])] {
            assert_eq!(truth_of(&neither), None, "{neither}");
        }
    }
}
