//! A job type.
use jobcell_plugin_sdk::job_type::{Completion, Description, Guest};
use jobcell_plugin_sdk::types::{Failure, Problem};
struct Plugin;
impl Guest for Plugin {
    fn describe() -> Description { Description { name: "X".into(), version: "0.1.0".into(), summary: String::new(), configuration_schema: "{}".into(), requirements: vec![], attributes: vec![] } }
    fn validate(_c: String) -> Vec<Problem> { vec![] }
    fn run(_c: String) -> Result<Completion, Failure> { jobcell_plugin_sdk::run_context::log(jobcell_plugin_sdk::run_context::Level::Info, "hi"); Ok(Completion { success: true, return_code: None, message: None }) }
}
jobcell_plugin_sdk::export!(Plugin);
