//! `--parameter NAME=VALUE`: a value for one run, typed as its job types it.
//! Never changes what the job has.

use jobcell_model::Parameter;
use serde_json::Value;

use crate::exit::{Exit, Failure};

/// Reads one argument. Its value is text until the job is known.
pub(crate) fn read(text: &str) -> Result<Parameter, Failure> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Parameter {
            name: name.to_owned(),
            value: value.into(),
        }),
        _ => Err(Failure::message(
            Exit::Usage,
            format!("`--parameter {text}` should be `--parameter NAME=VALUE`"),
        )),
    }
}

/// Gives each value the type that the job gives it, for `3` as a number and
/// `3` as text are not the same to a database.
pub(crate) fn typed(
    given: Vec<Parameter>,
    declared: &[Parameter],
) -> Result<Vec<Parameter>, Failure> {
    given
        .into_iter()
        .map(|parameter| one(parameter, declared))
        .collect()
}

fn one(given: Parameter, declared: &[Parameter]) -> Result<Parameter, Failure> {
    let Parameter { name, value } = given;
    let Some(known) = declared.iter().find(|known| known.name == name) else {
        return Err(unknown(&name, declared));
    };
    let text = value.as_str().unwrap_or_default();
    let kind = match &known.value {
        Value::Number(_) => "a number",
        Value::Bool(_) => "`true` or `false`",
        Value::Array(_) => "a JSON list",
        Value::Object(_) => "a JSON object",
        // What was empty takes anything, as text.
        Value::Null | Value::String(_) => return Ok(Parameter { name, value }),
    };
    match serde_json::from_str::<Value>(text) {
        Ok(value) if std::mem::discriminant(&value) == std::mem::discriminant(&known.value) => {
            Ok(Parameter { name, value })
        }
        _ => Err(Failure::message(
            Exit::Usage,
            format!("`--parameter {name}={text}`: the job has {kind} there"),
        )),
    }
}

fn unknown(name: &str, declared: &[Parameter]) -> Failure {
    let names: Vec<&str> = declared.iter().map(|known| known.name.as_str()).collect();
    let known = if names.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has {}", names.join(", "))
    };
    Failure::message(
        Exit::Usage,
        format!("the job has no parameter `{name}`; {known}"),
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    fn declared() -> Vec<Parameter> {
        let values = [
            ("limit", json!(1024)),
            ("on", json!(true)),
            ("who", json!("all")),
        ];
        values
            .map(|(name, value)| Parameter {
                name: name.to_owned(),
                value,
            })
            .into()
    }

    fn value(text: &str) -> Result<Value, String> {
        let typed = read(text).and_then(|given| typed(vec![given], &declared()));
        typed
            .map(|mut typed| typed.remove(0).value)
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn takes_the_type_that_the_job_gives_it() {
        assert_eq!(value("limit=0.5").unwrap(), json!(0.5));
        assert_eq!(value("on=false").unwrap(), json!(false));
        assert_eq!(value("who=5").unwrap(), json!("5"));
        assert_eq!(value("who=").unwrap(), json!(""));
        assert_eq!(value("who=a=b").unwrap(), json!("a=b"));
    }

    #[test]
    fn refuses_another_type_and_an_unknown_name() {
        assert!(value("limit=much").unwrap_err().contains("a number"));
        assert!(value("on=yes").unwrap_err().contains("`true` or `false`"));
        assert!(
            value("limits=5")
                .unwrap_err()
                .contains("it has limit, on, who")
        );
        assert!(value("=5").unwrap_err().contains("NAME=VALUE"));
    }
}
