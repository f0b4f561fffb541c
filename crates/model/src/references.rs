//! References within a schema that becomes a part of another one. Never touches
//! references to other documents.

use serde_json::Value;

/// Makes pointers that count from the schema's own root (`#/$defs/Step`) count
/// from a document in which the schema stands at `place` (`#/allOf/0/then`).
pub(crate) fn rebase(schema: &mut Value, place: &str) {
    match schema {
        Value::Object(keywords) => {
            for (keyword, value) in keywords {
                rebase_keyword(keyword, value, place);
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(|schema| rebase(schema, place)),
        _ => {}
    }
}

fn rebase_keyword(keyword: &str, value: &mut Value, place: &str) {
    match (keyword, value) {
        ("$ref", Value::String(target)) => {
            let pointer = target.strip_prefix('#');
            if let Some(pointer) = pointer.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                *target = format!("{place}{pointer}");
            }
        }
        // Values, in which `$ref` is a key like any other.
        ("const" | "default" | "enum" | "examples", _) => {}
        // Names of the author's choosing, which may be those of keywords.
        (
            "$defs" | "definitions" | "dependentSchemas" | "patternProperties" | "properties",
            Value::Object(named),
        ) => named.values_mut().for_each(|schema| rebase(schema, place)),
        (_, value) => rebase(value, place),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::job_schema::job_schema;
    use crate::job_type::JobTypeSchema;

    #[test]
    fn own_references_move_and_nothing_else_does() {
        let mut schema = json!({
            "properties": {
                "default": { "$ref": "#/$defs/Step", "default": { "$ref": "#/$defs/Step" } },
                "$ref": { "items": { "anyOf": [{ "$ref": "#" }, { "$ref": "#name" }] } },
                "far": { "$ref": "https://example.com/other#/$defs/Step" },
            },
            "$defs": { "Step": { "not": { "$ref": "#/properties/far" } } },
        });
        rebase(&mut schema, "#/allOf/1/then");
        let expected = json!({
            "properties": {
                "default": { "$ref": "#/allOf/1/then/$defs/Step", "default": { "$ref": "#/$defs/Step" } },
                "$ref": { "items": { "anyOf": [{ "$ref": "#/allOf/1/then" }, { "$ref": "#name" }] } },
                "far": { "$ref": "https://example.com/other#/$defs/Step" },
            },
            "$defs": { "Step": { "not": { "$ref": "#/allOf/1/then/properties/far" } } },
        });
        assert_eq!(schema, expected);
    }

    #[test]
    fn a_type_with_references_of_its_own_leaves_the_whole_schema_usable() {
        let schema = json!({
            "type": "object",
            "properties": { "steps": { "type": "array", "items": { "$ref": "#/$defs/Step" } } },
            "required": ["steps"],
            "$defs": { "Step": { "type": "string", "pattern": "\\S" } },
        });
        let types = ["First", "Second"].map(|name| JobTypeSchema::new(name, schema.clone()));
        let validator = jsonschema::validator_for(&job_schema(&types))
            .expect("every reference leads somewhere");
        let job = |step: &str| json!({ "id": "a", "name": "A", "type": "Second", "steps": [step] });
        assert!(validator.is_valid(&job("x")));
        assert!(!validator.is_valid(&job(" ")));
    }
}
