//! What one instance's store holds, and the rules that end an instance that
//! does not end by itself. Never says how a run ended; `verdict` does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::UpdateDeadline;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::capability::{Capability, CapabilityRun};
use crate::limiter::MemoryLimiter;
use crate::meter::Meter;
use crate::scope::RunScope;
use crate::steps::Steps;
use crate::wasi;

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
    pub(crate) limiter: MemoryLimiter,
    pub(crate) meter: Arc<Meter>,
    pub(crate) table: ResourceTable,
    wasi: WasiCtx,
    host_calls: u64,
    stop_seen: Option<Instant>,
}

impl RunState {
    pub(crate) fn new(
        scope: RunScope,
        capabilities: &[Arc<dyn Capability>],
        parameters: Vec<(String, serde_json::Value)>,
    ) -> Self {
        Self {
            capabilities: capabilities
                .iter()
                .map(|capability| capability.begin(&scope))
                .collect(),
            parameters,
            steps: Steps::new(scope.limits()),
            limiter: MemoryLimiter::new(scope.limits().guest_memory),
            meter: Meter::new(),
            table: ResourceTable::new(),
            wasi: wasi::context(&scope),
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
        if self.scope.stop_reason().is_some() {
            let seen = *self.stop_seen.get_or_insert_with(Instant::now);
            // Long enough to clean up; the grace in full belongs to host calls.
            if seen.elapsed() > limits.stop_grace.min(Duration::from_secs(1)) {
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
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
