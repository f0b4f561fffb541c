//! Parameters that V1 kept as arguments of PowerShell, as names and values.
//! Never guesses what a value without a name is for.

use serde_json::Value;

use jobcell_model::Parameter;

/// Arguments read as parameters, and what was decided on the way.
pub(crate) type Read = (Vec<Parameter>, Vec<String>);

/// Whether a list of arguments is meant: some argument begins with a dash.
pub(crate) fn is_argv(items: &[Value]) -> bool {
    items
        .iter()
        .any(|item| item.as_str().and_then(name_of).is_some())
}

/// Reads arguments: each value follows its name, a name without a value is a
/// switch.
pub(crate) fn read(items: &[Value]) -> Result<Read, String> {
    let mut notes = Vec::new();
    let mut parameters: Vec<Parameter> = Vec::new();
    let mut rest = joined(items, &mut notes)?.into_iter().peekable();
    while let Some(argument) = rest.next() {
        let Some((name, own)) = argument.as_name() else {
            return Err(format!("`{}` stands without a name", argument.shown()));
        };
        let value = match own {
            Own::Value(value) => value,
            Own::Switch | Own::Next => {
                let next = rest.next_if(|next| next.as_name().is_none());
                match (next, own) {
                    (Some(next), _) => next.value,
                    (None, Own::Next) => return Err(format!("`-{name}:` has no value")),
                    (None, _) => Value::Bool(true),
                }
            }
        };
        parameters.push(Parameter {
            name: name.to_owned(),
            value,
        });
    }
    Ok((parameters, notes))
}

struct Argument {
    value: Value,
    /// It was in quotes, so it is no name.
    quoted: bool,
}

/// What stands in one argument with its name.
enum Own {
    /// Nothing: `-Force`, `-Count`.
    Switch,
    /// A colon, behind which the next argument is the value.
    Next,
    /// The value: `-Count:2`, `-Force:$false`.
    Value(Value),
}

impl Argument {
    fn as_name(&self) -> Option<(&str, Own)> {
        let text = self.value.as_str().filter(|_| !self.quoted)?;
        let (name, value) = name_of(text)?;
        let own = match value {
            None => Own::Switch,
            Some("") => Own::Next,
            Some(value) if value.eq_ignore_ascii_case("$true") => Own::Value(Value::Bool(true)),
            Some(value) if value.eq_ignore_ascii_case("$false") => Own::Value(Value::Bool(false)),
            Some(value) => Own::Value(Value::from(value)),
        };
        Some((name, own))
    }

    fn shown(&self) -> String {
        let text = crate::row::text_of(&self.value).unwrap_or_default();
        crate::row::shown(&text, 40)
    }
}

/// The name in `-Name` and `-Name:value`, with the value. `-5` is a number.
fn name_of(text: &str) -> Option<(&str, Option<&str>)> {
    // PowerShell takes typographic dashes for the plain one.
    let rest = text.strip_prefix(['-', '\u{2013}', '\u{2014}', '\u{2015}'])?;
    let (name, value) = match rest.split_once(':') {
        Some((name, value)) => (name, Some(value)),
        None => (rest, None),
    };
    is_name(name).then_some((name, value))
}

/// Whether PowerShell takes it for the name of a parameter.
pub(crate) fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    let first = letters
        .next()
        .is_some_and(|one| one == '_' || one.is_alphabetic());
    first && letters.all(|one| one == '_' || one.is_alphanumeric())
}

/// Puts together what V1's form had split at the blanks inside quotes.
fn joined(items: &[Value], notes: &mut Vec<String>) -> Result<Vec<Argument>, String> {
    let mut arguments = Vec::new();
    let mut rest = items.iter();
    while let Some(item) = rest.next() {
        if matches!(item, Value::Null | Value::Array(_) | Value::Object(_)) {
            let kind = crate::reason::kind_of(item);
            return Err(format!("{kind} stands among the arguments"));
        }
        let text = item.as_str().unwrap_or_default();
        let quote = text.chars().next();
        let argument = match quote.filter(|one| matches!(one, '\'' | '"')) {
            None => Argument {
                value: item.clone(),
                quoted: false,
            },
            Some(quote) => Argument {
                value: Value::from(unquoted(text, quote, &mut rest)?),
                quoted: true,
            },
        };
        arguments.push(argument);
    }
    if arguments.iter().any(|argument| argument.quoted) {
        let note = "V1's form split parameters at blanks; text in quotes is one value again";
        notes.push(note.to_owned());
    }
    Ok(arguments)
}

/// The text between quotes, of which the first argument has the opening one.
fn unquoted<'a>(
    first: &str,
    quote: char,
    rest: &mut impl Iterator<Item = &'a Value>,
) -> Result<String, String> {
    let mut whole = first.to_owned();
    while whole.len() < 2 || !whole.ends_with(quote) {
        let Some(Value::String(next)) = rest.next() else {
            let shown = crate::row::shown(first, 40);
            return Err(format!("the quote in `{shown}` is never closed"));
        };
        whole.push(' ');
        whole.push_str(next);
    }
    let inner = &whole[1..whole.len() - 1];
    if inner.contains(quote) {
        let shown = crate::row::shown(&whole, 40);
        return Err(format!("the quotes in `{shown}` can't be told apart"));
    }
    Ok(inner.to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(items: Value) -> Value {
        let (parameters, _) = read(items.as_array().unwrap()).unwrap();
        let pairs = parameters
            .into_iter()
            .map(|one| json!([one.name, one.value]));
        pairs.collect()
    }

    #[test]
    fn every_value_follows_its_name() {
        assert_eq!(
            named(json!(["-Message", "Scheduled", "-Count", "2"])),
            json!([["Message", "Scheduled"], ["Count", "2"]])
        );
        assert_eq!(
            named(json!(["-Message", "Scheduled Test", "-Offset", "-5"])),
            json!([["Message", "Scheduled Test"], ["Offset", "-5"]])
        );
    }

    #[test]
    fn a_name_without_a_value_is_a_switch() {
        assert_eq!(
            named(json!(["-Force", "-Path", "C:\\Temp", "-Verbose"])),
            json!([["Force", true], ["Path", "C:\\Temp"], ["Verbose", true]])
        );
        assert_eq!(
            named(json!([
                "-Force:$false",
                "-Level:High",
                "-Name:",
                "x",
                "-Empty",
                ""
            ])),
            json!([
                ["Force", false],
                ["Level", "High"],
                ["Name", "x"],
                ["Empty", ""]
            ])
        );
    }

    #[test]
    fn text_in_quotes_is_one_value_again() {
        assert_eq!(
            named(json!([
                "-Message", "'Hello", "-big", "World'", "-Level", "\"-x\""
            ])),
            json!([["Message", "Hello -big World"], ["Level", "-x"]])
        );
    }

    #[test]
    fn what_has_no_name_is_never_guessed() {
        for (items, why) in [
            (
                json!(["-Message", "Hello", "World"]),
                "`World` stands without a name",
            ),
            (json!(["x", "-Count", "2"]), "`x` stands without a name"),
            (json!(["-Message", "'Hello", "World"]), "never closed"),
            (json!(["-Message", "'"]), "never closed"),
            (json!(["-Message", "'a'b'"]), "can't be told apart"),
            (json!(["-A", {"b": 1}]), "an object stands among"),
            (json!(["-A:"]), "has no value"),
        ] {
            let error = read(items.as_array().unwrap()).unwrap_err();
            assert!(error.contains(why), "{items}: {error}");
        }
    }
}
