//! Where the values of a job stand in its text.

use jobcell_model::Location;

use crate::support::{read, sql};

fn at(line: u32, column: u32) -> Option<Location> {
    Some(Location { line, column })
}

#[test]
fn values_are_found_by_pointer_in_either_spelling() {
    let job = read(
        "id: o\nname: O\ntype: PowerShell\nexecution_mode: inline\ninline_script: x\n\
         retry_policy: {max_retries: 2}\nschedule: {type: cron, cron: '0 0 * * *'}\n\
         parameters: {Level: 5}\nmetadata: {a/b: [x, {c: 1}]}\n",
    );
    assert_eq!(job.locate(""), at(1, 1));
    assert_eq!(job.locate("/inlineScript"), at(5, 16));
    assert_eq!(job.locate("/inline_script"), at(5, 16));
    assert_eq!(job.locate("/retryPolicy/maxRetries"), at(6, 29));
    assert_eq!(job.locate("/schedule/expression"), at(7, 30));
    assert_eq!(job.locate("/parameters/0/value"), at(8, 21));
    assert_eq!(job.locate("/metadata/a~1b/1/c"), at(9, 25));
}

#[test]
fn what_is_not_there_is_found_at_what_is_around_it() {
    let job = read(&sql("retryPolicy: {maxRetries: 1}\n"));
    assert_eq!(job.locate("/connection"), at(1, 1));
    assert_eq!(job.locate("/retryPolicy/backoff"), at(5, 14));
    assert_eq!(job.locate("/query/0/x"), at(4, 8));
    assert_eq!(job.locate("query"), None, "that is no pointer");
}

#[test]
fn a_place_inside_a_block_is_a_place_in_the_text() {
    let job = read("id: a\nname: A\ntype: SQL\nquery: |  # why\n  SELECT 1;\n  SELEC 2;\n");
    assert_eq!(job.locate("/query"), at(4, 8));
    assert_eq!(job.locate_within("/query", 1, 1), at(5, 3));
    assert_eq!(job.locate_within("/query", 2, 3), at(6, 5));
    assert_eq!(
        job.locate_within("/query", 3, 1),
        at(4, 8),
        "there is no third line"
    );
    assert_eq!(job.locate_within("/query", 0, 0), at(4, 8));
    assert_eq!(job.locate_within("/query", u32::MAX, u32::MAX), at(4, 8));
}

#[test]
fn blank_lines_and_deeper_indentation_do_not_shift_the_place() {
    let job = read("id: a\nname: A\ntype: SQL\nquery: |2\n\n\n      SELECT 1;\n\n    x\n");
    assert_eq!(job.configuration["query"], "\n\n    SELECT 1;\n\n  x\n");
    assert_eq!(job.locate_within("/query", 1, 1), at(5, 3));
    assert_eq!(job.locate_within("/query", 3, 5), at(7, 7));
    assert_eq!(job.locate_within("/query", 5, 3), at(9, 5));
    let crlf = read("id: a\r\nname: A\r\ntype: SQL\r\nquery: |\r\n  SELECT 1;\r\n  SELEC 2;\r\n");
    assert_eq!(crlf.locate_within("/query", 2, 3), at(6, 5));
}

#[test]
fn text_on_one_line_is_exact_and_folded_text_is_found_by_its_value() {
    let check = |query: &str, expected| {
        let job = read(&format!("id: a\nname: A\ntype: SQL\nquery: {query}\n"));
        assert_eq!(job.locate_within("/query", 1, 4), expected, "{query}");
    };
    check("SELECT 1", at(4, 11));
    check("'SELECT 1'", at(4, 12));
    check("\"SELECT 1\"", at(4, 12));
    check("\"SELECT\\t1\"", at(4, 8));
    check("'it''s'", at(4, 8));
    check("SELECT\n  1", at(4, 8));
    check(">\n  SELECT\n  1", at(4, 8));
}

#[test]
fn a_byte_order_mark_does_not_count() {
    let job = read(&format!("\u{feff}{}", sql("")));
    assert_eq!(job.locate("/id"), at(1, 5));
}

#[test]
fn columns_count_characters() {
    let job = read("id: a\nname: A\ntype: SQL\nquery: x\nmetadata: {größe: ü, b: 1}\n");
    assert_eq!(job.locate("/metadata/b"), at(5, 25));
}
