//! One statement with its named parameters as a server wants them: numbered or
//! by order. Values never become part of the text.

use jobcell_plugin_host::bindings::sql::Value;
use jobcell_sql_text::Dialect;

use crate::error::SqlError;

/// A statement that was prepared.
#[derive(Debug)]
pub(crate) struct Statement {
    /// As the job has it, without blanks around it.
    pub(crate) text: String,
    /// As the server gets it.
    pub(crate) sent: String,
    /// What it does first: `select`, `begin`.
    pub(crate) kind: String,
    /// The parameters' names, each once, in order of appearance.
    names: Vec<String>,
    /// For each mark in `sent`, which of the names it is.
    marks: Vec<usize>,
    /// For each mark: where it ends in `sent`, and how much longer the job's
    /// text is up to there.
    shifts: Vec<(usize, isize)>,
}

impl Statement {
    pub(crate) fn new(text: &str, dialect: Dialect) -> Result<Self, SqlError> {
        let text = text.trim();
        if text.contains('\0') {
            return Err(SqlError::NotOneStatement("the text holds a NUL character"));
        }
        let mut statement = Self {
            text: text.to_owned(),
            sent: String::with_capacity(text.len()),
            kind: jobcell_sql_text::kind(text, dialect),
            names: Vec::new(),
            marks: Vec::new(),
            shifts: Vec::new(),
        };
        let mut copied = 0;
        for parameter in jobcell_sql_text::parameters(text, dialect) {
            statement
                .sent
                .push_str(&text[copied..parameter.range.start]);
            let index = statement.number(parameter.name);
            statement.marks.push(index);
            statement.sent.push_str(&mark(dialect, index));
            copied = parameter.range.end;
            let shift = copied.cast_signed() - statement.sent.len().cast_signed();
            statement.shifts.push((statement.sent.len(), shift));
        }
        statement.sent.push_str(&text[copied..]);
        Ok(statement)
    }

    fn number(&mut self, name: &str) -> usize {
        let known = self.names.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        })
    }

    /// How many different parameters it has.
    pub(crate) fn parameters(&self) -> usize {
        self.names.len()
    }

    /// For each mark in the text, which parameter it is.
    pub(crate) fn marks(&self) -> &[usize] {
        &self.marks
    }

    /// Puts a value into the parameter of this name.
    pub(crate) fn bind(
        &self,
        bindings: &mut Vec<Option<Value>>,
        name: &str,
        value: &Value,
    ) -> Result<(), SqlError> {
        bindings.resize(self.names.len(), None);
        match self.names.iter().position(|known| known == name) {
            Some(index) => bindings[index] = Some(value.clone()),
            None => {
                let known = self.names.iter().map(|name| format!("`{name}`"));
                return Err(SqlError::UnknownParameter {
                    name: name.to_owned(),
                    known: known.collect::<Vec<_>>().join(", "),
                });
            }
        }
        Ok(())
    }

    /// The values in order, when none is missing.
    pub(crate) fn bound(&self, mut bindings: Vec<Option<Value>>) -> Result<Vec<Value>, SqlError> {
        bindings.resize(self.names.len(), None);
        let named = bindings.into_iter().zip(&self.names);
        named
            .map(|(value, name)| {
                value.ok_or_else(|| SqlError::UnboundParameter {
                    parameter: name.clone(),
                })
            })
            .collect()
    }

    /// Where a byte of the text that was sent stands in the job's.
    pub(crate) fn place_in_text(&self, sent: usize) -> usize {
        let passed = self.shifts.iter().take_while(|(end, _)| *end <= sent);
        let shift = passed.last().map_or(0, |(_, shift)| *shift);
        sent.saturating_add_signed(shift).min(self.text.len())
    }
}

fn mark(dialect: Dialect, index: usize) -> String {
    match dialect {
        Dialect::PostgreSql => format!("${}", index + 1),
        Dialect::SqlServer => format!("@P{}", index + 1),
        Dialect::MySql | Dialect::Sqlite => "?".to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::Statement;
    use jobcell_plugin_host::bindings::sql::Value;
    use jobcell_sql_text::Dialect;

    const TEXT: &str = " SELECT :b, ':no', :a::text, :b -- :no\n";

    #[test]
    fn postgresql_gets_numbers() {
        let statement = Statement::new(TEXT, Dialect::PostgreSql).unwrap();
        assert_eq!(statement.sent, "SELECT $1, ':no', $2::text, $1 -- :no");
        assert_eq!(statement.parameters(), 2);
    }

    #[test]
    fn mysql_gets_question_marks_in_order() {
        let statement = Statement::new("SELECT :b, :a, :b", Dialect::MySql).unwrap();
        assert_eq!(statement.sent, "SELECT ?, ?, ?");
        assert_eq!(statement.marks(), [0, 1, 0]);
    }

    #[test]
    fn a_place_is_found_again() {
        let statement = Statement::new("SELECT :name, x", Dialect::PostgreSql).unwrap();
        assert_eq!(statement.sent, "SELECT $1, x");
        assert_eq!(statement.place_in_text(11), 14);
        assert_eq!(statement.place_in_text(3), 3);
        assert_eq!(statement.place_in_text(999), 15);
    }

    #[test]
    fn every_parameter_needs_a_value() {
        let statement = Statement::new("SELECT :a, :b", Dialect::PostgreSql).unwrap();
        let mut bindings = Vec::new();
        statement
            .bind(&mut bindings, "a", &Value::Integer(1))
            .unwrap();
        let error = statement.bound(bindings.clone()).unwrap_err();
        assert!(
            error.to_string().contains("parameter b has no value"),
            "{error}"
        );
        let error = statement
            .bind(&mut bindings, "c", &Value::Null)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the statement has no parameter `c`; it has: `a`, `b`"
        );
        statement.bind(&mut bindings, "b", &Value::Null).unwrap();
        assert_eq!(statement.bound(bindings).unwrap().len(), 2);
    }

    #[test]
    fn a_nul_is_refused() {
        assert!(Statement::new("SELECT '\0'", Dialect::PostgreSql).is_err());
    }
}
