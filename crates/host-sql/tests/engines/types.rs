//! Each row of the tables in `docs/sql-types.md`: a value of each type as a
//! plugin gets it, by a statement without parameters and by one with.

use jobcell_plugin_host::bindings::sql::Value;

use crate::engine::Engine;
use crate::facts::Fact;
use crate::session::text;

pub(crate) static ALL: &[Fact] = crate::facts::facts!(Engine::runs_statements =>
    values_lose_nothing,
    values_go_in_and_come_out,
    geometries_of_postgis_are_text,
);

fn decimal(text: &str) -> Value {
    Value::Decimal(text.to_owned())
}

fn temporal(text: &str) -> Value {
    Value::Temporal(text.to_owned())
}

fn json(text: &str) -> Value {
    Value::Json(text.to_owned())
}

fn postgresql() -> Vec<(&'static str, &'static str, Value)> {
    let integer = Value::Integer;
    vec![
        ("true", "bool", Value::Boolean(true)),
        ("(-32768)::int2", "int2", integer(-32_768)),
        ("2147483647", "int4", integer(2_147_483_647)),
        ("9223372036854775807", "int8", integer(i64::MAX)),
        ("4294967295::oid", "oid", integer(4_294_967_295)),
        ("0.1::float4", "float4", Value::Real(0.1)),
        ("0.1::float8", "float8", Value::Real(0.1)),
        ("'Infinity'::float8", "float8", Value::Real(f64::INFINITY)),
        (
            "12345678901234567890.0100",
            "numeric",
            decimal("12345678901234567890.0100"),
        ),
        (
            "-0.000012::numeric(20,10)",
            "numeric",
            decimal("-0.0000120000"),
        ),
        ("1e20::numeric", "numeric", decimal("100000000000000000000")),
        ("'NaN'::numeric", "numeric", decimal("NaN")),
        ("''::text", "text", text("")),
        ("'ä€😀'::varchar(9)", "varchar", text("ä€😀")),
        ("'a'::char(3)", "bpchar", text("a  ")),
        ("'x'::name", "name", text("x")),
        ("'\\x00ff'::bytea", "bytea", Value::Binary(vec![0, 255])),
        ("date '2024-02-29'", "date", temporal("2024-02-29")),
        ("date '0044-03-15 BC'", "date", temporal("0044-03-15 BC")),
        ("date 'infinity'", "date", temporal("infinity")),
        ("time '23:59:59.5'", "time", temporal("23:59:59.5")),
        ("timetz '10:00:00+02'", "timetz", temporal("10:00:00+02:00")),
        (
            "timetz '10:00:00-03:30'",
            "timetz",
            temporal("10:00:00-03:30"),
        ),
        (
            "timestamp '2024-02-29 10:00:00.123456'",
            "timestamp",
            temporal("2024-02-29T10:00:00.123456"),
        ),
        (
            "timestamptz '2024-02-29 10:00:00.1+02'",
            "timestamptz",
            temporal("2024-02-29T08:00:00.1Z"),
        ),
        (
            "timestamptz '-infinity'",
            "timestamptz",
            temporal("-infinity"),
        ),
        ("'{\"a\": 1.10}'::json", "json", json("{\"a\": 1.10}")),
        ("'{\"a\":1.10}'::jsonb", "jsonb", json("{\"a\": 1.10}")),
        (
            "'6f1c2a3e-0000-4000-8000-0123456789ab'::uuid",
            "uuid",
            text("6f1c2a3e-0000-4000-8000-0123456789ab"),
        ),
        ("array[1, NULL, 3]", "_int4", json("[1,null,3]")),
        ("array[[1, 2], [3, 4]]", "_int4", json("[[1,2],[3,4]]")),
        (
            "array[9007199254740993]",
            "_int8",
            json("[\"9007199254740993\"]"),
        ),
        (
            "array['a', NULL, 'NULL', 'b\"c']",
            "_text",
            json("[\"a\",null,\"NULL\",\"b\\\"c\"]"),
        ),
        ("array[]::int4[]", "_int4", json("[]")),
        ("array[1.50]::numeric[]", "_numeric", json("[\"1.50\"]")),
        (
            "array['2024-02-29'::date]",
            "_date",
            json("[\"2024-02-29\"]"),
        ),
        ("array['{\"a\":1}'::jsonb]", "_jsonb", json("[{\"a\":1}]")),
        ("array['\\x00ff'::bytea]", "_bytea", json("[\"AP8=\"]")),
        ("NULL::int4", "int4", Value::Null),
    ]
}

/// What makes types like PostGIS's, whose names alone tell what they are: one that
/// is written as PostGIS writes it, and one that is sent as PostGIS sends it.
const LIKE_POSTGIS: &str = "
    CREATE SCHEMA written;
    CREATE TYPE written.geography;
    CREATE FUNCTION written.taken(cstring) RETURNS written.geography
        AS 'textin' LANGUAGE internal STRICT IMMUTABLE;
    CREATE FUNCTION written.given(written.geography) RETURNS cstring
        AS 'textout' LANGUAGE internal STRICT IMMUTABLE;
    CREATE TYPE written.geography (input = written.taken, output = written.given, delimiter = ':');
    CREATE SCHEMA sent;
    CREATE TYPE sent.geometry;
    CREATE FUNCTION sent.taken(cstring) RETURNS sent.geometry
        AS 'byteain' LANGUAGE internal STRICT IMMUTABLE;
    CREATE FUNCTION sent.given(sent.geometry) RETURNS cstring
        AS 'byteaout' LANGUAGE internal STRICT IMMUTABLE;
    CREATE FUNCTION sent.sent(sent.geometry) RETURNS bytea
        AS 'byteasend' LANGUAGE internal STRICT IMMUTABLE;
    CREATE TYPE sent.geometry
        (input = sent.taken, output = sent.given, send = sent.sent, delimiter = ':');
";

async fn geometries_of_postgis_are_text(engine: &Engine) {
    if engine.name != "postgresql" {
        return;
    }
    const POINT: &str = "0101000020E6100000000000000000F03F0000000000000040";
    let mut run = engine.run().await;
    for statement in LIKE_POSTGIS.split_inclusive(';') {
        if !statement.trim().is_empty() {
            run.query(statement).await.unwrap();
        }
    }
    let told = text("SRID=4326;POINT (1 2)");
    let plain = [
        (format!("'{POINT}'::written.geography"), told.clone()),
        (
            format!("'{{{POINT}:NULL}}'::written.geography[]"),
            json("[\"SRID=4326;POINT (1 2)\",null]"),
        ),
        ("'strange'::written.geography".to_owned(), text("strange")),
    ];
    for (expression, expected) in plain {
        let found = run.query(&format!("SELECT {expression} AS x")).await;
        let found = found.unwrap();
        let value = format!("{:?}", found.rows[0][0]);
        assert_eq!(value, format!("{expected:?}"), "{expression}");
    }
    let bound = [
        (format!("'\\x{POINT}'::sent.geometry"), told),
        (
            format!("array['\\x{POINT}'::sent.geometry, NULL]"),
            json("[\"SRID=4326;POINT (1 2)\",null]"),
        ),
        ("'\\x0aff'::sent.geometry".to_owned(), text("0AFF")),
    ];
    for (expression, expected) in bound {
        let statement = format!("SELECT {expression} AS x WHERE 1 = :one");
        let found = run.bound(&statement, &[("one", Value::Integer(1))]).await;
        let found = found.unwrap();
        let value = format!("{:?}", found.rows[0][0]);
        assert_eq!(value, format!("{expected:?}"), "{expression}");
    }
    run.end().await;
}

/// Types whose binary form is not read: as text, or not at all.
fn text_only() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "interval '1 day 02:00:00'",
            "interval",
            text("1 day 02:00:00"),
        ),
        ("'12.34'::money", "money", text("$12.34")),
        ("inet '10.0.0.1/8'", "inet", text("10.0.0.1/8")),
        ("point '(1,2)'", "point", text("(1,2)")),
        ("int4range(1, 5)", "int4range", text("[1,5)")),
        ("B'101'", "bit", text("101")),
    ]
}

fn mariadb() -> Vec<(&'static str, &'static str, Value)> {
    let integer = Value::Integer;
    vec![
        ("CAST(-5 AS INT)", "int", integer(-5)),
        ("9223372036854775807", "bigint", integer(i64::MAX)),
        (
            "CAST(18446744073709551615 AS UNSIGNED)",
            "bigint unsigned",
            decimal("18446744073709551615"),
        ),
        (
            "CAST(12345678901234567890.0100 AS DECIMAL(30,4))",
            "decimal",
            decimal("12345678901234567890.0100"),
        ),
        ("CAST(0.1 AS DOUBLE)", "double", Value::Real(0.1)),
        ("CAST(0.1 AS FLOAT)", "float", Value::Real(0.1)),
        ("''", "varchar", text("")),
        ("'ä€😀'", "varchar", text("ä€😀")),
        ("x'00ff'", "varbinary", Value::Binary(vec![0, 255])),
        ("DATE '2024-02-29'", "date", temporal("2024-02-29")),
        ("TIME '-100:00:00'", "time", temporal("-100:00:00")),
        (
            "CAST('23:59:59.50' AS TIME(2))",
            "time",
            temporal("23:59:59.50"),
        ),
        (
            "TIMESTAMP '2024-02-29 10:00:00'",
            "datetime",
            temporal("2024-02-29T10:00:00"),
        ),
        (
            "CAST('2024-02-29 10:00:00.123456' AS DATETIME(6))",
            "datetime",
            temporal("2024-02-29T10:00:00.123456"),
        ),
        ("CAST(NULL AS INT)", "int", Value::Null),
    ]
}

/// Types that only columns have.
fn mariadb_columns() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("TINYINT(1)", "1", Value::Integer(1)),
        ("YEAR", "2024", Value::Integer(2024)),
        ("BIT(12)", "b'101'", Value::Integer(5)),
        ("ENUM('a', 'b')", "'b'", text("b")),
        ("SET('a', 'b')", "'a,b'", text("a,b")),
        ("JSON", "'{\"a\": 1.10}'", text("{\"a\": 1.10}")),
        ("CHAR(3)", "'a'", text("a")),
        ("BINARY(2)", "'a'", Value::Binary(vec![b'a', 0])),
        ("BLOB", "x'00ff'", Value::Binary(vec![0, 255])),
        ("LONGTEXT", "'long'", text("long")),
        (
            "UUID",
            "'6f1c2a3e-0000-4000-8000-0123456789ab'",
            text("6f1c2a3e-0000-4000-8000-0123456789ab"),
        ),
        (
            "TIMESTAMP NULL",
            "'2024-02-29 10:00:00'",
            temporal("2024-02-29T10:00:00"),
        ),
        ("DATE", "'0000-00-00'", temporal("0000-00-00")),
        (
            "POINT",
            "ST_GeomFromText('POINT(-122.349 47.651)', 4326)",
            text("SRID=4326;POINT (-122.349 47.651)"),
        ),
        (
            "LINESTRING",
            "ST_GeomFromText('LINESTRING(0 0, 1e300 1e-7)')",
            text("LINESTRING (0 0, 1e300 1e-7)"),
        ),
        (
            "POLYGON",
            "ST_GeomFromText('POLYGON((0 0, 0 3, 3 3, 0 0), (1 1, 1 2, 2 2, 1 1))')",
            text("POLYGON ((0 0, 0 3, 3 3, 0 0), (1 1, 1 2, 2 2, 1 1))"),
        ),
        (
            "MULTIPOINT",
            "ST_GeomFromText('MULTIPOINT(0 0, 1 2)')",
            text("MULTIPOINT ((0 0), (1 2))"),
        ),
        (
            "MULTIPOLYGON",
            "ST_GeomFromText('MULTIPOLYGON(((0 0, 0 3, 3 3, 0 0)))')",
            text("MULTIPOLYGON (((0 0, 0 3, 3 3, 0 0)))"),
        ),
        (
            "GEOMETRY",
            "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2), MULTILINESTRING((0 0, 1 1)))')",
            text("GEOMETRYCOLLECTION (POINT (1 2), MULTILINESTRING ((0 0, 1 1)))"),
        ),
        ("GEOMETRYCOLLECTION", "NULL", Value::Null),
    ]
}

async fn values_lose_nothing(engine: &Engine) {
    let mut run = engine.run().await;
    let expressions = if engine.name == "postgresql" {
        postgresql()
    } else {
        mariadb()
    };
    for (expression, type_name, expected) in expressions {
        let plain = format!("SELECT {expression} AS x");
        let found = run.query(&plain).await.unwrap();
        assert_eq!(found.columns[0].type_name, type_name, "{plain}");
        assert_eq!(
            format!("{:?}", found.rows[0][0]),
            format!("{expected:?}"),
            "{plain}"
        );
        let bound = format!("SELECT {expression} AS x WHERE 1 = :one");
        let found = run
            .bound(&bound, &[("one", Value::Integer(1))])
            .await
            .unwrap();
        assert_eq!(
            format!("{:?}", found.rows[0][0]),
            format!("{expected:?}"),
            "{bound}"
        );
    }
    if engine.name == "postgresql" {
        for (expression, type_name, expected) in text_only() {
            let found = run
                .query(&format!("SELECT {expression} AS x"))
                .await
                .unwrap();
            assert_eq!(found.columns[0].type_name, type_name);
            assert_eq!(format!("{:?}", found.rows[0][0]), format!("{expected:?}"));
            let bound = format!("SELECT {expression} AS x WHERE 1 = :one");
            let refused = run
                .bound(&bound, &[("one", Value::Integer(1))])
                .await
                .unwrap_err();
            assert!(
                refused.to_string().contains("cast it: `x::text`"),
                "{refused}"
            );
        }
    } else {
        run.query("SET sql_mode = ''").await.unwrap();
        for (of, literal, expected) in mariadb_columns() {
            run.query(&format!("CREATE OR REPLACE TABLE typed (x {of})"))
                .await
                .unwrap();
            run.query(&format!("INSERT INTO typed VALUES ({literal})"))
                .await
                .unwrap();
            let plain = run.query("SELECT x FROM typed").await.unwrap();
            let bound = run
                .bound(
                    "SELECT x FROM typed WHERE 1 = :one",
                    &[("one", Value::Integer(1))],
                )
                .await
                .unwrap();
            for found in [plain, bound] {
                assert_eq!(
                    format!("{:?}", found.rows[0][0]),
                    format!("{expected:?}"),
                    "{of}"
                );
            }
        }
    }
    run.end().await;
}

async fn values_go_in_and_come_out(engine: &Engine) {
    let mut run = engine.run().await;
    let columns = engine.word(
        "",
        "i int8, r float8, d numeric, t text, b bytea, w timestamptz, j jsonb, f bool",
        "i BIGINT, r DOUBLE, d DECIMAL(30,10), t TEXT, b BLOB, w DATETIME, j JSON, f BOOLEAN",
        "",
    );
    run.query("DROP TABLE IF EXISTS io").await.unwrap();
    run.query(&format!("CREATE TABLE io ({columns})"))
        .await
        .unwrap();
    let at = engine.word("", "2024-02-29T08:00:00Z", "2024-02-29T08:00:00", "");
    let values = [
        ("i", Value::Integer(i64::MIN)),
        ("r", Value::Real(1e-300)),
        ("d", decimal("12345678901234567890.0100000000")),
        ("t", text("a\\ä'\"\u{1}\n")),
        ("b", Value::Binary((0..=255).collect())),
        ("w", temporal(at)),
        ("j", json("{\"a\": [1, null]}")),
        ("f", Value::Boolean(true)),
    ];
    let insert = "INSERT INTO io VALUES (:i, :r, :d, :t, :b, :w, :j, :f)";
    run.bound(insert, &values).await.unwrap();
    let found = run.query("SELECT * FROM io").await.unwrap();
    let mut expected: Vec<Value> = values.into_iter().map(|(_, value)| value).collect();
    if engine.name == "mariadb" {
        // What MariaDB calls JSON is text, and what it calls BOOLEAN a number.
        expected[6] = text("{\"a\": [1, null]}");
        expected[7] = Value::Integer(1);
    }
    assert_eq!(format!("{:?}", found.rows[0]), format!("{expected:?}"));
    run.end().await;
}
