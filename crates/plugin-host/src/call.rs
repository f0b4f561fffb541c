//! One run of a plugin in an instance of its own, under all limits, ended when
//! it is told to stop. Never reuses an instance.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::SemaphorePermit;
use tokio_util::sync::CancellationToken;
use wasmtime::Store;

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

/// Carries out one run. Returns once all that it held is gone.
pub(crate) async fn run(parts: &PluginParts, request: RunRequest) -> RunReport {
    let scope = RunScope::new(
        request.attributes,
        request.limits,
        request.timeout,
        request.gate,
        request.observer,
    )
    .with_environment(request.environment)
    .with_journal(request.journal);
    // Held until the store is gone, else the next run would find its place taken.
    let _place = match place(parts, &scope, &request.cancel).await {
        Ok(place) => place,
        Err(reason) => return RunReport::stopped_early(reason),
    };
    let mut store = bounded_store(parts, scope.clone(), request.parameters);
    let called = bounded_call(
        parts,
        &scope,
        &mut store,
        &request.configuration,
        &request.cancel,
    )
    .await;
    if let Some(Err(error)) = &called {
        verdict::log_crash(&parts.hash, &scope, error);
    }
    // Only the state outlives the instance, so that what the run still holds
    // can be ended with care.
    let mut state = store.into_data();
    let end = verdict::end(called, &state);
    let ended = conclude(&mut state).await;
    let end = verdict::after_all(end, &ended);
    let steps = state.steps.conclude(|step| state.scope.output().step(step));
    let (output, output_summary) = scope.output().take();
    RunReport {
        end,
        steps,
        output,
        output_summary,
        artifacts: state.artifacts.take(),
        cost: ended.cost,
    }
}

/// Waits for a free instance, unless the run is stopped first.
async fn place<'a>(
    parts: &'a PluginParts,
    scope: &RunScope,
    cancel: &CancellationToken,
) -> Result<SemaphorePermit<'a>, StopReason> {
    if cancel.is_cancelled() {
        return Err(StopReason::Cancelled);
    }
    let free = &parts.instances.free;
    if let Ok(place) = free.try_acquire() {
        return Ok(place);
    }
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(StopReason::Cancelled),
        () = tokio::time::sleep_until(scope.deadline().into()) => Err(StopReason::TimedOut),
        place = free.acquire() => Ok(place.expect("nobody closes this semaphore")),
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
pub(crate) fn bounded_store(
    parts: &PluginParts,
    scope: RunScope,
    parameters: Vec<(String, serde_json::Value)>,
) -> Store<RunState> {
    let state = RunState::new(scope, &parts.capabilities, parameters);
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
    store: &mut Store<RunState>,
    configuration: &String,
    cancel: &CancellationToken,
) -> CallEnd {
    let meter = Arc::clone(&store.data().meter);
    let called = async {
        let plugin = parts.ready.instantiate_async(&mut *store).await?;
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
        () = tokio::time::sleep_until(scope.deadline().into()) => StopReason::TimedOut,
    };
    scope.stop(reason);
    let grace = scope.limits().stop_grace.saturating_add(LAST_MOMENT);
    tokio::time::timeout(grace, called).await.ok()
}
