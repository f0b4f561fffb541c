//! Values of parameters for `sp_executesql`, each with a type of its own. Never
//! writes a value into a statement.

use bytes::Bytes;
use jobcell_plugin_host::bindings::sql::Value;
use tds_protocol::rpc::{RpcParam, RpcRequest, TypeInfo};

use crate::servers::Statement;

/// The digits that `decimal` can hold.
const MOST_DIGITS: usize = 38;

/// The call that runs a statement with these values.
pub(super) fn call(statement: &Statement, values: &[Value], transaction: u64) -> Bytes {
    let numbered = values.iter().enumerate();
    let parameters = numbered.map(|(index, value)| parameter(&format!("@P{}", index + 1), value));
    RpcRequest::execute_sql(&statement.sent, parameters.collect())
        .encode_with_transaction(transaction)
}

fn parameter(name: &str, value: &Value) -> RpcParam {
    match value {
        Value::Null => RpcParam::null(name, TypeInfo::nvarchar(1)),
        Value::Boolean(value) => RpcParam::new(
            name,
            TypeInfo::bit(),
            Bytes::copy_from_slice(&[(*value).into()]),
        ),
        Value::Integer(value) => RpcParam::bigint(name, *value),
        Value::Real(value) => {
            let bytes = Bytes::copy_from_slice(&value.to_le_bytes());
            RpcParam::new(name, TypeInfo::float(), bytes)
        }
        Value::Decimal(text) => {
            decimal(name, text).unwrap_or_else(|| RpcParam::nvarchar(name, text))
        }
        Value::Text(text) | Value::Temporal(text) | Value::Json(text) => {
            RpcParam::nvarchar(name, text)
        }
        Value::Binary(bytes) => {
            let bytes = Bytes::copy_from_slice(bytes);
            RpcParam::new(name, TypeInfo::varbinary_max(), bytes)
        }
    }
}

/// None for what is no plain number, or has more digits than the type; the
/// server reads such a text itself, or refuses it.
fn decimal(name: &str, text: &str) -> Option<RpcParam> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (0, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let plain = !all.is_empty() && all.bytes().all(|digit| digit.is_ascii_digit());
    if !plain || all.len() > MOST_DIGITS {
        return None;
    }
    let magnitude: u128 = all.parse().ok()?;
    let mut bytes = vec![sign];
    bytes.extend_from_slice(&magnitude.to_le_bytes());
    let scale = u8::try_from(fraction.len()).ok()?;
    Some(RpcParam::new(
        name,
        TypeInfo::decimal(38, scale),
        bytes.into(),
    ))
}
