//! What one instance's store holds, and the rules that end an instance that
//! does not end by itself. Never says how a run ended; `verdict` does.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::UpdateDeadline;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::artifacts::Artifacts;
use crate::capability::{Capability, CapabilityRun};
use crate::limiter::MemoryLimiter;
use crate::meter::Meter;
use crate::scope::RunScope;
use crate::steps::Steps;
use crate::wasi;

/// Handles that one instance may hold at a time.
pub(crate) const HANDLES: usize = 10_000;
/// How long a stopped plugin may compute, at most.
const CLEAN_UP: Duration = Duration::from_secs(1);

/// Why the host ended an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Breach {
    /// It computed for too long.
    #[error("the plugin computed for too long")]
    ComputeTime,
    /// It called host functions too often.
    #[error("the plugin called host functions too often")]
    HostCalls,
    /// It went on after it was told to stop.
    #[error("the plugin went on after it was told to stop")]
    IgnoredStop,
}

/// The data of one instance: the run's scope and each capability's state.
pub struct RunState {
    pub(crate) scope: RunScope,
    pub(crate) capabilities: Vec<Box<dyn CapabilityRun>>,
    pub(crate) parameters: Vec<(String, serde_json::Value)>,
    pub(crate) steps: Steps,
    pub(crate) artifacts: Artifacts,
    pub(crate) limiter: MemoryLimiter,
    pub(crate) meter: Arc<Meter>,
    pub(crate) table: ResourceTable,
    /// Made when it is first asked for: most runs never do.
    wasi: Option<WasiCtx>,
    host_calls: u64,
    /// The computing time at which a stop was first seen.
    stop_seen: Option<Duration>,
}

impl RunState {
    pub(crate) fn new(
        scope: RunScope,
        capabilities: &[Arc<dyn Capability>],
        parameters: Vec<(String, serde_json::Value)>,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self {
            capabilities: capabilities
                .iter()
                .map(|capability| capability.begin(&scope))
                .collect(),
            parameters,
            steps: Steps::new(scope.limits()),
            artifacts: Artifacts::new(scope.limits().artifact_bytes),
            limiter: MemoryLimiter::new(scope.limits().guest_memory),
            meter: Meter::new(),
            table,
            wasi: None,
            host_calls: 0,
            stop_seen: None,
            scope,
        }
    }

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
    #[must_use]
    pub fn scope(&self) -> &RunScope {
        &self.scope
    }

    /// Whether its instance has called no host function so far.
    pub(crate) fn asked_nothing(&self) -> bool {
        self.host_calls == 0
    }

    pub(crate) fn count_host_call(&mut self) -> &mut Self {
        self.host_calls += 1;
        self
    }

    /// Decides, once a tick while the guest computes, whether it may go on.
    pub(crate) fn at_tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        let limits = self.scope.limits();
        if self.meter.used() > limits.compute_time {
            return Err(wasmtime::Error::new(Breach::ComputeTime));
        }
        if self.host_calls > limits.host_calls {
            return Err(wasmtime::Error::new(Breach::HostCalls));
        }
        if self.scope.stop_given().is_some() {
            let used = self.meter.used();
            let seen = *self.stop_seen.get_or_insert(used);
            // Computing time, so that host functions which end what they hold
            // may take their grace in full.
            if used.saturating_sub(seen) > limits.stop_grace.min(CLEAN_UP) {
                return Err(wasmtime::Error::new(Breach::IgnoredStop));
            }
        }
        // Neighbours on the same thread get their turn.
        Ok(UpdateDeadline::Yield(1))
    }
}

impl WasiView for RunState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.host_calls += 1;
        WasiCtxView {
            ctx: self.wasi.get_or_insert_with(|| wasi::context(&self.scope)),
            table: &mut self.table,
        }
    }
}
