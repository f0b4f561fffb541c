//! Values as PostgreSQL writes them in text. What no case here knows stays the
//! text that the server wrote.

use chrono::DateTime;
use jobcell_plugin_host::bindings::sql::Value;
use serde_json::Value as Json;
use tokio_postgres::SimpleQueryRow;
use tokio_postgres::types::{Kind, Type};

use super::binary::is_spatial;
use crate::json::of_value;
use crate::servers::Row;
use crate::spatial::from_postgis;

/// One row by the types of its columns.
pub(super) fn row(row: &SimpleQueryRow, types: &[Type]) -> Row {
    let value = |index| match row.get(index) {
        Some(text) => value(types.get(index).unwrap_or(&Type::TEXT), text),
        None => Value::Null,
    };
    (0..row.len()).map(value).collect()
}

fn value(of: &Type, text: &str) -> Value {
    let known = match *of {
        Type::BOOL => Some(Value::Boolean(text == "t")),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => text.parse().ok().map(Value::Integer),
        Type::FLOAT4 | Type::FLOAT8 => text.parse().ok().map(Value::Real),
        Type::NUMERIC => Some(Value::Decimal(text.to_owned())),
        Type::BYTEA => bytes(text).map(Value::Binary),
        Type::JSON | Type::JSONB => Some(Value::Json(text.to_owned())),
        Type::DATE | Type::TIME => Some(Value::Temporal(text.to_owned())),
        Type::TIMETZ => Some(Value::Temporal(whole_offset(text))),
        Type::TIMESTAMP => Some(Value::Temporal(iso(text))),
        Type::TIMESTAMPTZ => Some(Value::Temporal(utc(text))),
        _ if is_spatial(of) => digits(text)
            .and_then(|bytes| from_postgis(&bytes))
            .map(Value::Text),
        _ => match of.kind() {
            Kind::Array(element) => array(element, text),
            _ => None,
        },
    };
    known.unwrap_or_else(|| Value::Text(text.to_owned()))
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    digits(text.strip_prefix("\\x")?)
}

/// Bytes written as two digits each.
fn digits(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// With a `T`, but for what ISO 8601 has no form for.
fn iso(text: &str) -> String {
    if text.ends_with(" BC") {
        return text.to_owned();
    }
    text.replacen(' ', "T", 1)
}

/// An instant in UTC.
fn utc(text: &str) -> String {
    match DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z") {
        Ok(at) => super::binary::instant(at.timestamp_micros()),
        // Years of five digits, before Christ, offsets with seconds, infinity.
        Err(_) => iso(text),
    }
}

/// `10:00:00+02` with the minutes of its offset.
fn whole_offset(text: &str) -> String {
    match text.rfind(['+', '-']) {
        Some(sign) if text.len() - sign == 3 => format!("{text}:00"),
        _ => text.to_owned(),
    }
}

/// An array as JSON.
fn array(element: &Type, text: &str) -> Option<Value> {
    // Where it does not count from 1, its bounds stand before it.
    let start = text.find('{')?;
    let mut reader = Array {
        element,
        between: between(element),
        rest: &text[start..],
    };
    let json = reader.list()?;
    reader
        .rest
        .is_empty()
        .then(|| Value::Json(json.to_string()))
}

/// What stands between the elements of an array of these.
fn between(element: &Type) -> char {
    match element.kind() {
        Kind::Domain(base) => between(base),
        _ if *element == Type::BOX => ';',
        _ if is_spatial(element) => ':',
        _ => ',',
    }
}

struct Array<'t> {
    element: &'t Type,
    between: char,
    rest: &'t str,
}

impl Array<'_> {
    fn take(&mut self, character: char) -> bool {
        let rest = self.rest.strip_prefix(character);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// PostgreSQL nests at most six lists.
    fn list(&mut self) -> Option<Json> {
        if !self.take('{') {
            return None;
        }
        let mut items = Vec::new();
        while !self.take('}') {
            if !items.is_empty() && !self.take(self.between) {
                return None;
            }
            items.push(self.item()?);
        }
        Some(Json::Array(items))
    }

    fn item(&mut self) -> Option<Json> {
        if self.rest.starts_with('{') {
            return self.list();
        }
        if self.take('"') {
            let text = self.quoted()?;
            return Some(of_value(&value(self.element, &text)));
        }
        let end = self.rest.find([self.between, '}'])?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(if text == "NULL" {
            Json::Null
        } else {
            of_value(&value(self.element, text))
        })
    }

    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                '\\' => text.push(characters.next()?.1),
                other => text.push(other),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Type, Value, value};

    fn shown(of: &Type, text: &str) -> String {
        format!("{:?}", value(of, text))
    }

    #[test]
    fn instants_are_in_utc() {
        let at = |text| shown(&Type::TIMESTAMPTZ, text);
        assert_eq!(
            at("2024-02-29 10:00:00.5+02"),
            "Value::Temporal(\"2024-02-29T08:00:00.5Z\")"
        );
        assert_eq!(
            at("2024-02-29 10:00:00+05:30"),
            "Value::Temporal(\"2024-02-29T04:30:00Z\")"
        );
        assert_eq!(at("infinity"), "Value::Temporal(\"infinity\")");
        assert_eq!(
            at("0044-03-15 10:00:00+00 BC"),
            "Value::Temporal(\"0044-03-15 10:00:00+00 BC\")"
        );
    }

    #[test]
    fn arrays_become_json() {
        let array = |of: &Type, text| match value(of, text) {
            Value::Json(json) => json,
            other => format!("{other:?}"),
        };
        assert_eq!(array(&Type::INT4_ARRAY, "{1,NULL,3}"), "[1,null,3]");
        assert_eq!(
            array(&Type::INT8_ARRAY, "{9007199254740993}"),
            "[\"9007199254740993\"]"
        );
        assert_eq!(
            array(&Type::TEXT_ARRAY, r#"{a,"b \"c\", }","NULL",""}"#),
            r#"["a","b \"c\", }","NULL",""]"#
        );
        assert_eq!(array(&Type::INT4_ARRAY, "{{1,2},{3,4}}"), "[[1,2],[3,4]]");
        assert_eq!(array(&Type::INT4_ARRAY, "[0:1]={1,2}"), "[1,2]");
        assert_eq!(array(&Type::BOOL_ARRAY, "{t,f}"), "[true,false]");
        assert_eq!(array(&Type::INT4_ARRAY, "{}"), "[]");
        assert_eq!(
            array(&Type::BOX_ARRAY, "{(1,1),(0,0);(2,2),(0,0)}"),
            r#"["(1,1),(0,0)","(2,2),(0,0)"]"#
        );
        assert_eq!(array(&Type::INT4_ARRAY, "{1"), "Value::Text(\"{1\")");
    }
}
