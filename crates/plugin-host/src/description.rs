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
/// The longest schema, in bytes.
const LONGEST_SCHEMA: usize = 1 << 20;
/// The most requirements.
const MOST_REQUIREMENTS: usize = 100;

impl Description {
    /// Checks what a plugin said.
    pub(crate) fn read(said: job_type::Description) -> Result<Self, String> {
        let name = word("name", said.name)?;
        let in_a_word = |character: char| character.is_alphanumeric() || "-_.".contains(character);
        if !name.chars().all(in_a_word) {
            return Err(format!("its name `{name}` is no word"));
        }
        if said.requirements.len() > MOST_REQUIREMENTS {
            return Err(format!("it has more than {MOST_REQUIREMENTS} requirements"));
        }
        Ok(Self {
            name,
            version: word("version", said.version)?,
            summary: word("summary", said.summary)?,
            configuration_schema: schema(&said.configuration_schema)?,
            requirements: said
                .requirements
                .into_iter()
                .map(requirement)
                .collect::<Result<_, _>>()?,
        })
    }
}

fn requirement(asked: job_type::Requirement) -> Result<Requirement, String> {
    Ok(Requirement {
        capability: word("requirement's capability", asked.capability)?,
        name: word("requirement's name", asked.name)?,
        reason: word("requirement's reason", asked.reason)?,
    })
}

fn word(what: &str, text: String) -> Result<String, String> {
    if text.trim().is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        return Err(format!("its {what} is empty, too long or no plain text"));
    }
    Ok(text)
}

fn schema(text: &str) -> Result<Value, String> {
    if text.len() > LONGEST_SCHEMA {
        return Err(format!(
            "its configuration schema has {} bytes; at most {LONGEST_SCHEMA} are taken",
            text.len()
        ));
    }
    let schema: Value = serde_json::from_str(text)
        .map_err(|error| format!("its configuration schema is no JSON: {error}"))?;
    if !schema.is_object() {
        return Err("its configuration schema is no JSON object".to_owned());
    }
    match jsonschema::validator_for(&schema) {
        Ok(_) => Ok(schema),
        Err(error) => Err(format!(
            "its configuration schema is no JSON Schema: {error}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, schema: &str) -> job_type::Description {
        job_type::Description {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Does something".to_owned(),
            configuration_schema: schema.to_owned(),
            requirements: Vec::new(),
            attributes: Vec::new(),
        }
    }

    #[test]
    fn takes_a_name_and_a_schema() {
        assert!(Description::read(said("SQL", "{\"type\": \"object\"}")).is_ok());
    }

    #[test]
    fn refuses_what_no_job_can_name_or_be_checked_by() {
        for (name, schema, reason) in [
            ("", "{}", "name is empty"),
            ("two words", "{}", "no word"),
            ("a\nb", "{}", "no plain text"),
            ("SQL", "", "no JSON:"),
            ("SQL", "[]", "no JSON object"),
            ("SQL", "{\"type\": 7}", "no JSON Schema"),
            (
                "SQL",
                "{\"$ref\": \"https://example.org/x\"}",
                "no JSON Schema",
            ),
        ] {
            let error = Description::read(said(name, schema)).err();
            assert!(
                error.as_ref().is_some_and(|error| error.contains(reason)),
                "{name:?} {schema}: {error:?}"
            );
        }
    }
}
