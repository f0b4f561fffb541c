//! One run of a plugin in an instance of its own, under all limits, ended when
//! it is told to stop. Never reuses an instance.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use wasmtime::Store;

use crate::bindings::FullJobType;
use crate::capability::{Ended, RunState};
use crate::limits::RunLimits;
use crate::meter::Metered;
use crate::plugin::PluginParts;
use crate::report::{Cost, RunReport, RunRequest};
use crate::scope::{EffectGate, RunScope, StopReason};
use crate::state::HANDLES;
use crate::verdict::{self, CallEnd};

/// What one call may make the host copy, in bytes.
pub(crate) const HOSTCALL_BYTES: usize = 64 << 20;
/// Beyond the stop grace, what host functions need to end what they hold.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// Carries out one run. Returns once all that it started is gone. Its instance is
/// wiped next, and what else costs time and changes nothing is done then.
pub(crate) async fn run(parts: &Arc<PluginParts>, request: RunRequest) -> RunReport {
    let scope = RunScope::new(
        request.attributes,
        request.limits,
        request.timeout,
        request.gate,
        request.observer,
    )
    .with_environment(request.environment)
    .with_journal(request.journal);
    let place = match place(parts, &scope, &request.cancel).await {
        Ok(place) => place,
        Err(reason) => return RunReport::stopped_early(reason),
    };
    let state = RunState::new(scope.clone(), &parts.capabilities, request.parameters);
    let (store, ready) = parts.store(state);
    let mut instance = InUse {
        store,
        _place: place,
    };
    let called = bounded_call(
        parts,
        &scope,
        (&mut instance.store, ready),
        &request.configuration,
        &request.cancel,
    )
    .await;
    if let Some(Err(error)) = &called {
        verdict::log_crash(&parts.hash, &scope, error);
    }
    let state = instance.store.data_mut();
    let end = verdict::end(called, state);
    let ended = conclude(state).await;
    let end = verdict::after_all(end, &ended);
    let steps = state.steps.conclude(|step| scope.output().step(step));
    let artifacts = state.artifacts.take();
    instance.give_back(parts);
    let (output, output_summary) = scope.output().take();
    RunReport {
        end,
        steps,
        output,
        output_summary,
        artifacts,
        cost: ended.cost,
    }
}

/// An instance and its place among all, in the order in which they are given back:
/// the next run would find its place taken otherwise.
struct InUse {
    store: Store<RunState>,
    _place: OwnedSemaphorePermit,
}

impl InUse {
    /// Has it wiped, which can't fail or wait, once whoever awaits the run's
    /// report has it: it takes as long as the report itself.
    fn give_back(mut self, parts: &Arc<PluginParts>) {
        let parts = Arc::clone(parts);
        let capabilities = std::mem::take(&mut self.store.data_mut().capabilities);
        tokio::spawn(async move {
            // Others may wait for the place.
            drop(self);
            for mut capability in capabilities {
                capability.after_report();
            }
            parts.make_spare().await;
        });
    }
}

/// Waits for a free instance, unless the run is stopped first.
async fn place(
    parts: &PluginParts,
    scope: &RunScope,
    cancel: &CancellationToken,
) -> Result<OwnedSemaphorePermit, StopReason> {
    if cancel.is_cancelled() {
        return Err(StopReason::Cancelled);
    }
    let free = &parts.instances.free;
    if let Ok(place) = Arc::clone(free).try_acquire_owned() {
        return Ok(place);
    }
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(StopReason::Cancelled),
        () = tokio::time::sleep_until(scope.deadline().into()) => Err(StopReason::TimedOut),
        place = Arc::clone(free).acquire_owned() => Ok(place.expect("nobody closes this semaphore")),
    }
}

/// Ends what the capabilities still hold, and adds up the cost.
async fn conclude(state: &mut RunState) -> Ended {
    let mut all = Ended {
        cost: Cost {
            cpu_time: state.meter.used(),
            peak_memory: state.limiter.peak(),
            ..Cost::default()
        },
        ..Ended::default()
    };
    for capability in &mut state.capabilities {
        let ended = capability.end().await;
        all.cost = all.cost.and(ended.cost);
        all.passed = all.passed.or(ended.passed);
        all.left = all.left.or(ended.left);
    }
    all
}

/// A store without limits, for the floor that benches compare a run with.
pub(crate) fn bare_store(parts: &PluginParts) -> Store<RunState> {
    let (never, gate) = EffectGate::closed();
    drop(never);
    let limits = RunLimits::default();
    let scope = RunScope::new(Vec::new(), limits, Duration::MAX, gate, None);
    let mut store = Store::new(&parts.engine, RunState::new(scope, &[], Vec::new()));
    store.set_epoch_deadline(u64::from(u32::MAX));
    store
}

/// A store under all limits.
pub(crate) fn bounded_store(parts: &PluginParts, state: RunState) -> Store<RunState> {
    let mut store = Store::new(&parts.engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_max_component_handles(HANDLES);
    store.set_hostcall_fuel(HOSTCALL_BYTES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| store.data_mut().at_tick());
    store
}

/// Calls `run`, tells it to stop when it must, and drops the call when it does
/// not stop in time.
async fn bounded_call(
    parts: &PluginParts,
    scope: &RunScope,
    (store, ready): (&mut Store<RunState>, Option<FullJobType>),
    configuration: &String,
    cancel: &CancellationToken,
) -> CallEnd {
    let meter = Arc::clone(&store.data().meter);
    let called = async {
        let plugin = match ready {
            Some(plugin) => plugin,
            None => parts.ready.instantiate_async(&mut *store).await?,
        };
        plugin
            .jobcell_plugin_job_type()
            .call_run(store, configuration)
            .await
    };
    let mut called = pin!(Metered::new(called, meter, &parts.instances.ticker));
    let reason = tokio::select! {
        // A run that ended is not stopped any more.
        biased;
        end = &mut called => return Some(end),
        () = cancel.cancelled() => StopReason::Cancelled,
        () = parts.instances.deadlines.at(scope.deadline()) => StopReason::TimedOut,
    };
    scope.stop(reason);
    let grace = scope.limits().stop_grace.saturating_add(LAST_MOMENT);
    tokio::time::timeout(grace, called).await.ok()
}
