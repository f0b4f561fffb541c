//! Runs plugins: wasmtime, the bindings of `wit/`, limits, grants, capabilities.
//! Never starts a process or opens a database itself (capabilities do), never
//! stores anything but compiled images, never prints.

pub mod bindings;
pub mod capability;
pub mod failure;
pub mod limits;
pub mod output;
pub mod report;
pub mod scope;

mod artifacts;
mod ask;
mod call;
mod deadline;
mod description;
mod engine;
mod host;
mod image;
mod limiter;
mod meter;
mod plugin;
mod run_context;
mod spare;
mod state;
mod steps;
mod text;
mod ticker;
mod verdict;
mod wasi;

pub use capability::{Capability, CapabilityRun, Ended, RunState};
pub use description::{Description, Requirement};
pub use engine::Allocation;
pub use failure::{codes, denied, invalid, not_found, other, unavailable};
pub use host::{HostConfig, LoadError, PluginHost, StartError};
pub use limits::{Bound, RunLimits};
pub use plugin::Plugin;
pub use report::{Cost, RunEnd, RunFailure, RunReport, RunRequest};
pub use scope::{EffectGate, GateOpener, Journal, RunObserver, RunScope, StopReason};
