//! What a plugin written in Rust imports: the bindings of `wit/`, an export
//! macro and a few conveniences. Never runs on the host's side.
//!
//! A whole job type:
//!
//! ```
//! use jobcell_plugin_sdk::job_type::{Completion, Description, Guest};
//! use jobcell_plugin_sdk::types::{Failure, Problem};
//! use jobcell_plugin_sdk::{completion, configuration, log};
//!
//! #[derive(serde::Deserialize)]
//! struct Greeting {
//!     name: String,
//! }
//!
//! struct Hello;
//!
//! impl Guest for Hello {
//!     fn describe() -> Description {
//!         Description {
//!             name: "Hello".to_owned(),
//!             version: "0.1.0".to_owned(),
//!             summary: "Greets somebody".to_owned(),
//!             configuration_schema: r#"{
//!                 "type": "object",
//!                 "required": ["name"],
//!                 "properties": { "name": { "type": "string" } }
//!             }"#
//!             .to_owned(),
//!             requirements: Vec::new(),
//!             attributes: Vec::new(),
//!         }
//!     }
//!
//!     fn validate(_configuration: String) -> Vec<Problem> {
//!         Vec::new()
//!     }
//!
//!     fn run(configuration: String) -> Result<Completion, Failure> {
//!         let greeting: Greeting = configuration::read(&configuration)?;
//!         log::info(&format!("hello, {}", greeting.name));
//!         Ok(completion::succeeded())
//!     }
//! }
//!
//! #[cfg(target_family = "wasm")]
//! jobcell_plugin_sdk::export!(Hello);
//! ```

pub mod completion;
pub mod configuration;
pub mod failure;
pub mod log;
pub mod output;
pub mod parameters;
pub mod program;
pub mod steps;

#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "full-job-type",
        pub_export_macro: true,
        default_bindings_module: "jobcell_plugin_sdk::bindings",
    });
}

pub use bindings::export;
pub use bindings::exports::jobcell::plugin::job_type;
pub use bindings::jobcell::plugin::{process, run_context, sql, types};
pub use parameters::Parameters;
