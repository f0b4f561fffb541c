//! What a capability crate implements: one host interface of `wit/`, linked
//! where it is granted, with a state of its own in each run.

use std::any::Any;

use async_trait::async_trait;
use wasmtime::component::Linker;

use crate::bindings::types::Failure;
use crate::report::Cost;
use crate::scope::RunScope;

pub use crate::state::RunState;

/// A host interface that plugins may be granted.
///
/// Lifecycle: `link` once for each plugin that imports it, `begin` at the
/// start of each run, host functions during the run, [`CapabilityRun::end`]
/// after the plugin returned, trapped or was dropped, and, once the run's report is
/// there, [`CapabilityRun::after_report`] and the drop of the state. For an instance
/// that is made ahead `begin` is called too, and its state dropped unused, so it may
/// hold nothing yet.
///
/// In `link`, call the generated `add_to_linker` with a [`wasmtime::component::HasData`]
/// type of the crate's own and a getter that asks [`RunState::capability`] for
/// the crate's state. That getter counts the call.
#[async_trait]
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

    /// What leads to all that a run of this execution will start, where that
    /// is known before it starts any. The rest goes to [`RunScope::record`].
    fn trace(&self, _execution: &str) -> Option<String> {
        None
    }

    /// Ends what an execution of a process of this host that crashed left at
    /// these traces, those of other capabilities among them.
    ///
    /// # Errors
    /// With what is there all the same, in words.
    async fn end_leftovers(&self, _execution: &str, _traces: &[String]) -> Result<(), String> {
        Ok(())
    }
}

/// What a capability leaves of a run.
#[derive(Debug, Default)]
pub struct Ended {
    /// What it cost.
    pub cost: Cost,
    /// A limit of the run that was passed, whatever its plugin says.
    pub passed: Option<Failure>,
    /// What is there although it was to end, in words.
    pub left: Option<String>,
}

/// The state of a capability in one run.
#[async_trait]
pub trait CapabilityRun: Any + Send {
    /// Ends all that the run still holds (processes, statements, folders) and
    /// returns once it is gone, or known not to be.
    async fn end(&mut self) -> Ended;

    /// Does what nobody needs to wait for, once the run's report is there. Must be
    /// quick, and may never be called: a drop does what has to be done.
    fn after_report(&mut self) {}

    /// For [`RunState::capability`].
    fn as_any_mut(&mut self) -> &mut dyn Any;
}
