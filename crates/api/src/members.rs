//! The members of a JSON body, taken apart one after the other, so that each
//! error names its member. Never decides what a job may be called.

use jobcell_model::Problem;
use serde_json::{Map, Value};

use crate::body::no_object;
use crate::error::ApiError;
use crate::extract::shortened;
use crate::views::warning;

/// The longest name, in characters.
const LONGEST_NAME: usize = 255;
/// The longest description, in bytes.
const LONGEST_DESCRIPTION: usize = 64 << 10;

/// The members of a JSON object that nobody has asked for yet.
#[derive(Default)]
pub(crate) struct Members(Map<String, Value>);

impl Members {
    /// The members of this object.
    pub(crate) fn new(value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            other => Err(no_object(&other)),
        }
    }

    /// A text; none when it is missing or null.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(name, "a string", &other)),
        }
    }

    /// A text with something in it.
    pub(crate) fn filled(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        let text = self.text(name)?;
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            let error = format!("`{name}` is empty; leave it out or fill it in");
            return Err(ApiError::malformed("bad_member", error).with("member", name));
        }
        Ok(text)
    }

    /// A name, by the rules that a job's YAML has for it.
    pub(crate) fn name(&mut self) -> Result<Option<String>, ApiError> {
        let name = self.filled("name")?;
        let reason = match &name {
            Some(name) if name.chars().count() > LONGEST_NAME => "has more than 255 characters",
            Some(name) if name.chars().any(char::is_control) => {
                "has a line break or another control character"
            }
            _ => return Ok(name),
        };
        let error = format!("`name` {reason}; put what needs more room into `description`");
        Err(ApiError::malformed("bad_member", error).with("member", "name"))
    }

    /// A description.
    pub(crate) fn description(&mut self) -> Result<Option<String>, ApiError> {
        let text = self.text("description")?;
        let reason = match &text {
            Some(text) if text.len() > LONGEST_DESCRIPTION => "has more than 65,536 bytes",
            Some(text) if text.contains('\0') => "has a NUL character",
            _ => return Ok(text),
        };
        let error = format!("`description` {reason}");
        Err(ApiError::malformed("bad_member", error).with("member", "description"))
    }

    /// A boolean; none when it is missing or null.
    pub(crate) fn switch(&mut self, name: &'static str) -> Result<Option<bool>, ApiError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(on)) => Ok(Some(on)),
            Some(other) => Err(wrong_type(name, "`true` or `false`", &other)),
        }
    }

    /// A whole number from 1 on; none when it is missing or null.
    pub(crate) fn count(&mut self, name: &'static str) -> Result<Option<u64>, ApiError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(other) => match other.as_u64() {
                Some(count) if count > 0 => Ok(Some(count)),
                _ => Err(wrong_type(name, "a whole number from 1 on", &other)),
            },
        }
    }

    /// The job's YAML under either of its names.
    pub(crate) fn yaml(&mut self) -> Result<Option<String>, ApiError> {
        let (short, long) = (self.text("yaml_config")?, self.text("yaml_configuration")?);
        if short.is_some() && long.is_some() && short != long {
            let error = "`yaml_config` and `yaml_configuration` mean the same but differ here; \
                         send one of them";
            return Err(ApiError::malformed("bad_member", error).with("member", "yaml_config"));
        }
        Ok(short.or(long))
    }

    /// Whether this member is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What nobody asked for: ignored, as the original did, but not in silence.
    pub(crate) fn rest(self) -> Vec<Problem> {
        let ignored = |name: &String| {
            let name = shortened(name);
            let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            let message = format!("the member `{name}` is not known here and was ignored");
            warning("unknown_member", pointer, message)
        };
        self.0.keys().map(ignored).collect()
    }
}

fn wrong_type(name: &'static str, expected: &str, found: &Value) -> ApiError {
    let error = format!("`{name}` should be {expected}, not {}", kind(found));
    ApiError::malformed("bad_member", error).with("member", name)
}

/// What a JSON value is, for a sentence.
pub(crate) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(on) => format!("`{on}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string \"{}\"", shortened(text)),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
