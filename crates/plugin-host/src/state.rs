//! What one instance's store holds. Contract part only; see `RunState`.

use crate::capability::CapabilityRun;
use crate::scope::RunScope;

/// The data of one instance: the run's scope and each capability's state.
pub struct RunState {
    scope: RunScope,
    capabilities: Vec<Box<dyn CapabilityRun>>,
    host_calls: u64,
}

impl RunState {
    /// The state of capability `C` in this run. Counts a host call.
    ///
    /// # Panics
    /// When `C` was not begun, which the linker rules out: an interface is
    /// linked only together with its capability.
    pub fn capability<C: CapabilityRun>(&mut self) -> &mut C {
        self.host_calls += 1;
        self.capabilities
            .iter_mut()
            .find_map(|state| state.as_any_mut().downcast_mut())
            .expect("a linked capability is begun with every run")
    }

    /// What the run's parts share.
    pub fn scope(&self) -> &RunScope {
        &self.scope
    }
}
