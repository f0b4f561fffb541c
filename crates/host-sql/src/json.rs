//! A value as JSON, for what lies inside of one JSON value: the elements of an
//! array. Never loses a digit.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jobcell_plugin_host::bindings::sql::Value;
use serde_json::Value as Json;

/// The largest integer that every JSON reader takes exactly, and its negative.
const EXACT: i64 = 1 << 53;

pub(crate) fn of_value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => Json::Bool(*value),
        Value::Integer(value) if (-EXACT..=EXACT).contains(value) => (*value).into(),
        Value::Integer(value) => value.to_string().into(),
        // JSON has no infinity.
        Value::Real(value) if value.is_finite() => (*value).into(),
        Value::Real(value) => value.to_string().into(),
        Value::Decimal(text) | Value::Text(text) | Value::Temporal(text) => text.as_str().into(),
        Value::Binary(bytes) => STANDARD.encode(bytes).into(),
        Value::Json(text) => {
            serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.clone()))
        }
    }
}
