//! A job type that misbehaves as its configuration says. For tests of the host;
//! never part of the binary.

mod deeds;

use jobcell_plugin_sdk::job_type::{Completion, Description, Guest};
use jobcell_plugin_sdk::types::{Detail, Failure, Problem};
use serde::Deserialize;

#[derive(Deserialize)]
struct Configuration {
    #[serde(rename = "do")]
    deed: String,
}

struct Hostile;

impl Guest for Hostile {
    fn describe() -> Description {
        Description {
            name: "Hostile".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Misbehaves as told, to test what holds it".to_owned(),
            configuration_schema:
                r#"{"type":"object","properties":{"do":{"type":"string"}},"required":["do"]}"#
                    .to_owned(),
            requirements: Vec::new(),
            attributes: Vec::new(),
        }
    }

    fn validate(configuration: String) -> Vec<Problem> {
        if configuration.contains("loop-in-validate") {
            deeds::spin();
        }
        Vec::new()
    }

    fn run(configuration: String) -> Result<Completion, Failure> {
        let configuration: Configuration = serde_json::from_str(&configuration)
            .map_err(|error| failure("bad_configuration", error.to_string()))?;
        deeds::carry_out(&configuration.deed)?;
        Ok(Completion {
            success: true,
            return_code: None,
            message: None,
        })
    }
}

fn failure(code: &str, message: String) -> Failure {
    Failure::Other(Detail {
        code: code.to_owned(),
        message,
        attributes: Vec::new(),
    })
}

// The exported names are no names that a native linker takes.
#[cfg(target_family = "wasm")]
jobcell_plugin_sdk::export!(Hostile);
