//! What a plugin says of itself, checked. Never trusts it to be the same twice:
//! it is asked once, when it is loaded.

use serde_json::Value;

use crate::bindings::job_type;

/// A plugin's word about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The word for `type:` in a job.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// One sentence for people.
    pub summary: String,
    /// JSON Schema of the keys that it adds to a job.
    pub configuration_schema: Value,
    /// What it asks for.
    pub requirements: Vec<Requirement>,
}

/// Something that a plugin asks the admin for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The interface: `process`.
    pub capability: String,
    /// The role or name in it.
    pub name: String,
    /// What it is for.
    pub reason: String,
}

/// The longest name, version or summary, in bytes.
const LONGEST: usize = 500;

impl Description {
    /// Checks what a plugin said.
    pub(crate) fn read(said: job_type::Description) -> Result<Self, String> {
        let word = |what: &str, text: String| {
            let fair =
                !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
            if fair {
                Ok(text)
            } else {
                Err(format!("its {what} is empty, too long or no plain text"))
            }
        };
        let name = word("name", said.name)?;
        if !name
            .chars()
            .all(|character| character.is_alphanumeric() || "-_.".contains(character))
        {
            return Err(format!("its name `{name}` is no word"));
        }
        let schema: Value = serde_json::from_str(&said.configuration_schema)
            .map_err(|error| format!("its configuration schema is no JSON: {error}"))?;
        if !schema.is_object() {
            return Err("its configuration schema is no JSON object".to_owned());
        }
        if let Err(error) = jsonschema::validator_for(&schema) {
            return Err(format!(
                "its configuration schema is no JSON Schema: {error}"
            ));
        }
        let requirement = |asked: job_type::Requirement| Requirement {
            capability: asked.capability,
            name: asked.name,
            reason: asked.reason,
        };
        Ok(Self {
            name,
            version: word("version", said.version)?,
            summary: word("summary", said.summary)?,
            configuration_schema: schema,
            requirements: said.requirements.into_iter().map(requirement).collect(),
        })
    }
}
