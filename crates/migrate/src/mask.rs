//! Takes what may be a password out of V1's rows before anybody sees them.
//! Rather hides too much than too little; never changes what is migrated.

use serde_json::Value;

/// What stands in the place of a secret.
const HIDDEN: &str = "(hidden)";
/// Parts of keys whose values are secrets, in lower case, without `_` and `-`.
const KEYS: [&str; 9] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "connectionstring",
    "apikey",
    "credential",
];

/// A row as it may be shown: without passwords, tokens and connection strings.
#[must_use]
pub fn masked(row: &Value) -> Value {
    match row {
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| {
                let value = if is_secret(key) {
                    hidden(value)
                } else {
                    masked(value)
                };
                (key.clone(), value)
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => {
            // A switch and its value: `-Password`, `abc`.
            let mut after_secret = false;
            let items = items.iter().map(|item| {
                let shown = if after_secret {
                    hidden(item)
                } else {
                    named_pair(item).unwrap_or_else(|| masked(item))
                };
                let switch = item.as_str().filter(|text| text.starts_with(['-', '/']));
                after_secret =
                    switch.is_some_and(|text| !text.contains(['=', ':']) && is_secret(text));
                shown
            });
            Value::Array(items.collect())
        }
        Value::String(text) => Value::String(masked_text(text)),
        other => other.clone(),
    }
}

/// A text as it may be shown. Where it is JSON, as V1's configurations are, its
/// keys count; else whatever follows a word for a secret.
#[must_use]
pub fn masked_text(text: &str) -> String {
    if text.trim_start().starts_with(['{', '[']) {
        return match serde_json::from_str::<Value>(text) {
            Ok(read) => {
                let shown = masked(&read);
                if shown == read {
                    text.to_owned()
                } else {
                    shown.to_string()
                }
            }
            // Where a secret ends can't be told in what is no JSON.
            Err(_) => cut_at_secret(text),
        };
    }
    without_assignments(text)
}

/// A parameter with a name and a value.
fn named_pair(item: &Value) -> Option<Value> {
    let members = item.as_object()?;
    let name = members
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("name"))?;
    if !is_secret(name.1.as_str()?) {
        return None;
    }
    let members = members.iter().map(|(key, value)| {
        let shown = match key.eq_ignore_ascii_case("name") {
            true => value.clone(),
            false => hidden(value),
        };
        (key.clone(), shown)
    });
    Some(Value::Object(members.collect()))
}

fn hidden(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::String(text) if text.is_empty() => value.clone(),
        _ => Value::String(HIDDEN.to_owned()),
    }
}

fn is_secret(key: &str) -> bool {
    let key: String = key
        .chars()
        .filter(|one| one.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    KEYS.iter().any(|secret| key.contains(secret))
}

fn cut_at_secret(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let words = KEYS.iter().chain(&["connection_string", "api_key"]);
    match words.filter_map(|word| lower.find(word)).min() {
        Some(at) => format!("{}{HIDDEN}: the rest may hold a password", &text[..at]),
        None => without_assignments(text),
    }
}

/// Hides `Password=…` and `-Password …` up to the end of the value, and the
/// password of a URL.
fn without_assignments(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((start, end)) = next_secret(rest) {
        shown.push_str(&rest[..start]);
        shown.push_str(HIDDEN);
        rest = &rest[end..];
    }
    shown.push_str(rest);
    shown
}

/// Where the value of the next secret lies.
fn next_secret(text: &str) -> Option<(usize, usize)> {
    let lower = text.to_ascii_lowercase();
    let assigned = KEYS.iter().flat_map(|key| {
        let places = lower.match_indices(key);
        places.filter_map(|(at, word)| value_after(text, at + word.len()))
    });
    assigned.chain(of_url(text)).min()
}

fn value_after(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = &text[at..];
    let spaced = rest.trim_start_matches([' ', '\t', '"', '\'', ']']);
    let value = match spaced.strip_prefix(['=', ':']) {
        Some(value) => value.trim_start_matches([' ', '\t']),
        // `-Password abc`, but no word in a sentence.
        None if rest.len() > spaced.len() && is_switch(text, at) => spaced,
        None => return None,
    };
    let start = text.len() - value.len();
    let length = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].find(quote).map(|end| end + 2),
        _ => value.find(|one: char| one.is_whitespace() || matches!(one, ';' | '"' | '\'' | ',')),
    };
    let length = length.unwrap_or(value.len());
    (length > 0).then_some((start, start + length))
}

fn is_switch(text: &str, end: usize) -> bool {
    let word = text[..end].rsplit(char::is_whitespace).next();
    word.is_some_and(|word| word.starts_with(['-', '/']))
}

/// The password in `scheme://user:password@host`.
fn of_url(text: &str) -> Option<(usize, usize)> {
    text.match_indices("://").find_map(|(at, sign)| {
        let start = at + sign.len();
        let end = text[start..].find(|one: char| one.is_whitespace() || one == '/');
        let authority = &text[start..end.map_or(text.len(), |end| start + end)];
        let user = authority.rfind('@')?;
        let colon = authority[..user].find(':')?;
        (authority[colon + 1..user] != *HIDDEN).then_some((start + colon + 1, start + user))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_secret_of_a_row_is_shown() {
        let configuration = json!({
            "connection_string": "Server=a;Password=s3cret",
            "sql": { "Api-Key": "s3cret", "query": "SELECT 1" },
            "parameters": ["-Password", "s3cret", "-Count", "2"],
        });
        let row = json!({
            "name": "n",
            "PASSWORD": "s3cret",
            "configuration": configuration.to_string(),
            "description": "Server=a;Pwd=s3cret;Port=1 and https://u:s3cret@h/x",
            "parameters": [{ "name": "AdminPassword", "value": "s3cret" }],
            "output": "run with -Password s3cret -Count 2, token: 's3cret'",
        });
        let shown = masked(&row).to_string();
        assert!(!shown.contains("s3cret"), "{shown}");
        for kept in ["SELECT 1", "Port=1", "@h/x", "-Count 2", "Server=a"] {
            assert!(shown.contains(kept), "{kept} is gone: {shown}");
        }
    }

    #[test]
    fn broken_json_is_cut_where_a_secret_may_begin() {
        let shown = masked_text("{\"query\": \"SELECT 1\", \"Password\": \"s3\\\"cret");
        assert!(
            shown.contains("SELECT 1") && !shown.contains("cret"),
            "{shown}"
        );
        let shown = masked_text("{\"connection_string\": Server=s3cret");
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is() {
        let row =
            json!({ "name": "Passwort läuft ab", "configuration": "{ \"a\": 1 }", "n": null });
        assert_eq!(masked(&row), row);
        let text = "checks the password of each user";
        assert_eq!(masked_text(text), text);
    }
}
