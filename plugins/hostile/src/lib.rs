//! A job type that misbehaves as its configuration says. For tests of the host;
//! never part of the binary.

mod deeds;

use jobcell_plugin_sdk::job_type::{Completion, Description, Guest};
use jobcell_plugin_sdk::types::{Failure, Problem};
use jobcell_plugin_sdk::{completion, configuration};
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
        let configuration: Configuration = configuration::read(&configuration)?;
        if configuration.deed == "return-code" {
            return Ok(completion::exited(3));
        }
        deeds::carry_out(&configuration.deed)?;
        Ok(completion::succeeded())
    }
}

// The exported names are no names that a native linker takes.
#[cfg(target_family = "wasm")]
jobcell_plugin_sdk::export!(Hostile);
