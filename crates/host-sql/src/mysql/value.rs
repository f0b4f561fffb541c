//! MySQL's values as ours, from either protocol, and ours as MySQL's.

use jobcell_plugin_host::bindings::sql::{Column, Value};
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column as Described, Row as Received, Value as Sent};

use crate::servers::Row;
use crate::spatial;

/// The character set of what is not text.
const BINARY: u16 = 63;

pub(super) fn columns(described: &[Described]) -> Vec<Column> {
    let column = |column: &Described| Column {
        name: column.name_str().into_owned(),
        type_name: type_name(column),
    };
    described.iter().map(column).collect()
}

pub(super) fn row(row: Received) -> Row {
    let columns = row.columns();
    let values = columns.iter().zip(row.unwrap());
    values
        .map(|(column, value)| value_of(column, value))
        .collect()
}

/// A parameter's value. The server converts text to what it needs.
pub(super) fn sent(value: &Value) -> Sent {
    match value {
        Value::Null => Sent::NULL,
        Value::Boolean(value) => Sent::Int((*value).into()),
        Value::Integer(value) => Sent::Int(*value),
        Value::Real(value) => Sent::Double(*value),
        Value::Decimal(text) | Value::Text(text) | Value::Temporal(text) | Value::Json(text) => {
            Sent::Bytes(text.clone().into_bytes())
        }
        Value::Binary(bytes) => Sent::Bytes(bytes.clone()),
    }
}

fn value_of(column: &Described, value: Sent) -> Value {
    match value {
        Sent::NULL => Value::Null,
        Sent::Int(value) => Value::Integer(value),
        Sent::UInt(value) => unsigned(value),
        // By its shortest decimal form, which is what people wrote.
        Sent::Float(value) => Value::Real(value.to_string().parse().unwrap_or(value.into())),
        Sent::Double(value) => Value::Real(value),
        Sent::Date(year, month, day, hour, minute, second, micros) => {
            let date = format!("{year:04}-{month:02}-{day:02}");
            Value::Temporal(if column.column_type() == ColumnType::MYSQL_TYPE_DATE {
                date
            } else {
                format!(
                    "{date}T{hour:02}:{minute:02}:{second:02}{}",
                    fraction(column, micros)
                )
            })
        }
        Sent::Time(negative, days, hours, minutes, seconds, micros) => {
            let sign = if negative { "-" } else { "" };
            let hours = days * 24 + u32::from(hours);
            let fraction = fraction(column, micros);
            Value::Temporal(format!(
                "{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"
            ))
        }
        Sent::Bytes(bytes) => from_bytes(column, bytes),
    }
}

fn unsigned(value: u64) -> Value {
    i64::try_from(value).map_or_else(|_| Value::Decimal(value.to_string()), Value::Integer)
}

/// As many places as the column has.
fn fraction(column: &Described, micros: u32) -> String {
    match usize::from(column.decimals()) {
        places @ 1..=6 => format!(".{}", &format!("{micros:06}")[..places]),
        _ if micros > 0 => format!(".{micros:06}"),
        _ => String::new(),
    }
}

fn from_bytes(column: &Described, bytes: Vec<u8>) -> Value {
    use ColumnType as T;
    let of = column.column_type();
    if matches!(of, T::MYSQL_TYPE_BIT) {
        return bits(&bytes);
    }
    if matches!(of, T::MYSQL_TYPE_GEOMETRY)
        && let Some(text) = spatial::from_mysql(&bytes)
    {
        return Value::Text(text);
    }
    let is_text = column.character_set() != BINARY || !is_string(of);
    let text = match String::from_utf8(bytes) {
        Ok(text) if is_text => text,
        Ok(text) => return Value::Binary(text.into_bytes()),
        Err(error) => return Value::Binary(error.into_bytes()),
    };
    let number = |text: String| match text.parse() {
        Ok(value) => Value::Integer(value),
        Err(_) => Value::Decimal(text),
    };
    match of {
        T::MYSQL_TYPE_TINY
        | T::MYSQL_TYPE_SHORT
        | T::MYSQL_TYPE_INT24
        | T::MYSQL_TYPE_LONG
        | T::MYSQL_TYPE_LONGLONG
        | T::MYSQL_TYPE_YEAR => number(text),
        T::MYSQL_TYPE_FLOAT | T::MYSQL_TYPE_DOUBLE => {
            text.parse().map_or_else(|_| Value::Text(text), Value::Real)
        }
        T::MYSQL_TYPE_DECIMAL | T::MYSQL_TYPE_NEWDECIMAL => Value::Decimal(text),
        T::MYSQL_TYPE_DATE | T::MYSQL_TYPE_TIME => Value::Temporal(text),
        T::MYSQL_TYPE_DATETIME | T::MYSQL_TYPE_TIMESTAMP => {
            Value::Temporal(text.replacen(' ', "T", 1))
        }
        T::MYSQL_TYPE_JSON => Value::Json(text),
        _ => Value::Text(text),
    }
}

/// Up to 64 bits, the highest first.
fn bits(bytes: &[u8]) -> Value {
    let value = bytes
        .iter()
        .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    unsigned(value)
}

fn is_string(of: ColumnType) -> bool {
    use ColumnType as T;
    matches!(
        of,
        T::MYSQL_TYPE_VARCHAR
            | T::MYSQL_TYPE_VAR_STRING
            | T::MYSQL_TYPE_STRING
            | T::MYSQL_TYPE_TINY_BLOB
            | T::MYSQL_TYPE_MEDIUM_BLOB
            | T::MYSQL_TYPE_LONG_BLOB
            | T::MYSQL_TYPE_BLOB
            | T::MYSQL_TYPE_GEOMETRY
    )
}

/// The word that a table's definition has for it.
fn type_name(column: &Described) -> String {
    use ColumnType as T;
    let binary = column.character_set() == BINARY;
    let flags = column.flags();
    let name = match column.column_type() {
        T::MYSQL_TYPE_TINY => "tinyint",
        T::MYSQL_TYPE_SHORT => "smallint",
        T::MYSQL_TYPE_INT24 => "mediumint",
        T::MYSQL_TYPE_LONG => "int",
        T::MYSQL_TYPE_LONGLONG => "bigint",
        T::MYSQL_TYPE_FLOAT => "float",
        T::MYSQL_TYPE_DOUBLE => "double",
        T::MYSQL_TYPE_DECIMAL | T::MYSQL_TYPE_NEWDECIMAL => "decimal",
        T::MYSQL_TYPE_DATE => "date",
        T::MYSQL_TYPE_TIME => "time",
        T::MYSQL_TYPE_DATETIME => "datetime",
        T::MYSQL_TYPE_TIMESTAMP => "timestamp",
        T::MYSQL_TYPE_YEAR => "year",
        T::MYSQL_TYPE_BIT => "bit",
        T::MYSQL_TYPE_JSON => "json",
        T::MYSQL_TYPE_GEOMETRY => "geometry",
        T::MYSQL_TYPE_NULL => "null",
        T::MYSQL_TYPE_VARCHAR | T::MYSQL_TYPE_VAR_STRING if binary => "varbinary",
        T::MYSQL_TYPE_VARCHAR | T::MYSQL_TYPE_VAR_STRING => "varchar",
        T::MYSQL_TYPE_STRING if flags.contains(ColumnFlags::ENUM_FLAG) => "enum",
        T::MYSQL_TYPE_STRING if flags.contains(ColumnFlags::SET_FLAG) => "set",
        T::MYSQL_TYPE_STRING if binary => "binary",
        T::MYSQL_TYPE_STRING => "char",
        _ if binary => "blob",
        _ => "text",
    };
    if flags.contains(ColumnFlags::UNSIGNED_FLAG) && name.ends_with("int") {
        return format!("{name} unsigned");
    }
    name.to_owned()
}
