//! Every type of SQL Server, from its bytes to our value (docs/sql-types.md).

use jobcell_plugin_host::bindings::sql::Value;

use crate::server::{Script, Server};
use crate::support::{open, query, shown};
use crate::tokens::{COLLATION, COUNT, column, columns, done, row, utf16};

/// A type: its word, its TYPE_INFO, a value's bytes, the value.
type Case = (&'static str, Vec<u8>, Vec<u8>, Value);

fn integer(value: i64) -> Value {
    Value::Integer(value)
}

fn decimal(text: &str) -> Value {
    Value::Decimal(text.to_owned())
}

fn temporal(text: &str) -> Value {
    Value::Temporal(text.to_owned())
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn collated(of: u8, length: u16, collation: [u8; 5]) -> Vec<u8> {
    [&[of], &length.to_le_bytes()[..], &collation].concat()
}

fn short(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    [&[length], bytes].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_le_bytes()[..], bytes].concat()
}

fn chunked(bytes: &[u8]) -> Vec<u8> {
    let mut value = (bytes.len() as u64).to_le_bytes().to_vec();
    for part in bytes.chunks(3) {
        value.extend(u32::try_from(part.len()).unwrap().to_le_bytes());
        value.extend(part);
    }
    value.extend([0; 4]);
    value
}

/// A pointer of 16 bytes, a time stamp of 8, then the value.
fn pointed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    [&[16][..], &[9; 16], &[8; 8], &length, bytes].concat()
}

fn numbers() -> Vec<Case> {
    vec![
        ("bit", vec![0x32], vec![1], Value::Boolean(true)),
        ("bit", vec![0x68, 1], vec![1, 0], Value::Boolean(false)),
        ("tinyint", vec![0x30], vec![255], integer(255)),
        ("tinyint", vec![0x26, 1], vec![1, 255], integer(255)),
        ("smallint", vec![0x34], vec![0, 0x80], integer(-32_768)),
        ("int", vec![0x38], vec![0xFE, 0xFF, 0xFF, 0xFF], integer(-2)),
        (
            "bigint",
            vec![0x26, 8],
            short(&i64::MIN.to_le_bytes()),
            integer(i64::MIN),
        ),
        (
            "real",
            vec![0x3B],
            0.1_f32.to_le_bytes().to_vec(),
            Value::Real(0.1),
        ),
        (
            "float",
            vec![0x6D, 8],
            short(&1e300_f64.to_le_bytes()),
            Value::Real(1e300),
        ),
        (
            "smallmoney",
            vec![0x7A],
            (-12_345_i32).to_le_bytes().to_vec(),
            decimal("-1.2345"),
        ),
        (
            "money",
            vec![0x6E, 8],
            // −922,337,203,685,477.5808, the higher half first.
            short(&[0, 0, 0, 0x80, 0, 0, 0, 0]),
            decimal("-922337203685477.5808"),
        ),
        (
            "decimal",
            vec![0x6A, 17, 38, 10],
            short(&[&[0], &(10_u128.pow(38) - 1).to_le_bytes()[..]].concat()),
            decimal("-9999999999999999999999999999.9999999999"),
        ),
        (
            "numeric",
            vec![0x6C, 5, 5, 2],
            short(&[1, 5, 0, 0, 0]),
            decimal("0.05"),
        ),
    ]
}

fn times() -> Vec<Case> {
    vec![
        // 2026-11-25 is the 739,944th day after the first one of the year 1.
        (
            "date",
            vec![0x28],
            short(&739_944_u32.to_le_bytes()[..3]),
            temporal("2026-11-25"),
        ),
        (
            "time",
            vec![0x29, 7],
            // 23:59:59.9999999
            short(&863_999_999_999_u64.to_le_bytes()[..5]),
            temporal("23:59:59.9999999"),
        ),
        (
            "time",
            vec![0x29, 0],
            short(&86_399_u32.to_le_bytes()[..3]),
            temporal("23:59:59"),
        ),
        (
            "datetime2",
            vec![0x2A, 3],
            short(
                &[
                    &1_500_u32.to_le_bytes()[..],
                    &739_944_u32.to_le_bytes()[..3],
                ]
                .concat(),
            ),
            temporal("2026-11-25T00:00:01.500"),
        ),
        (
            "datetimeoffset",
            vec![0x2B, 0],
            // 23:30 in UTC, shown where it is 90 minutes later.
            short(
                &[
                    &84_600_u32.to_le_bytes()[..3],
                    &739_944_u32.to_le_bytes()[..3],
                    &90_i16.to_le_bytes(),
                ]
                .concat(),
            ),
            temporal("2026-11-26T01:00:00+01:30"),
        ),
        (
            "datetime",
            vec![0x6F, 8],
            // The day before 1900, one tick before midnight.
            short(&[&(-1_i32).to_le_bytes()[..], &25_919_999_u32.to_le_bytes()].concat()),
            temporal("1899-12-31T23:59:59.997"),
        ),
        (
            "smalldatetime",
            vec![0x3A],
            [&1_u16.to_le_bytes()[..], &61_u16.to_le_bytes()].concat(),
            temporal("1900-01-02T01:01:00"),
        ),
    ]
}

fn texts() -> Vec<Case> {
    let cyrillic = [0x19, 0x04, 0, 0, 0];
    let utf8 = [0x09, 0x04, 0, 0x04, 0];
    vec![
        (
            "varchar",
            collated(0xA7, 10, COLLATION),
            long(b"\x80\xE4"),
            text("€ä"),
        ),
        (
            "varchar",
            collated(0xA7, 10, cyrillic),
            long(b"\xC4\xE0"),
            text("Да"),
        ),
        (
            "varchar",
            collated(0xA7, 10, utf8),
            long("€𝄞".as_bytes()),
            text("€𝄞"),
        ),
        (
            "char",
            collated(0xAF, 3, COLLATION),
            long(b"a  "),
            text("a  "),
        ),
        (
            "varchar",
            collated(0xA7, 0xFFFF, COLLATION),
            chunked(b"in chunks"),
            text("in chunks"),
        ),
        (
            "nvarchar",
            collated(0xE7, 20, COLLATION),
            long(&[]),
            text(""),
        ),
        (
            "nvarchar",
            collated(0xE7, 0xFFFF, COLLATION),
            chunked(&utf16("€𝄞")),
            text("€𝄞"),
        ),
        (
            "nchar",
            collated(0xEF, 4, COLLATION),
            long(&utf16("a ")),
            text("a "),
        ),
        ("xml", vec![0xF1, 0], chunked(&utf16("<a/>")), text("<a/>")),
        (
            "text",
            [
                &[0x23, 0xFF, 0xFF, 0xFF, 0x7F],
                &COLLATION[..],
                &[1, 1, 0, b't', 0],
            ]
            .concat(),
            pointed(b"old \xE4"),
            text("old ä"),
        ),
        (
            "ntext",
            [&[0x63, 0xFF, 0xFF, 0xFF, 0x7F], &COLLATION[..], &[0]].concat(),
            pointed(&utf16("old €")),
            text("old €"),
        ),
        (
            "uniqueidentifier",
            vec![0x24, 16],
            short(&[
                0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD,
                0xEE, 0xFF,
            ]),
            text("00112233-4455-6677-8899-aabbccddeeff"),
        ),
    ]
}

/// A CLR type of this name.
fn clr(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    [
        &[0xF0, 0xFF, 0xFF][..],
        &[1, b'd', 0],
        &[3, b's', 0, b'y', 0, b's', 0],
        &[length],
        &utf16(name),
        &[1, 0, b'a', 0],
    ]
    .concat()
}

fn spatial() -> Vec<Case> {
    let position = [
        &4326_i32.to_le_bytes()[..],
        &[1, 0x0C],
        &47.651_f64.to_le_bytes(),
        &(-122.349_f64).to_le_bytes(),
    ]
    .concat();
    vec![
        (
            "geography",
            clr("geography"),
            chunked(&position),
            text("SRID=4326;POINT (-122.349 47.651)"),
        ),
        (
            "geometry",
            clr("geometry"),
            chunked(&position),
            text("SRID=4326;POINT (47.651 -122.349)"),
        ),
        (
            "geometry",
            clr("geometry"),
            chunked(&[1, 2, 3, 4]),
            Value::Binary(vec![1, 2, 3, 4]),
        ),
        (
            "hierarchyid",
            clr("hierarchyid"),
            chunked(&[0x58]),
            Value::Binary(vec![0x58]),
        ),
    ]
}

fn bytes() -> Vec<Case> {
    vec![
        (
            "varbinary",
            vec![0xA5, 10, 0],
            long(&[0, 255]),
            Value::Binary(vec![0, 255]),
        ),
        (
            "binary",
            vec![0xAD, 2, 0],
            long(&[1, 2]),
            Value::Binary(vec![1, 2]),
        ),
        (
            "varbinary",
            vec![0xA5, 0xFF, 0xFF],
            chunked(&[1, 2, 3, 4]),
            Value::Binary(vec![1, 2, 3, 4]),
        ),
        (
            "image",
            vec![0x22, 0xFF, 0xFF, 0xFF, 0x7F, 0],
            pointed(&[7, 8]),
            Value::Binary(vec![7, 8]),
        ),
        (
            "sql_variant",
            vec![0x62, 0x49, 0x1F, 0, 0],
            // A decimal of 5 digits, 2 after the point: −1.23.
            [&9_u32.to_le_bytes()[..], &[0x6C, 2, 5, 2, 0, 123, 0, 0, 0]].concat(),
            decimal("-1.23"),
        ),
    ]
}

#[tokio::test]
async fn every_type_is_read_without_loss() {
    let cases: Vec<Case> = [numbers(), times(), texts(), spatial(), bytes()].concat();
    let described: Vec<_> = cases
        .iter()
        .map(|(name, of, ..)| column(name, of))
        .collect();
    let values: Vec<&[u8]> = cases.iter().map(|(_, _, value, _)| &value[..]).collect();
    let answer = [columns(&described), row(&values), done(COUNT, 1)].concat();
    let server = Server::start(Script::tokens(answer)).await;
    let mut session = open(&server).await;
    let found = query(&mut session, "SELECT * FROM everything")
        .await
        .remove(0);
    for (index, (name, _, _, value)) in cases.iter().enumerate() {
        assert_eq!(found.columns[index].type_name, *name);
        let read = &found.rows[0][index];
        assert_eq!(shown(read), shown(value), "{name}");
    }
}

#[tokio::test]
async fn none_is_told_from_empty_in_every_frame() {
    let max = collated(0xE7, 0xFFFF, COLLATION);
    let old = [&[0x63, 0xFF, 0xFF, 0xFF, 0x7F], &COLLATION[..], &[0]].concat();
    let described = [
        column("a", &[0x26, 4]),
        column("b", &collated(0xE7, 20, COLLATION)),
        column("c", &max),
        column("d", &old),
        column("e", &[0x62, 0x49, 0x1F, 0, 0]),
    ];
    let none: [&[u8]; 5] = [&[0], &[0xFF, 0xFF], &[0xFF; 8], &[0], &[0; 4]];
    let answer = [columns(&described), row(&none), done(COUNT, 1)].concat();
    let server = Server::start(Script::tokens(answer)).await;
    let mut session = open(&server).await;
    let found = query(&mut session, "SELECT * FROM nothing").await.remove(0);
    let none = vec![vec![Value::Null; 5]];
    assert_eq!(shown(&found.rows), shown(&none));
}
