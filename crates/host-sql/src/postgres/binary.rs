//! Values as PostgreSQL sends them in binary, for statements with parameters.
//! They come out as the text protocol's do. A type that is not known here is
//! refused before the statement runs: its bytes would tell nobody anything.

use std::error::Error;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Timelike};
use fallible_iterator::FallibleIterator;
use jobcell_plugin_host::bindings::sql::Value;
use postgres_protocol::types as protocol;
use serde_json::Value as Json;
use tokio_postgres::types::{FromSql, Kind, Type};

use crate::error::{Facts, SqlError};
use crate::json::of_value;
use crate::servers::Row;
use crate::spatial::from_postgis;

type Unreadable = Box<dyn Error + Sync + Send>;

/// A column's type can't be read here.
const UNSUPPORTED: &str = "unsupported_type";
/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
const EPOCH: i64 = 946_684_800_000_000;

/// Whether values of this column can be read.
pub(super) fn check(column: &str, of: &Type) -> Result<(), SqlError> {
    if is_known(of) {
        return Ok(());
    }
    Err(SqlError::Server {
        code: UNSUPPORTED,
        message: format!(
            "the column `{column}` is of the type `{of}`, which a statement with parameters can't return; cast it: `{column}::text`"
        ),
        facts: Facts::new(),
        position: None,
    })
}

pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row, SqlError> {
    let value = |index| {
        let Decoded(value) =
            row.try_get::<_, Decoded>(index)
                .map_err(|error| SqlError::Server {
                    code: UNSUPPORTED,
                    message: error.to_string(),
                    facts: Facts::new(),
                    position: None,
                })?;
        Ok(value)
    };
    (0..row.len()).map(value).collect()
}

/// An instant by its microseconds since the Unix epoch, in UTC.
pub(super) fn instant(micros: i64) -> String {
    match DateTime::from_timestamp_micros(micros) {
        Some(at) => format!("{}Z", date_and_time(at.naive_utc())),
        None => format!("{micros} µs after 1970-01-01T00:00:00Z"),
    }
}

fn is_known(of: &Type) -> bool {
    match *of {
        Type::BOOL
        | Type::INT2
        | Type::INT4
        | Type::INT8
        | Type::OID
        | Type::FLOAT4
        | Type::FLOAT8
        | Type::NUMERIC
        | Type::BYTEA
        | Type::JSON
        | Type::JSONB
        | Type::UUID
        | Type::DATE
        | Type::TIME
        | Type::TIMETZ
        | Type::TIMESTAMP
        | Type::TIMESTAMPTZ
        | Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::XML
        | Type::UNKNOWN
        | Type::VOID => true,
        _ => match of.kind() {
            Kind::Array(element) | Kind::Domain(element) => is_known(element),
            Kind::Enum(_) => true,
            _ => of.name() == "citext" || is_spatial(of),
        },
    }
}

/// Whether it is one of PostGIS's types that hold geometries. An extension's types
/// have other numbers in each database, but the same names.
pub(super) fn is_spatial(of: &Type) -> bool {
    matches!(of.kind(), Kind::Simple) && matches!(of.name(), "geography" | "geometry")
}

struct Decoded(Value);

impl FromSql<'_> for Decoded {
    fn from_sql(of: &Type, raw: &[u8]) -> Result<Self, Unreadable> {
        value(of, raw).map(Self)
    }

    fn from_sql_null(_: &Type) -> Result<Self, Unreadable> {
        Ok(Self(Value::Null))
    }

    fn accepts(of: &Type) -> bool {
        is_known(of)
    }
}

fn value(of: &Type, raw: &[u8]) -> Result<Value, Unreadable> {
    Ok(match *of {
        Type::BOOL => Value::Boolean(protocol::bool_from_sql(raw)?),
        Type::INT2 => Value::Integer(protocol::int2_from_sql(raw)?.into()),
        Type::INT4 => Value::Integer(protocol::int4_from_sql(raw)?.into()),
        Type::INT8 => Value::Integer(protocol::int8_from_sql(raw)?),
        Type::OID => Value::Integer(protocol::oid_from_sql(raw)?.into()),
        // By its shortest decimal form, which is what people wrote.
        Type::FLOAT4 => Value::Real(protocol::float4_from_sql(raw)?.to_string().parse()?),
        Type::FLOAT8 => Value::Real(protocol::float8_from_sql(raw)?),
        Type::NUMERIC => Value::Decimal(numeric(raw).ok_or("a number is cut off")?),
        Type::BYTEA => Value::Binary(raw.to_vec()),
        Type::JSON => Value::Json(text(raw)?),
        // After the version of its format.
        Type::JSONB => Value::Json(text(raw.get(1..).unwrap_or_default())?),
        Type::UUID => Value::Text(uuid(protocol::uuid_from_sql(raw)?)),
        Type::DATE => Value::Temporal(date(protocol::date_from_sql(raw)?)),
        Type::TIME => Value::Temporal(time(protocol::time_from_sql(raw)?)),
        Type::TIMETZ => Value::Temporal(time_with_zone(raw)?),
        Type::TIMESTAMP => Value::Temporal(timestamp(protocol::timestamp_from_sql(raw)?)),
        Type::TIMESTAMPTZ => Value::Temporal(timestamptz(protocol::timestamp_from_sql(raw)?)),
        _ => match of.kind() {
            Kind::Array(element) => Value::Json(array(element, raw)?.to_string()),
            Kind::Domain(base) => return value(base, raw),
            _ if is_spatial(of) => Value::Text(from_postgis(raw).unwrap_or_else(|| hex(raw))),
            _ => Value::Text(text(raw)?),
        },
    })
}

fn text(raw: &[u8]) -> Result<String, Unreadable> {
    Ok(std::str::from_utf8(raw)?.to_owned())
}

/// As PostGIS writes what it holds.
fn hex(raw: &[u8]) -> String {
    raw.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn uuid(bytes: [u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

/// Days since 2000-01-01. The ends of the range stand for infinity.
fn date(days: i32) -> String {
    if let Some(infinite) = infinite(days == i32::MAX, days == i32::MIN) {
        return infinite;
    }
    let epoch = NaiveDate::from_ymd_opt(2000, 1, 1);
    let date = epoch.and_then(|epoch| epoch.checked_add_signed(TimeDelta::days(days.into())));
    date.map_or_else(
        || format!("{days} days after 2000-01-01"),
        |date| format!("{}{}", day(date), era(date)),
    )
}

fn infinite(positive: bool, negative: bool) -> Option<String> {
    match (positive, negative) {
        (true, _) => Some("infinity".to_owned()),
        (_, true) => Some("-infinity".to_owned()),
        _ => None,
    }
}

fn day(date: NaiveDate) -> String {
    let year = if date.year() > 0 {
        date.year()
    } else {
        1 - date.year()
    };
    format!("{year:04}-{:02}-{:02}", date.month(), date.day())
}

fn era(date: NaiveDate) -> &'static str {
    if date.year() > 0 { "" } else { " BC" }
}

fn timestamp(micros: i64) -> String {
    if let Some(infinite) = infinite(micros == i64::MAX, micros == i64::MIN) {
        return infinite;
    }
    let at = micros
        .checked_add(EPOCH)
        .and_then(DateTime::from_timestamp_micros);
    at.map_or_else(
        || format!("{micros} µs after 2000-01-01T00:00:00"),
        |at| date_and_time(at.naive_utc()),
    )
}

fn timestamptz(micros: i64) -> String {
    match infinite(micros == i64::MAX, micros == i64::MIN) {
        Some(infinite) => infinite,
        None => instant(micros.saturating_add(EPOCH)),
    }
}

fn date_and_time(at: NaiveDateTime) -> String {
    let since_midnight =
        i64::from(at.num_seconds_from_midnight()) * 1_000_000 + i64::from(at.nanosecond() / 1_000);
    let between = if at.year() > 0 { 'T' } else { ' ' };
    let (day, era) = (day(at.date()), era(at.date()));
    format!("{day}{between}{}{era}", time(since_midnight))
}

/// Microseconds since midnight, without zeros at the end.
fn time(micros: i64) -> String {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let whole = format!("{hours:02}:{minutes:02}:{seconds:02}");
    if micros == 0 {
        return whole;
    }
    let fraction = format!("{micros:06}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// Microseconds, then the seconds west of Greenwich.
fn time_with_zone(raw: &[u8]) -> Result<String, Unreadable> {
    let (at, zone) = raw.split_at_checked(8).ok_or("a time is cut off")?;
    let at = protocol::time_from_sql(at)?;
    let east = -protocol::int4_from_sql(zone)?;
    let sign = if east < 0 { '-' } else { '+' };
    let (hours, minutes) = (east.abs() / 3600, east.abs() / 60 % 60);
    Ok(format!("{}{sign}{hours:02}:{minutes:02}", time(at)))
}

/// Base 10,000: how many digits, the weight of the first, sign, decimal places.
fn numeric(raw: &[u8]) -> Option<String> {
    let word = |index: usize| {
        let bytes = raw.get(2 * index..2 * index + 2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    let (count, weight) = (usize::from(word(0)?), i32::from(word(1)?.cast_signed()));
    let (sign, places) = (word(2)?, usize::from(word(3)?));
    let sign = match sign {
        0 => "",
        0x4000 => "-",
        0xd000 => return Some("Infinity".to_owned()),
        0xf000 => return Some("-Infinity".to_owned()),
        _ => return Some("NaN".to_owned()),
    };
    // The digit at 10,000 to the power of `at`.
    let digit = |at: i32| match usize::try_from(weight - at) {
        Ok(index) if index < count => word(4 + index),
        _ => Some(0),
    };
    let mut text = digit(weight.max(0))?.to_string();
    for at in (0..weight).rev() {
        text.push_str(&format!("{:04}", digit(at)?));
    }
    if places > 0 {
        let mut fraction = String::new();
        let mut at = -1;
        while fraction.len() < places {
            fraction.push_str(&format!("{:04}", digit(at)?));
            at -= 1;
        }
        text = format!("{text}.{}", &fraction[..places]);
    }
    Some(format!("{sign}{text}"))
}

fn array(element: &Type, raw: &[u8]) -> Result<Json, Unreadable> {
    let array = protocol::array_from_sql(raw)?;
    let lengths: Vec<usize> = array
        .dimensions()
        .map(|dimension| Ok(usize::try_from(dimension.len)?))
        .collect()?;
    let mut items: Vec<Json> = array
        .values()
        .map(|raw| match raw {
            Some(raw) => Ok(of_value(&value(element, raw)?)),
            None => Ok(Json::Null),
        })
        .collect()?;
    // The innermost lists first.
    for length in lengths.iter().skip(1).rev() {
        items = items
            .chunks((*length).max(1))
            .map(|list| Json::Array(list.to_vec()))
            .collect();
    }
    Ok(Json::Array(items))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::{date, instant, numeric, time, timestamp};

    fn of(words: &[u16]) -> String {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        numeric(&bytes).unwrap()
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(of(&[0, 0, 0, 2]), "0.00");
        assert_eq!(of(&[2, 0, 0, 2, 1, 5000]), "1.50");
        assert_eq!(of(&[1, 0xffff, 0x4000, 3, 100]), "-0.010");
        assert_eq!(of(&[1, 2, 0, 0, 12]), "1200000000");
        assert_eq!(of(&[1, 0xfffe, 0, 8, 1]), "0.00000001");
        assert_eq!(of(&[0, 0, 0xc000, 0]), "NaN");
    }

    #[test]
    fn days_and_times_are_iso_8601() {
        assert_eq!(date(0), "2000-01-01");
        assert_eq!(date(i32::MAX), "infinity");
        assert_eq!(date(-746_500), "0045-02-26 BC");
        assert_eq!(time(36_000_500_000), "10:00:00.5");
        assert_eq!(timestamp(0), "2000-01-01T00:00:00");
        assert_eq!(instant(0), "1970-01-01T00:00:00Z");
    }
}
