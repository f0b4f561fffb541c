//! The job's parameters, with types. Never changes them.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure;
use crate::run_context::{self, Parameter};
use crate::types::Failure;

/// The parameters of a job, in the order in which it lists them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters(Vec<(String, Value)>);

impl Parameters {
    /// Those of this run.
    ///
    /// # Errors
    /// `invalid` when the host gives what is no JSON.
    pub fn of_run() -> Result<Self, Failure> {
        Self::read(run_context::parameters())
    }

    fn read(given: Vec<Parameter>) -> Result<Self, Failure> {
        let read = |parameter: Parameter| match serde_json::from_str(&parameter.value) {
            Ok(value) => Ok((parameter.name, value)),
            Err(error) => Err(wrong(&parameter.name, &error)),
        };
        Ok(Self(given.into_iter().map(read).collect::<Result<_, _>>()?))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of this name, if the job has it and it is not null.
    ///
    /// # Errors
    /// `invalid` with the code `parameter` when it has another type.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let found = self.iter().find(|(key, _)| *key == name);
        match found {
            None | Some((_, Value::Null)) => Ok(None),
            Some((_, value)) => T::deserialize(value)
                .map(Some)
                .map_err(|error| wrong(name, &error)),
        }
    }

    /// The value of this name, which the job must have.
    ///
    /// # Errors
    /// `invalid` with the code `parameter` when it is missing or of another type.
    pub fn required<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        self.get(name)?.ok_or_else(|| {
            failure::invalid(
                "parameter",
                format!("the parameter `{name}` is missing; add it to the job's parameters"),
            )
        })
    }
}

fn wrong(name: &str, error: &serde_json::Error) -> Failure {
    failure::invalid(
        "parameter",
        format!("the parameter `{name}` does not fit: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> Parameters {
        let parameter = |name: &str, value: &str| Parameter {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let given = vec![parameter("days", "7"), parameter("none", "null")];
        Parameters::read(given).unwrap_or_default()
    }

    #[test]
    fn gives_values_with_their_types() {
        assert!(matches!(parameters().get::<u32>("days"), Ok(Some(7))));
        assert!(matches!(parameters().get::<u32>("none"), Ok(None)));
        assert!(matches!(parameters().get::<u32>("absent"), Ok(None)));
    }

    #[test]
    fn names_what_is_missing_or_of_another_type() {
        for failure in [
            parameters().required::<u32>("absent").err(),
            parameters().get::<String>("days").err(),
        ] {
            let message = failure
                .map(|failure| failure.sentence())
                .unwrap_or_default();
            assert!(
                message.contains("`absent` is missing") || message.contains("`days` does not fit"),
                "{message}"
            );
        }
    }
}
