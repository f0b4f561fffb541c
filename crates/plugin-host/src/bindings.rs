//! The Rust side of `wit/`, generated. The only place that names its path.

#[expect(missing_docs, reason = "generated; the WIT files carry the documentation")]
mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "full-job-type",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

pub use generated::exports::jobcell::plugin::job_type;
pub use generated::jobcell::plugin::{process, run_context, sql, types};
pub use generated::{FullJobType, FullJobTypePre};
