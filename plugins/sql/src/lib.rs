//! The job type `SQL`: runs the statements of a query on one named connection
//! and reports each as a step. Never sees an address or a password.

mod configuration;
mod details;
mod failure;
mod format;
mod outcome;
mod output;
mod run;
mod table;
mod transaction;
mod value;

use jobcell_plugin_sdk::job_type::{Completion, Description, Guest, Requirement};
use jobcell_plugin_sdk::types::{Failure, Problem};

/// The job type.
pub struct Sql;

impl Guest for Sql {
    fn describe() -> Description {
        Description {
            name: "SQL".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Runs SQL statements on a named database connection".to_owned(),
            configuration_schema: configuration::SCHEMA.to_owned(),
            requirements: vec![Requirement {
                capability: "sql".to_owned(),
                name: "*".to_owned(),
                reason: "Each job names the connection that its query runs on.".to_owned(),
            }],
            attributes: Vec::new(),
        }
    }

    fn validate(configuration: String) -> Vec<Problem> {
        configuration::check(&configuration)
    }

    fn run(configuration: String) -> Result<Completion, Failure> {
        run::run(&configuration::read(&configuration)?)
    }
}

// The names that a component exports mean nothing to a native linker.
#[cfg(target_family = "wasm")]
jobcell_plugin_sdk::export!(Sql);
