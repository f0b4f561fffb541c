//! The job type `PowerShell`: an inline script or a script file, with
//! parameters. Never builds a command line that a shell would read.

mod command_line;
mod configuration;
mod error_text;
mod run;
mod syntax;
mod typed;

use jobcell_plugin_sdk::job_type::{Completion, Description, Guest, Requirement};
use jobcell_plugin_sdk::types::{Failure, Problem};

struct PowerShell;

impl Guest for PowerShell {
    fn describe() -> Description {
        Description {
            name: "PowerShell".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Runs a PowerShell script, inline or from a file".to_owned(),
            configuration_schema: include_str!("schema.json").to_owned(),
            requirements: vec![Requirement {
                capability: "process".to_owned(),
                name: run::ROLE.to_owned(),
                reason: "PowerShell runs the script".to_owned(),
            }],
            attributes: Vec::new(),
        }
    }

    fn validate(configuration: String) -> Vec<Problem> {
        configuration::Configuration::read(&configuration)
            .map_or_else(|_| Vec::new(), |configuration| configuration.problems())
    }

    fn run(configuration: String) -> Result<Completion, Failure> {
        run::run(&configuration::Configuration::read(&configuration)?)
    }
}

// The exported names are no names that a native linker takes.
#[cfg(target_family = "wasm")]
jobcell_plugin_sdk::export!(PowerShell);
