//! SQL Server's values as ours (MS-TDS 2.2.5.5). Nothing is rounded: what no
//! number of ours holds comes as its digits.

use std::fmt::Write;

use bytes::Buf;
use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, TimeDelta};
use encoding_rs::{UTF_8, WINDOWS_1252};
use jobcell_plugin_host::bindings::sql::Value;
use tds_protocol::token::{Collation, TypeInfo};
use tds_protocol::types::TypeId;

use super::row::Nonsense;
use super::types::Column;
use crate::spatial::{self, Kind};

/// The value that these bytes are in this column.
pub(super) fn of(column: &Column, bytes: &[u8]) -> Result<Value, Nonsense> {
    if let Some(text) = column.clr.as_deref().and_then(|of| told(of, bytes)) {
        return Ok(Value::Text(text));
    }
    let column = &column.data;
    known(column.type_id, &column.type_info, bytes).ok_or(Nonsense("a value of the wrong length"))
}

/// What is known of a CLR type's bytes; none for other types and for bytes that
/// were cut off.
fn told(of: &str, bytes: &[u8]) -> Option<String> {
    let kind = match of {
        "geography" => Kind::Geography,
        "geometry" => Kind::Geometry,
        _ => return None,
    };
    spatial::from_sql_server(kind, bytes)
}

/// None when there are too few or too many bytes for the type.
fn known(of: TypeId, info: &TypeInfo, bytes: &[u8]) -> Option<Value> {
    use TypeId as T;
    Some(match of {
        T::Null => Value::Null,
        T::Bit | T::BitN => Value::Boolean(*bytes.first()? != 0),
        T::Int1 | T::Int2 | T::Int4 | T::Int8 | T::IntN => Value::Integer(integer(bytes)?),
        T::Float4 | T::Float8 | T::FloatN => float(bytes)?,
        T::Money | T::Money4 | T::MoneyN => money(bytes)?,
        T::Decimal | T::Numeric | T::DecimalN | T::NumericN => decimal(bytes, info.scale?)?,
        T::Guid => Value::Text(guid(bytes.try_into().ok()?)),
        T::DateTime | T::DateTime4 | T::DateTimeN => Value::Temporal(datetime(bytes)?),
        T::Date => Value::Temporal(date(bytes)?.to_string()),
        T::Time => {
            let scale = info.scale?;
            let time = time(bytes, scale)?;
            let midnight = NaiveDate::from_ymd_opt(1, 1, 1)?.and_hms_opt(0, 0, 0)?;
            Value::Temporal(written(midnight + time, "%H:%M:%S", scale))
        }
        T::DateTime2 => {
            let scale = info.scale?;
            Value::Temporal(written(
                datetime2(bytes, scale)?,
                "%Y-%m-%dT%H:%M:%S",
                scale,
            ))
        }
        T::DateTimeOffset => Value::Temporal(with_offset(bytes, info.scale?)?),
        T::Char | T::VarChar | T::BigChar | T::BigVarChar | T::Text => {
            Value::Text(narrow(bytes, info.collation))
        }
        T::NChar | T::NVarChar | T::NText | T::Xml => Value::Text(wide(bytes)),
        T::Binary | T::VarBinary | T::BigBinary | T::BigVarBinary | T::Image | T::Udt => {
            Value::Binary(bytes.to_vec())
        }
        T::Variant => variant(bytes)?,
        _ => return None,
    })
}

fn integer(bytes: &[u8]) -> Option<i64> {
    Some(match bytes.len() {
        // `tinyint` has no sign.
        1 => i64::from(bytes[0]),
        2 => i64::from(i16::from_le_bytes(bytes.try_into().ok()?)),
        4 => i64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
        8 => i64::from_le_bytes(bytes.try_into().ok()?),
        _ => return None,
    })
}

fn float(bytes: &[u8]) -> Option<Value> {
    Some(match bytes.len() {
        4 => {
            let value = f32::from_le_bytes(bytes.try_into().ok()?);
            // By its shortest decimal form, which is what people wrote.
            Value::Real(value.to_string().parse().unwrap_or(value.into()))
        }
        8 => Value::Real(f64::from_le_bytes(bytes.try_into().ok()?)),
        _ => return None,
    })
}

/// Ten thousandths; of eight bytes, the higher four come first.
fn money(bytes: &[u8]) -> Option<Value> {
    let value = match bytes.len() {
        4 => i64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
        8 => {
            let high = i32::from_le_bytes(bytes[..4].try_into().ok()?);
            let low = u32::from_le_bytes(bytes[4..].try_into().ok()?);
            i64::from(high) << 32 | i64::from(low)
        }
        _ => return None,
    };
    Some(digits(value < 0, value.unsigned_abs().into(), 4))
}

/// A sign (1 for what is not negative), then the digits as one number.
fn decimal(bytes: &[u8], scale: u8) -> Option<Value> {
    let (sign, magnitude) = bytes.split_first()?;
    if magnitude.len() > 16 {
        return None;
    }
    let mut whole = [0; 16];
    whole[..magnitude.len()].copy_from_slice(magnitude);
    Some(digits(*sign == 0, u128::from_le_bytes(whole), scale))
}

fn digits(negative: bool, value: u128, scale: u8) -> Value {
    let scale = usize::from(scale);
    let digits = format!("{value:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if negative && value != 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    Value::Decimal(format!("{sign}{whole}{point}{fraction}"))
}

/// The first three groups come with their bytes turned round.
fn guid(bytes: [u8; 16]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::with_capacity(36);
    for (place, from) in ORDER.into_iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{:02x}", bytes[from]);
    }
    text
}

/// `datetime`: days and three hundredths of seconds; `smalldatetime`: days and
/// minutes. Both from 1900 on.
fn datetime(bytes: &[u8]) -> Option<String> {
    let start = NaiveDate::from_ymd_opt(1900, 1, 1)?.and_hms_opt(0, 0, 0)?;
    let (days, since, scale) = match bytes.len() {
        4 => {
            let minutes = u16::from_le_bytes(bytes[2..].try_into().ok()?);
            let days = u16::from_le_bytes(bytes[..2].try_into().ok()?);
            (i64::from(days), TimeDelta::minutes(minutes.into()), 0)
        }
        8 => {
            let days = i32::from_le_bytes(bytes[..4].try_into().ok()?);
            let ticks = u32::from_le_bytes(bytes[4..].try_into().ok()?);
            // To whole milliseconds, which is how SQL Server shows it.
            let milliseconds = (i64::from(ticks) * 10 + 1) / 3;
            (days.into(), TimeDelta::milliseconds(milliseconds), 3)
        }
        _ => return None,
    };
    let at = start.checked_add_signed(TimeDelta::try_days(days)?)?;
    let at = at.checked_add_signed(since)?;
    Some(written(at, "%Y-%m-%dT%H:%M:%S", scale))
}

/// Days from the first one of the year 1 on.
fn date(mut bytes: &[u8]) -> Option<NaiveDate> {
    if bytes.len() != 3 {
        return None;
    }
    let days = bytes.get_uint_le(3);
    NaiveDate::from_ymd_opt(1, 1, 1)?.checked_add_days(Days::new(days))
}

/// Parts of seconds from midnight on, as many to a second as the scale says.
fn time(mut bytes: &[u8], scale: u8) -> Option<TimeDelta> {
    if !(3..=5).contains(&bytes.len()) || scale > 7 {
        return None;
    }
    let parts = bytes.get_uint_le(bytes.len());
    let nanoseconds = parts.checked_mul(10_u64.pow(9 - u32::from(scale)))?;
    Some(TimeDelta::nanoseconds(i64::try_from(nanoseconds).ok()?))
}

fn datetime2(bytes: &[u8], scale: u8) -> Option<NaiveDateTime> {
    let (since, day) = bytes.split_at_checked(bytes.len().checked_sub(3)?)?;
    let midnight = date(day)?.and_hms_opt(0, 0, 0)?;
    midnight.checked_add_signed(time(since, scale)?)
}

/// An instant, and how many minutes its clock was ahead of UTC.
fn with_offset(bytes: &[u8], scale: u8) -> Option<String> {
    let (instant, offset) = bytes.split_at_checked(bytes.len().checked_sub(2)?)?;
    let instant = datetime2(instant, scale)?.and_utc();
    let minutes = i16::from_le_bytes(offset.try_into().ok()?);
    let zone = chrono::FixedOffset::east_opt(i32::from(minutes) * 60)?;
    let local: DateTime<_> = instant.with_timezone(&zone);
    let text = written(local.naive_local(), "%Y-%m-%dT%H:%M:%S", scale);
    Some(format!("{text}{}", local.format("%:z")))
}

/// With as many places after the second as the type has.
fn written(at: NaiveDateTime, format: &str, scale: u8) -> String {
    let mut text = at.format(format).to_string();
    if scale > 0 {
        let fraction = format!("{:09}", at.and_utc().timestamp_subsec_nanos());
        let places = usize::from(scale).min(fraction.len());
        text = format!("{text}.{}", &fraction[..places]);
    }
    text
}

/// Text in the code page of its collation.
fn narrow(bytes: &[u8], collation: Option<Collation>) -> String {
    let collation = collation.unwrap_or_default();
    let encoding = if collation.is_utf8() {
        UTF_8
    } else {
        collation.encoding().unwrap_or(WINDOWS_1252)
    };
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    text.into_owned()
}

fn wide(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2);
    let units = units.map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// A value that brings its type along: the type, what the type needs to be
/// told, the value.
fn variant(bytes: &[u8]) -> Option<Value> {
    use TypeId as T;
    let (&[of, told], rest) = bytes.split_first_chunk()?;
    let (told, value) = rest.split_at_checked(told.into())?;
    let of = TypeId::from_u8(of)?;
    let mut info = TypeInfo::default();
    match of {
        T::Decimal | T::Numeric | T::DecimalN | T::NumericN => info.scale = told.get(1).copied(),
        T::Time | T::DateTime2 | T::DateTimeOffset => info.scale = told.first().copied(),
        T::BigChar | T::BigVarChar => {
            info.collation = told.first_chunk().map(Collation::from_bytes);
        }
        _ => {}
    }
    known(of, &info, value)
}
