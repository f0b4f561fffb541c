//! The Rust side of `wit/`, generated. The only place that names its path.

#[expect(
    missing_docs,
    reason = "generated; the WIT files carry the documentation"
)]
mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "full-job-type",
        imports: {
            // What never waits is not async: it is called often and is quick.
            "jobcell:plugin/run-context.attributes": trappable,
            "jobcell:plugin/run-context.parameters": trappable,
            "jobcell:plugin/run-context.log": trappable,
            "jobcell:plugin/run-context.write": trappable,
            "jobcell:plugin/run-context.cancelled": trappable,
            "jobcell:plugin/run-context.remaining-time": trappable,
            "jobcell:plugin/run-context.[static]step.start": trappable,
            "jobcell:plugin/run-context.[method]step.finish": trappable,
            "jobcell:plugin/run-context.[drop]step": trappable,
            "jobcell:plugin/run-context.[static]artifact.create": trappable,
            "jobcell:plugin/run-context.[method]artifact.write": trappable,
            "jobcell:plugin/run-context.[method]artifact.finish": trappable,
            "jobcell:plugin/run-context.[drop]artifact": trappable,
            "jobcell:plugin/process.[method]tool.path": trappable,
            "jobcell:plugin/process.[method]tool.command": trappable,
            "jobcell:plugin/process.[drop]tool": trappable,
            "jobcell:plugin/process.[method]command.argument": trappable,
            "jobcell:plugin/process.[method]command.environment": trappable,
            "jobcell:plugin/process.[method]command.working-directory": trappable,
            "jobcell:plugin/process.[method]command.stdin": trappable,
            "jobcell:plugin/process.[method]command.redirect": trappable,
            "jobcell:plugin/process.[drop]command": trappable,
            "jobcell:plugin/process.[method]child.usage": trappable,
            "jobcell:plugin/process.resolve-file": trappable,
            default: async | trappable,
        },
        exports: { default: async },
    });
}

pub use generated::exports::jobcell::plugin::job_type;
pub use generated::jobcell::plugin::{process, run_context, sql, types};
pub use generated::{FullJobType, FullJobTypePre};
