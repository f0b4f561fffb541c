//! The job type `Command`: a granted program with arguments, or a script for a
//! granted shell. Never lets a shell read what is not the job's own script.

mod configuration;
mod run;

use jobcell_plugin_sdk::job_type::{Completion, Description, Guest, Requirement};
use jobcell_plugin_sdk::types::{Failure, Problem};

struct Command;

impl Guest for Command {
    fn describe() -> Description {
        Description {
            name: "Command".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Runs a granted program, or a script of sh, bash, Python or cmd".to_owned(),
            configuration_schema: include_str!("schema.json").to_owned(),
            requirements: vec![Requirement {
                capability: "process".to_owned(),
                name: "*".to_owned(),
                reason: "Each job names the tool that it runs.".to_owned(),
            }],
            attributes: Vec::new(),
        }
    }

    fn validate(configuration: String) -> Vec<Problem> {
        configuration::check(&configuration)
    }

    fn run(configuration: String) -> Result<Completion, Failure> {
        run::run(&jobcell_plugin_sdk::configuration::read(&configuration)?)
    }
}

// The exported names are no names that a native linker takes.
#[cfg(target_family = "wasm")]
jobcell_plugin_sdk::export!(Command);
