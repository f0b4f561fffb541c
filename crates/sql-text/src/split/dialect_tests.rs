//! Facts about each dialect's own rules.

use super::split;
use crate::Dialect::{MySql, PostgreSql, SqlServer};
use crate::{Dialect, kind, parameters};

fn texts(text: &str, dialect: Dialect) -> Vec<&str> {
    let (statements, _) = split(text, dialect);
    statements
        .into_iter()
        .map(|statement| statement.text)
        .collect()
}

fn names(text: &str, dialect: Dialect) -> Vec<&str> {
    let found = parameters(text, dialect);
    found.into_iter().map(|parameter| parameter.name).collect()
}

/// A text is one statement, and what follows it another.
fn is_whole(text: &str, dialect: Dialect) {
    let both = format!("{text};\nSELECT 2");
    assert_eq!(texts(&both, dialect), [text, "SELECT 2"], "{dialect:?}");
}

#[test]
fn postgresql_strings_hide_semicolons() {
    for text in [
        "SELECT 'a;b''c\\'",
        "SELECT E'a\\';b'",
        "SELECT $$a;b$$, $x$ $$ ; $x$",
        "DO $ä$ BEGIN PERFORM 1; END $ä$",
        "SELECT \"a;\"\"b\"",
        "SELECT 1 /* a /* ; */ ; */ + 1",
        "SELECT x$y$, 1 -- $$;",
    ] {
        let both = format!("{text}\n;SELECT 2");
        assert_eq!(texts(&both, PostgreSql).len(), 2, "{text}");
    }
}

#[test]
fn postgresql_bodies_and_rules_are_whole() {
    is_whole(
        "CREATE OR REPLACE FUNCTION f(a int) RETURNS int BEGIN ATOMIC\n\
         SELECT CASE WHEN a > 1 THEN 1 ELSE 2 END; SELECT 3; END",
        PostgreSql,
    );
    is_whole(
        "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO a VALUES (1); DELETE FROM b)",
        PostgreSql,
    );
    assert_eq!(texts("BEGIN; SELECT 1; END; SELECT 2", PostgreSql).len(), 4);
}

#[test]
fn postgresql_parameters_are_no_casts_and_no_slices() {
    let text = "SELECT :a::text, b[1:2], x := :b, ':c', $1, :a, $$ :d $$ -- :e";
    assert_eq!(names(text, PostgreSql), ["a", "b", "a"]);
}

#[test]
fn mysql_strings_and_comments_hide_semicolons() {
    for text in [
        "SELECT 'a\\';b', \"x\\\";\"",
        "SELECT 'it''s;', `a;b`",
        "SELECT 1 # one;",
        "SELECT 1 -- one;",
        "SELECT /*! 1; */ 2",
    ] {
        let both = format!("{text}\n;SELECT 2");
        assert_eq!(texts(&both, MySql).len(), 2, "{text}");
    }
    assert_eq!(texts("SELECT 1--1; SELECT 2", MySql).len(), 2);
    assert_eq!(
        texts("/*! SET a = 1 */; SELECT 1", MySql)[0],
        "/*! SET a = 1 */"
    );
}

#[test]
fn mysql_s_delimiter_is_the_client_s() {
    let text = "DELIMITER $$\nCREATE PROCEDURE p()\nBEGIN SELECT 1; SELECT ';$$'; END$$\n\
                SELECT 2 $$\ndelimiter ;\nSELECT 3; SELECT 4";
    let expected = [
        "CREATE PROCEDURE p()\nBEGIN SELECT 1; SELECT ';$$'; END",
        "SELECT 2",
        "SELECT 3",
        "SELECT 4",
    ];
    assert_eq!(texts(text, MySql), expected);
    assert_eq!(
        texts("DELIMITER //\nSELECT 1//\nSELECT 2;3//", MySql),
        ["SELECT 1", "SELECT 2;3"]
    );
}

#[test]
fn mysql_bodies_are_whole_without_a_delimiter() {
    is_whole(
        "CREATE DEFINER=`a`@`%` PROCEDURE p(IN x INT)\nBEGIN\n  IF x > 1 THEN SELECT IF(x, 1, 2); \
         ELSEIF x THEN BEGIN SELECT 1; END; ELSE CASE x WHEN 1 THEN SELECT 1; END CASE; END IF;\n  \
         l: LOOP LEAVE l; END LOOP; WHILE x DO SET x = CASE WHEN 1 THEN 0 END; END WHILE;\n\
         REPEAT SET x = REPEAT('a', 2); UNTIL 1 END REPEAT;\nEND",
        MySql,
    );
    is_whole(
        "CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW BEGIN SET @x = 1; END",
        MySql,
    );
    is_whole(
        "CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW SET @x = 1",
        MySql,
    );
    is_whole("BEGIN NOT ATOMIC SELECT 1; SELECT 2; END", MySql);
    assert_eq!(texts("BEGIN; SELECT 1; COMMIT", MySql).len(), 3);
    let definer = "CREATE DEFINER = CURRENT_USER PROCEDURE p() SELECT 1";
    assert_eq!(kind(definer, MySql), "create-procedure");
}

#[test]
fn mysql_parameters_are_no_variables() {
    assert_eq!(
        names("SET @a := :b, @@x = ':c'; SELECT :d", MySql),
        ["b", "d"]
    );
}

#[test]
fn sql_server_has_batches() {
    let text = "SELECT 1; SELECT 'x\nGO\n'\ngo\n\n/* \nGO\n*/ SELECT [a\nGO\n]\n  GO 5 -- five\nSELECT 3 AS GO\nGO 0";
    let (batches, _) = split(text, SqlServer);
    let found: Vec<_> = batches
        .iter()
        .map(|batch| (batch.text, batch.line, batch.repeat))
        .collect();
    assert_eq!(
        found,
        [
            ("SELECT 1; SELECT 'x\nGO\n'", 1, 1),
            ("SELECT [a\nGO\n]", 8, 5)
        ]
    );
}

#[test]
fn sql_server_names_of_the_batch_are_no_parameters() {
    let text = "DECLARE @a int = @p, @b decimal(10, 2);\nSET @a = @@ROWCOUNT + :q;\n\
                EXEC sp_x @job = @r, @b = @a OUTPUT; SELECT @S";
    assert_eq!(names(text, SqlServer), ["p", "q", "r", "S"]);
    let procedure = "CREATE PROCEDURE p @a int AS SELECT @a, @b";
    assert!(names(procedure, SqlServer).is_empty());
}

#[test]
fn what_never_ends_is_told_in_every_dialect() {
    for (text, dialect) in [
        ("SELECT $$x", PostgreSql),
        ("SELECT E'x\\'", PostgreSql),
        ("SELECT 'x\\'", MySql),
        ("SELECT 1 /* /* */", SqlServer),
        ("SELECT [x]]", SqlServer),
    ] {
        let (_, flaw) = split(text, dialect);
        assert!(flaw.is_some(), "{text}");
    }
}

/// All texts of up to five pieces that can go wrong.
#[test]
fn no_short_text_is_lost_or_misplaced() {
    let pieces = [
        "'",
        "\"",
        "$$",
        "$a$",
        "\\",
        ";",
        "\n",
        "GO",
        "go 2",
        "--",
        "/*",
        "*/",
        "#",
        "delimiter //",
        "//",
        "BEGIN",
        "END",
        "CREATE PROCEDURE",
        "ä",
        ":a",
        "@b",
        "(",
        ")",
        "[",
        "]",
    ];
    let mut texts = vec![String::new()];
    for _ in 0..3 {
        let longer = texts
            .iter()
            .flat_map(|text| pieces.map(|piece| format!("{text}{piece} ")));
        texts = longer.collect();
        for text in &texts {
            for dialect in Dialect::ALL {
                let (statements, _) = split(text, dialect);
                for statement in statements {
                    assert!(text[statement.start..].starts_with(statement.text));
                    assert!(!statement.text.trim().is_empty());
                    let line = text[..statement.start].matches('\n').count() + 1;
                    assert_eq!(statement.line as usize, line, "{text:?}");
                }
            }
        }
    }
}

#[test]
fn long_texts_take_no_time() {
    for (text, dialect) in [
        ("$a ".repeat(200_000), PostgreSql),
        ("BEGIN CASE ".repeat(50_000), MySql),
        ("@a = ".repeat(100_000), SqlServer),
        (":a, ".repeat(50_000), PostgreSql),
        ("GO x\n".repeat(100_000), SqlServer),
    ] {
        let (statements, _) = split(&text, dialect);
        assert!(!statements.is_empty());
    }
}
