//! V1's parameters in all their forms: arguments, `{name, value}`, a mapping,
//! `name=value`, one line of text. Never changes a value's type.

use std::collections::HashSet;

use serde_json::{Map, Value};

use jobcell_model::Parameter;

use crate::argv::{self, Read};
use crate::configuration::find;
use crate::draft::fitting;
use crate::reason::kind_of;
use crate::row::shown;

/// Reads parameters. `powershell` asks for names that PowerShell takes.
pub(crate) fn read(value: &Value, powershell: bool) -> Result<Read, String> {
    let (parameters, notes) = match value {
        Value::Array(items) => of_list(items)?,
        Value::Object(members) => (of_mapping(members), Vec::new()),
        Value::String(text) => of_line(text)?,
        other => return Err(format!("they are {}", kind_of(other))),
    };
    let mut names = HashSet::new();
    for Parameter { name, value } in &parameters {
        if fitting(value) != *value {
            let name = shown(name, 40);
            return Err(format!(
                "the value of `{name}` is too deep, too large, or holds a NUL character"
            ));
        }
        let blank = name.trim().is_empty() || name.chars().any(char::is_control);
        if blank || powershell && !argv::is_name(name) {
            return Err(format!("`{}` is no name for a parameter", shown(name, 40)));
        }
        let name = if powershell {
            name.to_lowercase()
        } else {
            name.clone()
        };
        if !names.insert(name) {
            return Err("one name is given twice".to_owned());
        }
    }
    Ok((parameters, notes))
}

fn of_mapping(members: &Map<String, Value>) -> Vec<Parameter> {
    let members = members.iter();
    let read = members.map(|(name, value)| Parameter {
        name: name.clone(),
        value: value.clone(),
    });
    read.collect()
}

fn of_list(items: &[Value]) -> Result<Read, String> {
    if argv::is_argv(items) {
        return argv::read(items);
    }
    let read = items.iter().map(|item| match item {
        Value::Object(entry) => named(entry),
        Value::String(text) => assigned(text),
        other => Err(format!("{} stands without a name", kind_of(other))),
    });
    Ok((read.collect::<Result<_, _>>()?, Vec::new()))
}

fn named(entry: &Map<String, Value>) -> Result<Parameter, String> {
    let name = find(entry, "name").and_then(Value::as_str);
    let name = name.ok_or("an entry has no `name`")?;
    let mut members = entry.iter();
    let value = members.find(|(key, _)| key.eq_ignore_ascii_case("value"));
    let (_, value) = value.ok_or_else(|| format!("`{}` has no `value`", shown(name, 40)))?;
    Ok(Parameter {
        name: name.to_owned(),
        value: value.clone(),
    })
}

fn assigned(text: &str) -> Result<Parameter, String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{}` stands without a name", shown(text, 40)))?;
    Ok(Parameter {
        name: name.trim().to_owned(),
        value: Value::from(value),
    })
}

/// One line, as it was typed into V1's form.
fn of_line(text: &str) -> Result<Read, String> {
    if let Ok(value @ (Value::Array(_) | Value::Object(_))) = serde_json::from_str(text) {
        return match value {
            Value::Object(members) => Ok((of_mapping(&members), Vec::new())),
            Value::Array(items) => of_list(&items),
            _ => Ok((Vec::new(), Vec::new())),
        };
    }
    let items: Vec<Value> = text.split_whitespace().map(Value::from).collect();
    of_list(&items)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(value: Value) -> Value {
        let (parameters, _) = super::read(&value, true).unwrap();
        let pairs = parameters
            .into_iter()
            .map(|one| json!([one.name, one.value]));
        pairs.collect()
    }

    #[test]
    fn reads_every_form() {
        let expected = json!([["Count", 2], ["Message", "Hi there"]]);
        assert_eq!(named(json!({"Message": "Hi there", "Count": 2})), expected);
        let list = json!([{"name": "Count", "value": 2}, {"Name": "Message", "Value": "Hi there"}]);
        assert_eq!(named(list), expected);
        let texts = json!([["Count", "2"], ["Message", "a=b"]]);
        assert_eq!(named(json!(["Count=2", "Message=a=b"])), texts);
        assert_eq!(
            named(json!("-Count 2 -Force")),
            json!([["Count", "2"], ["Force", true]])
        );
        assert_eq!(named(json!("{\"Count\": 2}")), json!([["Count", 2]]));
        assert_eq!(
            named(json!([{"name": "Servers", "value": ["a", "b"]}])),
            json!([["Servers", ["a", "b"]]])
        );
    }

    #[test]
    fn what_can_not_be_read_says_why() {
        for (value, why) in [
            (json!(["alone"]), "`alone` stands without a name"),
            (json!([1]), "a number stands without a name"),
            (json!([{"value": 1}]), "no `name`"),
            (json!([{"name": "A"}]), "`A` has no `value`"),
            (json!({"two words": 1}), "no name"),
            (json!(["-A", "1", "-a", "2"]), "twice"),
            (json!(true), "true or false"),
            (
                json!([{"name": "A", "value": 1}, "B"]),
                "`B` stands without",
            ),
        ] {
            let error = super::read(&value, true).unwrap_err();
            assert!(error.contains(why), "{value}: {error}");
        }
        assert!(super::read(&json!({"two words": 1}), false).is_ok());
    }
}
