//! One value in each of its forms: a cell for people, JSON for programs, a
//! parameter from JSON. Never loses a number's digits.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jobcell_plugin_sdk::sql::Value;
use serde_json::Value as Json;

/// The longest text of a cell, in characters.
const CELL: usize = 200;
/// The longest text of a value in a step's details, in characters.
const JSON_TEXT: usize = 2_000;
/// The most bytes of a value there, before they become base64.
const JSON_BYTES: usize = 1_500;
/// The largest integer that every JSON reader takes exactly, and its negative.
const EXACT: i64 = 1 << 53;

/// A value as a cell on one line, and whether it was cut.
pub(crate) fn cell(value: &Value) -> (String, bool) {
    match value {
        Value::Null => ("NULL".to_owned(), false),
        Value::Boolean(value) => (value.to_string(), false),
        Value::Integer(value) => (value.to_string(), false),
        Value::Real(value) => (real(*value), false),
        Value::Decimal(text) | Value::Temporal(text) => (text.clone(), false),
        // Told apart from the absence of a value.
        Value::Text(text) if text.eq_ignore_ascii_case("null") => (format!("'{text}'"), false),
        Value::Text(text) | Value::Json(text) => {
            let (cut, was_cut) = cut(text, CELL);
            (one_line(cut, was_cut), was_cut)
        }
        Value::Binary(bytes) => hex(bytes, CELL / 2),
    }
}

/// Whether a value's cell stands at the right of its column.
pub(crate) const fn is_number(value: &Value) -> bool {
    matches!(
        value,
        Value::Integer(_) | Value::Real(_) | Value::Decimal(_)
    )
}

/// A value as JSON, and whether it was cut.
pub(crate) fn json(value: &Value) -> (Json, bool) {
    json_within(value, JSON_TEXT, JSON_BYTES)
}

/// A value as JSON, however long it is.
pub(crate) fn whole_json(value: &Value) -> Json {
    json_within(value, usize::MAX, usize::MAX).0
}

fn json_within(value: &Value, most_text: usize, most_bytes: usize) -> (Json, bool) {
    match value {
        Value::Null => (Json::Null, false),
        Value::Boolean(value) => (Json::Bool(*value), false),
        Value::Integer(value) if (-EXACT..=EXACT).contains(value) => ((*value).into(), false),
        Value::Integer(value) => (Json::String(value.to_string()), false),
        // JSON has no infinity.
        Value::Real(value) if !value.is_finite() => (Json::String(real(*value)), false),
        Value::Real(value) => ((*value).into(), false),
        Value::Decimal(text) | Value::Temporal(text) => (Json::String(text.clone()), false),
        Value::Text(text) => json_text(text, most_text),
        // One that is too long to be kept whole is kept as its beginning.
        Value::Json(text) if text.len() <= most_text => {
            let parsed = serde_json::from_str(text).ok();
            parsed.map_or_else(|| json_text(text, most_text), |json| (json, false))
        }
        Value::Json(text) => json_text(text, most_text),
        Value::Binary(bytes) => {
            let kept = &bytes[..bytes.len().min(most_bytes)];
            (
                Json::String(STANDARD.encode(kept)),
                kept.len() < bytes.len(),
            )
        }
    }
}

fn json_text(text: &str, most: usize) -> (Json, bool) {
    let (kept, was_cut) = cut(text, most);
    let end = if was_cut { "…" } else { "" };
    (Json::String(format!("{kept}{end}")), was_cut)
}

/// A job's parameter as a value for the database.
pub(crate) fn from_json(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Json::Null) => Value::Null,
        Ok(Json::Bool(value)) => Value::Boolean(value),
        Ok(Json::String(value)) => Value::Text(value),
        Ok(Json::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Value::Integer(value),
            // Wider than 64 bits, or with a fraction that a float holds.
            (None, Some(value)) if !number.is_u64() => Value::Real(value),
            _ => Value::Decimal(number.to_string()),
        },
        Ok(Json::Array(_) | Json::Object(_)) => Value::Json(text.to_owned()),
        // The host sends JSON; anything else is taken as the text it is.
        Err(_) => Value::Text(text.to_owned()),
    }
}

/// A text on one line, at most so many characters of it.
pub(crate) fn line(text: &str, most: usize) -> String {
    let (kept, was_cut) = cut(text, most);
    one_line(kept, was_cut)
}

fn real(value: f64) -> String {
    // Keeps the point, so that a real is not taken for an integer.
    format!("{value:?}")
}

fn cut(text: &str, most: usize) -> (&str, bool) {
    match text.char_indices().nth(most) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}

fn hex(bytes: &[u8], most: usize) -> (String, bool) {
    use std::fmt::Write as _;
    let mut text = String::from("x'");
    for byte in bytes.iter().take(most) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    let was_cut = bytes.len() > most;
    text.push_str(if was_cut { "…'" } else { "'" });
    (text, was_cut)
}

/// Control characters would break the table, or the terminal that shows it.
fn one_line(text: &str, was_cut: bool) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            other if other.is_control() => line.extend(other.escape_unicode()),
            other => line.push(other),
        }
    }
    if was_cut {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{Value, cell, from_json, json};

    #[test]
    fn a_cell_is_one_safe_line() {
        let text = |text: &str| cell(&Value::Text(text.to_owned())).0;
        assert_eq!(text("a\r\n\tb\u{1b}[31m"), "a\\r\\n\\tb\\u{1b}[31m");
        assert_eq!(text("null"), "'null'");
        assert_eq!(text(&"ä".repeat(201)), format!("{}…", "ä".repeat(200)));
        assert_eq!(cell(&Value::Null).0, "NULL");
        assert_eq!(cell(&Value::Real(2.0)).0, "2.0");
        assert_eq!(cell(&Value::Binary(vec![0, 255])).0, "x'00ff'");
        assert!(cell(&Value::Binary(vec![0; 101])).1);
    }

    #[test]
    fn json_keeps_digits() {
        let of = |value| json(&value).0.to_string();
        assert_eq!(of(Value::Integer(1 << 53)), "9007199254740992");
        assert_eq!(of(Value::Integer((1 << 53) + 1)), "\"9007199254740993\"");
        assert_eq!(of(Value::Integer(i64::MIN)), "\"-9223372036854775808\"");
        assert_eq!(of(Value::Decimal("1.10".to_owned())), "\"1.10\"");
        assert_eq!(of(Value::Real(f64::INFINITY)), "\"inf\"");
        assert_eq!(of(Value::Real(0.1)), "0.1");
        let json = "{\"a\":1.10,\"b\":12345678901234567890}";
        assert_eq!(of(Value::Json(json.to_owned())), json);
        assert_eq!(of(Value::Json("{".to_owned())), "\"{\"");
        assert_eq!(of(Value::Binary(vec![0, 255])), "\"AP8=\"");
    }

    #[test]
    fn parameters_keep_their_type() {
        assert!(matches!(from_json("7"), Value::Integer(7)));
        assert!(matches!(from_json("7.5"), Value::Real(number) if number == 7.5));
        assert!(matches!(
            from_json("18446744073709551615"),
            Value::Decimal(_)
        ));
        assert!(matches!(from_json("\"7\""), Value::Text(text) if text == "7"));
        assert!(matches!(from_json("[1]"), Value::Json(text) if text == "[1]"));
        assert!(matches!(from_json("null"), Value::Null));
        assert!(matches!(from_json("true"), Value::Boolean(true)));
    }
}
