//! Turns parameters into arguments of `-File`, one string each, so that no
//! value can become code. Never quotes: there is no shell to read quotes.

use serde_json::Value;

/// What PowerShell takes for the dash before a parameter's name.
const DASHES: [char; 4] = ['-', '\u{2013}', '\u{2014}', '\u{2015}'];

/// A parameter that `-File` can't carry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) name: String,
    pub(crate) reason: &'static str,
}

/// The arguments before a script's own. An execution policy means something on
/// Windows alone.
pub(crate) fn fixed<'a>(tool: &str, policy: &'a str, script: &'a str) -> Vec<&'a str> {
    let mut fixed = vec!["-NoProfile", "-NonInteractive"];
    if tool.to_ascii_lowercase().ends_with(".exe") {
        fixed.extend(["-ExecutionPolicy", policy]);
    }
    fixed.extend(["-File", script]);
    fixed
}

/// Whether PowerShell takes this for the name of a parameter.
pub(crate) fn check_name(name: &str) -> Result<(), Unfit> {
    let plain = name.chars().enumerate().all(|(index, character)| {
        character == '_' || character.is_alphabetic() || index > 0 && character.is_alphanumeric()
    });
    if !name.is_empty() && plain {
        return Ok(());
    }
    Err(Unfit {
        name: name.to_owned(),
        reason: "its name is no PowerShell name: use letters, digits and `_`",
    })
}

/// The arguments of one parameter: none for null.
pub(crate) fn parameter(name: &str, value: &Value) -> Result<Vec<String>, Unfit> {
    let unfit = |reason| {
        Err(Unfit {
            name: name.to_owned(),
            reason,
        })
    };
    check_name(name)?;
    let value = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Bool(true) => return Ok(vec![format!("-{name}:$true")]),
        Value::Bool(false) => return Ok(vec![format!("-{name}:$false")]),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => {
            return unfit("`-File` carries no lists and mappings");
        }
    };
    if value.contains('\0') {
        return unfit("its value contains a NUL character");
    }
    // Behind a colon a leading dash can't be taken for another parameter. An
    // empty value must stand alone: a name that ends in a colon takes whatever
    // argument comes next.
    if value.starts_with(DASHES) {
        return Ok(vec![format!("-{name}:{value}")]);
    }
    Ok(vec![format!("-{name}"), value])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(value: Value) -> Vec<String> {
        parameter("Name", &value).unwrap_or_else(|unfit| panic!("{unfit:?}"))
    }

    #[test]
    fn text_is_one_argument_whatever_it_holds() {
        for text in [
            "a b",
            "it's",
            "\"q\"",
            "$(Get-Date)",
            "`n",
            "a;b|c",
            "zwei\nZeilen",
            "ä€😀",
            "%PATH%",
        ] {
            assert_eq!(arguments(json!(text)), ["-Name", text]);
        }
    }

    #[test]
    fn a_value_with_a_dash_is_no_parameter() {
        assert_eq!(arguments(json!("-Force")), ["-Name:-Force"]);
        assert_eq!(arguments(json!(-5)), ["-Name:-5"]);
        // PowerShell takes typographic dashes for the plain one.
        for dash in ["\u{2013}x", "\u{2014}x", "\u{2015}x"] {
            assert_eq!(arguments(json!(dash)), [format!("-Name:{dash}")]);
        }
    }

    #[test]
    fn an_empty_value_does_not_swallow_the_next_argument() {
        assert_eq!(arguments(json!("")), ["-Name", ""]);
    }

    #[test]
    fn other_types_have_their_form() {
        assert_eq!(arguments(json!(1.5)), ["-Name", "1.5"]);
        assert_eq!(arguments(json!(true)), ["-Name:$true"]);
        assert_eq!(arguments(json!(false)), ["-Name:$false"]);
        assert!(arguments(Value::Null).is_empty());
    }

    #[test]
    fn what_can_not_be_carried_is_refused_by_name() {
        assert_eq!(
            parameter("Name", &json!([1])).map_err(|unfit| unfit.name),
            Err("Name".to_owned())
        );
        for name in ["", "a b", "-a", "1a", "a;b", "a:b", "a'"] {
            assert!(parameter(name, &json!("x")).is_err(), "{name}");
        }
    }

    #[test]
    fn a_policy_is_passed_where_it_means_something() {
        let fixed = |tool| super::fixed(tool, "RemoteSigned", "/s.ps1").join(" ");
        assert_eq!(
            fixed("/usr/bin/pwsh"),
            "-NoProfile -NonInteractive -File /s.ps1"
        );
        assert_eq!(
            fixed("C:\\PowerShell.EXE"),
            "-NoProfile -NonInteractive -ExecutionPolicy RemoteSigned -File /s.ps1"
        );
    }
}
