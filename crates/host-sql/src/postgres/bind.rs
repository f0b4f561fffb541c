//! Values of parameters as text, which the server reads by the type that it
//! found for each. Never writes a value into a statement.

use jobcell_plugin_host::bindings::sql::Value;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

/// One value for one parameter.
#[derive(Debug)]
pub(super) struct Bound<'v>(pub(super) &'v Value);

impl ToSql for Bound<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
        match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Boolean(value) => put(if *value { "true" } else { "false" }),
            Value::Integer(value) => put(&value.to_string()),
            Value::Real(value) => put(&real(*value)),
            Value::Decimal(text)
            | Value::Text(text)
            | Value::Temporal(text)
            | Value::Json(text) => put(text),
            Value::Binary(bytes) => {
                put("\\x");
                for byte in bytes {
                    put(&format!("{byte:02x}"));
                }
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    fn to_sql_checked(
        &self,
        of: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.to_sql(of, out)
    }
}

fn real(value: f64) -> String {
    if value.is_infinite() {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}Infinity");
    }
    format!("{value:?}")
}

/// The type that a value has by itself; none where it takes any.
pub(super) fn own_type(value: &Value) -> Option<Type> {
    match value {
        Value::Boolean(_) => Some(Type::BOOL),
        Value::Integer(_) => Some(Type::INT8),
        Value::Real(_) => Some(Type::FLOAT8),
        Value::Decimal(_) => Some(Type::NUMERIC),
        Value::Binary(_) => Some(Type::BYTEA),
        Value::Json(_) => Some(Type::JSONB),
        Value::Null | Value::Text(_) | Value::Temporal(_) => None,
    }
}
