//! Facts about splitting, on texts chosen and on all short ones.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::{Statement, split};
use crate::Dialect;
use crate::lexer::Lexer;

fn statements(text: &str) -> Vec<Statement<'_>> {
    split(text, Dialect::Sqlite).0
}

fn texts(text: &str) -> Vec<&str> {
    statements(text)
        .into_iter()
        .map(|statement| statement.text)
        .collect()
}

fn kind(text: &str) -> String {
    statements(text)[0].kind.clone()
}

#[test]
fn semicolons_part_statements() {
    assert_eq!(
        texts("SELECT 1; SELECT 2 ;;\n SELECT 3"),
        ["SELECT 1", "SELECT 2", "SELECT 3"]
    );
    assert!(texts(" ; -- only this\n /* and this; */ ;").is_empty());
    assert!(texts("").is_empty());
}

#[test]
fn semicolons_in_quotes_and_comments_do_not() {
    for text in [
        "SELECT 'a;b''c;d'",
        "SELECT \"a;\"\"b\" FROM `c;d` JOIN [e;f]",
        "SELECT 1 -- one; two\n + 2",
        "SELECT 1 /* one; 'two */ + 2",
        "SELECT x'00' || 'it''s;'",
    ] {
        assert_eq!(texts(text), [text]);
    }
}

#[test]
fn a_comment_is_not_nested_in_sqlite() {
    assert_eq!(
        texts("/* a /* b */ SELECT 1; SELECT 2"),
        ["SELECT 1", "SELECT 2"]
    );
}

#[test]
fn places_count_lines_and_characters() {
    let text = "\u{feff}-- ä\r\nSELECT 'ä';  SELECT 2;\r\n\r\n  SELECT 3";
    let places: Vec<_> = statements(text)
        .iter()
        .map(|s| (s.line, s.column))
        .collect();
    assert_eq!(places, [(2, 1), (2, 14), (4, 3)]);
}

#[test]
fn a_trigger_keeps_its_body() {
    let trigger = "CREATE TEMP TRIGGER IF NOT EXISTS t AFTER INSERT ON a BEGIN
        UPDATE b SET x = CASE WHEN new.y > 1 THEN 1 ELSE 2 END;
        SELECT CASE 1 WHEN 1 THEN 'x;END;' END; -- ; END;
    END";
    let text = format!("{trigger};\nSELECT 1;");
    assert_eq!(texts(&text), [trigger, "SELECT 1"]);
    assert_eq!(kind(&text), "create-trigger");
    assert_eq!(
        texts(&format!("EXPLAIN QUERY PLAN {trigger}; SELECT 2"))[1],
        "SELECT 2"
    );
}

#[test]
fn a_transaction_is_no_body() {
    assert_eq!(
        texts("BEGIN; INSERT INTO t VALUES (1); END; SELECT 1").len(),
        4
    );
}

#[test]
fn kinds_are_the_first_words() {
    for (text, expected) in [
        ("select 1", "select"),
        (
            "WITH a AS (SELECT 1), b(x) AS (DELETE) INSERT INTO t SELECT * FROM a",
            "insert",
        ),
        ("with recursive n as (values(1)) select 1", "select"),
        ("CREATE UNIQUE INDEX i ON t (x)", "create-index"),
        ("CREATE TEMPORARY TABLE t (x)", "create-table"),
        ("create virtual table f using fts5(x)", "create-table"),
        ("DROP VIEW v", "drop-view"),
        ("ALTER TABLE t ADD c", "alter-table"),
        ("PRAGMA user_version", "pragma"),
        ("EXPLAIN SELECT 1", "explain"),
        ("UPDATE STATISTICS dbo.t", "update"),
        ("DBCC CHECKDB('x') WITH NO_INFOMSGS", "dbcc"),
        ("(SELECT 1)", "other"),
        ("/* x */ -- y\nVALUES (1)", "values"),
    ] {
        assert_eq!(kind(text), expected, "{text}");
    }
}

#[test]
fn parameters_are_found_outside_of_quotes() {
    let text = "SELECT :a, @b, $c, :a, ':no', [:no], x$y, 1::no -- :no\n, :ä_1";
    let found = &statements(text)[0].parameters;
    assert_eq!(found[..], ["a", "b", "c", "no", "ä_1"]);
}

#[test]
fn what_never_ends_is_found_with_its_place() {
    let flaw = |text| split(text, Dialect::Sqlite).1;
    assert_eq!(flaw("SELECT 'a''b'"), None);
    let string = flaw("SELECT 1;\n SELECT 'it''s").unwrap();
    assert_eq!((string.line, string.column, string.opened_by), (2, 9, '\''));
    assert!(!string.in_comment);
    let name = flaw("SELECT [x").unwrap();
    assert_eq!((name.line, name.column, name.opened_by), (1, 8, '['));
    let comment = flaw("SELECT 1 /* x").unwrap();
    assert!(comment.in_comment);
}

#[test]
fn the_guide_s_sample_has_three_statements() {
    let text = "-- Database maintenance query\n\
                UPDATE STATISTICS dbo.job_configurations;\n\
                DBCC CHECKDB('sreutil') WITH NO_INFOMSGS;\n\
                SELECT table_name, row_count FROM sys.tables;\n";
    let found: Vec<_> = statements(text)
        .iter()
        .map(|s| (s.line, s.kind.clone()))
        .collect();
    let expected = [(2, "update"), (3, "dbcc"), (4, "select")];
    assert_eq!(found, expected.map(|(line, kind)| (line, kind.to_owned())));
}

/// All texts of up to six pieces from an alphabet that can go wrong.
#[test]
fn no_byte_is_lost_in_any_short_text() {
    let pieces = [
        "'",
        "\"",
        "[",
        "]",
        "--",
        "/*",
        "*/",
        ";",
        "\n",
        "ä",
        ":a",
        "END",
        "CREATE TRIGGER ",
    ];
    let mut texts = vec![String::new()];
    for _ in 0..5 {
        let longer = texts
            .iter()
            .flat_map(|text| pieces.map(|piece| format!("{text}{piece}")));
        texts = longer.collect();
        texts.iter().for_each(|text| check_whole(text));
    }
}

fn check_whole(text: &str) {
    let mut at = 0;
    for token in Lexer::new(text, Dialect::Sqlite.rules()) {
        assert_eq!(token.start, at, "{text:?}");
        assert!(
            token.end > token.start && text.is_char_boundary(token.end),
            "{text:?}"
        );
        at = token.end;
    }
    assert_eq!(at, text.len(), "{text:?}");
    let mut at = 0;
    for statement in statements(text) {
        let gap = &text[at..statement.start];
        assert!(statements(gap).is_empty(), "{text:?} loses {gap:?}");
        assert!(!statement.text.is_empty(), "{text:?}");
        assert!(
            text[statement.start..].starts_with(statement.text),
            "{text:?}"
        );
        at = statement.start + statement.text.len();
    }
    assert!(statements(&text[at..]).is_empty(), "{text:?}");
}
