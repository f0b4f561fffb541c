//! What a result's columns are, how the values of each of SQL Server's types lie
//! in a row (MS-TDS 2.2.5.4) and what the types are called. Never reads a value.

use bytes::Buf;
use tds_protocol::error::ProtocolError;
use tds_protocol::token::{ColMetaData, ColumnData};
use tds_protocol::types::TypeId;

/// The length that says "max" where a type's greatest length is told.
const MAX: Option<u32> = Some(0xFFFF);

/// A column of a result.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) data: ColumnData,
    /// The name of its type, where that is one of the CLR's.
    pub(super) clr: Option<String>,
}

/// The columns that a token tells of (MS-TDS 2.2.7.4), its first byte taken.
pub(super) fn columns(rest: &mut &[u8]) -> Result<Vec<Column>, ProtocolError> {
    /// So many bytes before the names: user type, flags, type, greatest length.
    const BEFORE_NAMES: usize = 9;
    let mut entry = rest.get(2..).unwrap_or_default();
    let described = ColMetaData::decode(rest)?;
    let column = |data: ColumnData| {
        let clr = (data.type_id == TypeId::Udt)
            .then(|| entry.get(BEFORE_NAMES..).and_then(third_name))
            .flatten();
        // Alone, it tells where the next one starts.
        let mut alone = (&[1, 0][..]).chain(entry);
        ColMetaData::decode(&mut alone)?;
        entry = &entry[entry.len() - alone.remaining()..];
        Ok(Column { data, clr })
    };
    described.columns.into_iter().map(column).collect()
}

/// The type, which stands after the database and the schema.
fn third_name(mut names: &[u8]) -> Option<String> {
    for _ in 0..2 {
        let length = usize::from(*names.first()?) * 2;
        names = names.get(1 + length..)?;
    }
    let length = usize::from(*names.first()?) * 2;
    let (pairs, _) = names.get(1..=length)?.as_chunks();
    let units = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
    char::decode_utf16(units).collect::<Result<_, _>>().ok()
}

/// How a value is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// Always so many bytes.
    Fixed(usize),
    /// After a length of one byte; none when that is 0.
    Byte,
    /// After a length of two bytes; none when that is 0xFFFF.
    Short,
    /// After a length of four bytes; none when that is 0.
    Long,
    /// In chunks; none when the length of all is 2⁶⁴ − 1.
    Chunks,
    /// After a pointer and a time stamp; none when the pointer is empty.
    Pointer,
}

/// How values of this column are framed; none for what no row can hold.
pub(super) const fn frame(column: &Column) -> Option<Frame> {
    use TypeId as T;
    let column = &column.data;
    let max = matches!(column.type_info.max_length, MAX);
    Some(match column.type_id {
        T::Null => Frame::Fixed(0),
        T::Int1 | T::Bit => Frame::Fixed(1),
        T::Int2 => Frame::Fixed(2),
        T::Int4 | T::Float4 | T::Money4 | T::DateTime4 => Frame::Fixed(4),
        T::Int8 | T::Float8 | T::Money | T::DateTime => Frame::Fixed(8),
        T::IntN | T::BitN | T::FloatN | T::MoneyN | T::DateTimeN | T::Guid => Frame::Byte,
        T::Decimal | T::Numeric | T::DecimalN | T::NumericN => Frame::Byte,
        T::Date | T::Time | T::DateTime2 | T::DateTimeOffset => Frame::Byte,
        T::Char | T::VarChar | T::Binary | T::VarBinary => Frame::Byte,
        T::BigVarChar | T::BigVarBinary | T::NVarChar if max => Frame::Chunks,
        T::BigVarChar | T::BigVarBinary | T::NVarChar => Frame::Short,
        T::BigChar | T::BigBinary | T::NChar => Frame::Short,
        T::Xml | T::Udt => Frame::Chunks,
        T::Text | T::NText | T::Image => Frame::Pointer,
        T::Variant => Frame::Long,
        _ => return None,
    })
}

/// The word that a table's definition has for it.
pub(super) fn name(column: &Column) -> &str {
    use TypeId as T;
    if let Some(clr) = &column.clr {
        return clr;
    }
    let column = &column.data;
    match (column.type_id, column.type_info.max_length) {
        (T::Bit | T::BitN, _) => "bit",
        (T::Int1, _) | (T::IntN, Some(1)) => "tinyint",
        (T::Int2, _) | (T::IntN, Some(2)) => "smallint",
        (T::Int8, _) | (T::IntN, Some(8)) => "bigint",
        (T::Int4 | T::IntN, _) => "int",
        (T::Float4, _) | (T::FloatN, Some(4)) => "real",
        (T::Float8 | T::FloatN, _) => "float",
        (T::Money4, _) | (T::MoneyN, Some(4)) => "smallmoney",
        (T::Money | T::MoneyN, _) => "money",
        (T::DateTime4, _) | (T::DateTimeN, Some(4)) => "smalldatetime",
        (T::DateTime | T::DateTimeN, _) => "datetime",
        (T::Decimal | T::DecimalN, _) => "decimal",
        (T::Numeric | T::NumericN, _) => "numeric",
        (T::Guid, _) => "uniqueidentifier",
        (T::Date, _) => "date",
        (T::Time, _) => "time",
        (T::DateTime2, _) => "datetime2",
        (T::DateTimeOffset, _) => "datetimeoffset",
        (T::Char | T::BigChar, _) => "char",
        (T::VarChar | T::BigVarChar, _) => "varchar",
        (T::NChar, _) => "nchar",
        (T::NVarChar, _) => "nvarchar",
        (T::Binary | T::BigBinary, _) => "binary",
        (T::VarBinary | T::BigVarBinary, _) => "varbinary",
        (T::Text, _) => "text",
        (T::NText, _) => "ntext",
        (T::Image, _) => "image",
        (T::Xml, _) => "xml",
        (T::Udt, _) => "udt",
        (T::Variant, _) => "sql_variant",
        _ => "",
    }
}
