//! What a plugin written in Rust imports: the bindings of `wit/`, an export
//! macro and a few conveniences. Never runs on the host's side.

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
