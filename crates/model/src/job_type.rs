//! What a job type adds to a job: the schema of its own keys, compiled once.
//! Never knows a job type by name.

use std::sync::OnceLock;

use serde_json::Value;

/// What a job type adds to a job.
#[derive(Debug)]
pub struct JobTypeSchema {
    name: String,
    schema: Value,
    /// Compiled when it is first used: that takes longer than reading a job.
    validator: OnceLock<Result<jsonschema::Validator, String>>,
}

impl JobTypeSchema {
    /// The word for `type:`, and the JSON Schema (2020-12) of the keys that the
    /// type adds: an object schema with `properties`.
    #[must_use]
    pub fn new(name: impl Into<String>, schema: Value) -> Self {
        Self {
            name: name.into(),
            schema,
            validator: OnceLock::new(),
        }
    }

    /// The word for `type:`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The schema of its keys.
    #[must_use]
    pub const fn schema(&self) -> &Value {
        &self.schema
    }

    /// The schema, ready to check with, or why it can't be used.
    pub(crate) fn validator(&self) -> Result<&jsonschema::Validator, &str> {
        let validator = self.validator.get_or_init(|| {
            jsonschema::validator_for(&self.schema).map_err(|error| error.to_string())
        });
        validator.as_ref().map_err(String::as_str)
    }
}
