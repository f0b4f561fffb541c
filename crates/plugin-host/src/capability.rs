//! What a capability crate implements: one host interface of `wit/`, linked
//! where it is granted, with a state of its own in each run.

use std::any::Any;

use async_trait::async_trait;
use wasmtime::component::Linker;

use crate::report::Cost;
use crate::scope::RunScope;

pub use crate::state::RunState;

/// A host interface that plugins may be granted.
///
/// Lifecycle: `link` once for each plugin that imports it, `begin` at the
/// start of each run, host functions during the run, [`CapabilityRun::end`]
/// after the plugin returned, trapped or was dropped.
///
/// In `link`, call the generated `add_to_linker` with a [`wasmtime::component::HasData`]
/// type of the crate's own and a getter that asks [`RunState::capability`] for
/// the crate's state. That getter counts the call.
pub trait Capability: Send + Sync + 'static {
    /// The interface's name in `wit/`: `process`.
    fn name(&self) -> &'static str;

    /// Adds the interface to a plugin's linker.
    ///
    /// # Errors
    /// When wasmtime refuses a definition.
    fn link(&self, linker: &mut Linker<RunState>) -> wasmtime::Result<()>;

    /// Makes the state of one run. Acts on nothing yet.
    fn begin(&self, scope: &RunScope) -> Box<dyn CapabilityRun>;
}

/// The state of a capability in one run.
#[async_trait]
pub trait CapabilityRun: Any + Send {
    /// Ends all that the run still holds (processes, statements, folders) and
    /// returns once it is gone, with what it cost.
    async fn end(&mut self) -> Cost;

    /// For [`RunState::capability`].
    fn as_any_mut(&mut self) -> &mut dyn Any;
}
