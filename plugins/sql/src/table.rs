//! Shows rows as people read them: a table, or one field a line where a table
//! would be too wide. Never knows how wide the reader's window is.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use jobcell_plugin_sdk::sql::{Column, Value};

use crate::value::{cell, is_number, line};

/// Wider than this, a row becomes a block with one field a line.
const WIDTH: usize = 180;
/// The longest column name that is shown, in characters.
const NAME: usize = 64;

/// The rows under their columns' names, with a line end after the last line.
pub(crate) fn render(columns: &[Column], rows: &[Vec<Value>]) -> String {
    let names: Vec<String> = columns
        .iter()
        .map(|column| line(&column.name, NAME))
        .collect();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|value| cell(value).0).collect())
        .collect();
    if width(&names, &cells) > WIDTH {
        return blocks(&names, &cells);
    }
    // ASCII, because it survives every console, mail and log.
    let mut table = Table::new();
    table.load_style(presets::ASCII_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(names);
    for (row, cells) in rows.iter().zip(cells) {
        table.add_row(row.iter().zip(cells).map(|(value, text)| {
            let aligned = if is_number(value) {
                CellAlignment::Right
            } else {
                CellAlignment::Left
            };
            Cell::new(text).set_alignment(aligned)
        }));
    }
    let mut text = table.to_string();
    text.push('\n');
    text
}

/// How wide the table would be. Counts characters, which is near enough.
fn width(names: &[String], cells: &[Vec<String>]) -> usize {
    let of_column = |(index, name): (usize, &String)| {
        let widest = cells
            .iter()
            .filter_map(|row| row.get(index))
            .map(|text| text.chars().count());
        widest.max().unwrap_or(0).max(name.chars().count()) + 3
    };
    names.iter().enumerate().map(of_column).sum::<usize>() + 1
}

fn blocks(names: &[String], rows: &[Vec<String>]) -> String {
    let widest = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        text.push_str(&format!("-- row {} --\n", index + 1));
        for (name, cell) in names.iter().zip(row) {
            text.push_str(&format!("{name:widest$} | {cell}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::render;
    use jobcell_plugin_sdk::sql::{Column, Value};

    fn column(name: &str) -> Column {
        Column {
            name: name.to_owned(),
            type_name: String::new(),
        }
    }

    #[test]
    fn numbers_stand_at_the_right() {
        let rows = [
            vec![Value::Integer(7), Value::Text("seven".to_owned())],
            vec![Value::Integer(1234), Value::Null],
        ];
        let expected = "\
+------+-------+
| id   | name  |
+==============+
|    7 | seven |
| 1234 | NULL  |
+------+-------+
";
        assert_eq!(render(&[column("id"), column("name")], &rows), expected);
    }

    #[test]
    fn an_empty_result_shows_its_columns() {
        assert_eq!(
            render(&[column("id")], &[]),
            "+----+\n| id |\n+====+\n+----+\n"
        );
    }

    #[test]
    fn a_wide_row_becomes_a_block() {
        let row = vec![Value::Text("a".repeat(150)), Value::Text("b".repeat(150))];
        let text = render(&[column("x"), column("long")], &[row]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "-- row 1 --");
        assert!(
            lines[1].starts_with("x    | aaa") && lines[2].starts_with("long | bbb"),
            "{text}"
        );
    }
}
