//! V1's `configuration` in its five shapes: nested, empty, flat, a dump of the
//! whole job, mended by hand. Reads them all as one. Never gives a value a
//! meaning.

use serde_json::{Map, Value};

use crate::reason::{Reason, kind_of};
use crate::row::is_blank;

/// Keys that V2 has a place for, or that repeat columns.
const CARRIED: [&str; 32] = [
    "basic",
    "configuration",
    "connection",
    "connectionname",
    "connectionstring",
    "createdat",
    "createdby",
    "createddate",
    "description",
    "enabled",
    "executionpolicy",
    "id",
    "jobid",
    "jobtype",
    "maxretries",
    "metadata",
    "modifieddate",
    "name",
    "parameters",
    "powershell",
    "query",
    "retrydelay",
    "schedule",
    "script",
    "scriptcontent",
    "scriptpath",
    "sql",
    "sqlquery",
    "timeout",
    "timezone",
    "type",
    "workingdirectory",
];
/// Keys that say how V1 stood at some moment, or that it never used.
const STATE: [&str; 12] = [
    "currentstatus",
    "executionmode",
    "isrunning",
    "lastrun",
    "lastruntime",
    "nextrun",
    "nextruntime",
    "retrycount",
    "scheduleenabled",
    "scheduleexpression",
    "scheduletype",
    "updatedat",
];

/// A configuration: its mappings in the order in which they are looked at.
#[derive(Debug)]
pub(crate) struct Configuration {
    layers: Vec<Map<String, Value>>,
}

impl Configuration {
    /// Reads the text. `section` is the name that the nested shape has for the
    /// keys of the job's type.
    pub(crate) fn read(text: Option<&str>, section: Option<&str>) -> Result<Self, Reason> {
        let text = text.map(|text| text.trim_start_matches('\u{feff}').trim());
        let text = text.filter(|text| !text.is_empty());
        let mut value = json(text.ok_or(Reason::NoConfiguration)?)?;
        // Some tools encoded the text once more.
        if let Value::String(inner) = &value
            && let Ok(object @ Value::Object(_)) = json(inner)
        {
            value = object;
        }
        let root = match value {
            Value::Object(root) => root,
            Value::Null => return Err(Reason::NoConfiguration),
            other => {
                let found = kind_of(&other);
                return Err(Reason::NotAnObject { found });
            }
        };
        if root.is_empty() {
            return Err(Reason::NoConfiguration);
        }
        let sections = [section, Some("basic")];
        let sections = sections.into_iter().flatten();
        let mut layers: Vec<Map<String, Value>> = sections
            .filter_map(|name| find(&root, name)?.as_object().cloned())
            .collect();
        layers.push(root);
        Ok(Self { layers })
    }

    /// The value of the first of these keys that says something, with the key.
    pub(crate) fn get(&self, keys: &[&'static str]) -> Option<(&'static str, &Value)> {
        self.all(keys).into_iter().next()
    }

    /// All values of these keys that say something, the one that counts first.
    pub(crate) fn all(&self, keys: &[&'static str]) -> Vec<(&'static str, &Value)> {
        let each = keys.iter().flat_map(|key| {
            let layers = self.layers.iter();
            layers.filter_map(move |layer| Some((*key, find(layer, key)?)))
        });
        each.filter(|(_, value)| !is_blank(value)).collect()
    }

    /// The job type that it names, where the row names none.
    pub(crate) fn type_in(text: Option<&str>) -> Option<String> {
        let Ok(Value::Object(root)) = json(text?.trim_start_matches('\u{feff}')) else {
            return None;
        };
        let named = find(&root, "job_type").or_else(|| find(&root, "type"));
        named.and_then(Value::as_str).map(str::to_owned)
    }

    /// Names of keys that say something and that nobody knows.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let known = |key: &str| {
            let key = folded(key);
            let dropped = DROPPED.iter().any(|(name, _)| folded(name) == key);
            dropped || CARRIED.contains(&key.as_str()) || STATE.contains(&key.as_str())
        };
        let entries = self.layers.iter().flatten();
        let entries = entries.filter(|(key, value)| !is_blank(value) && !known(key));
        let mut keys: Vec<String> = entries.map(|(key, _)| key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// Keys that V2 has no place for, with what holds instead.
pub(crate) const DROPPED: [(&str, &str); 6] = [
    ("run_as", "V2 runs jobs as the account of its server"),
    ("query_timeout", "the job's `timeout` holds"),
    ("max_rows", "the server's limit of rows holds"),
    ("fetch_size", "V2 chooses how many rows it fetches"),
    ("database_name", "the connection names its database"),
    ("connection_string", "the named connection holds"),
];

fn json(text: &str) -> Result<Value, Reason> {
    serde_json::from_str(text).map_err(|error| Reason::NotJson {
        error: error.to_string(),
    })
}

/// A key as it is, else in another casing or spelling.
pub(crate) fn find<'a>(layer: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let full = |value: &&Value| !value.is_null();
    layer.get(key).filter(full).or_else(|| {
        let wanted = folded(key);
        let mut others = layer.iter().filter(|(name, _)| folded(name) == wanted);
        others.find_map(|(_, value)| Some(value).filter(full))
    })
}

/// `scriptPath`, `Script_Path` and `script_path` are one.
pub(crate) fn folded(key: &str) -> String {
    let letters = key.chars().filter(|one| !matches!(one, '_' | '-' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}
