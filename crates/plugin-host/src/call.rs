//! One call of a plugin in an instance of its own, under all limits, ended
//! when it is told to stop. Never reuses an instance.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wasmtime::Store;

use crate::bindings::job_type::{self, Completion};
use crate::bindings::types::{self, Failure};
use crate::capability::RunState;
use crate::description::Description;
use crate::limits::RunLimits;
use crate::meter::{Meter, Metered};
use crate::plugin::PluginParts;
use crate::report::{Cost, RunFailure, RunReport, RunRequest};
use crate::scope::{EffectGate, RunScope, StopReason};
use crate::verdict::{self, CallEnd};

/// How long `describe` and `validate` may take.
const ASKING: Duration = Duration::from_secs(20);
/// Handles that one instance may hold at a time.
const HANDLES: usize = 10_000;
/// What one call may make the host copy, in bytes.
const HOSTCALL_BYTES: usize = 64 << 20;
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
    .with_environment(request.environment);
    let mut store = bounded_store(parts, scope.clone(), request.parameters);
    let call = bounded_call(
        parts,
        &scope,
        &mut store,
        &request.configuration,
        &request.cancel,
    )
    .await;
    if let Some(Err(error)) = &call {
        verdict::log_crash(&parts.hash, &scope, error);
    }
    // Only the state outlives the instance, so that what the run still holds
    // can be ended with care.
    let mut state = store.into_data();
    let end = verdict::end(call, &state);
    let mut cost = Cost {
        cpu_time: state.meter.used(),
        peak_memory: state.limiter.peak(),
    };
    for capability in &mut state.capabilities {
        cost = cost.and(capability.end().await);
    }
    let steps = state.steps.conclude();
    let (output, output_summary) = scope.output().take();
    RunReport {
        end,
        steps,
        output,
        output_summary,
        cost,
    }
}

impl PluginParts {
    /// Asks the plugin what it is.
    pub(crate) async fn describe(&self) -> Result<Description, String> {
        let mut store = bounded_store(self, asking_scope(), Vec::new());
        let meter = Arc::clone(&store.data().meter);
        let asked = async {
            let plugin = self.ready.instantiate_async(&mut store).await?;
            plugin
                .jobcell_plugin_job_type()
                .call_describe(&mut store)
                .await
        };
        let said: wasmtime::Result<job_type::Description> = self.ask(asked, meter).await?;
        let said = said.map_err(|error| verdict::crash(&error, store.data()).message)?;
        Description::read(said)
    }

    /// Asks the plugin about a configuration.
    pub(crate) async fn validate(
        &self,
        configuration: &String,
    ) -> Result<Vec<types::Problem>, RunFailure> {
        let mut store = bounded_store(self, asking_scope(), Vec::new());
        let meter = Arc::clone(&store.data().meter);
        let asked = async {
            let plugin = self.ready.instantiate_async(&mut store).await?;
            plugin
                .jobcell_plugin_job_type()
                .call_validate(&mut store, configuration)
                .await
        };
        match self.ask(asked, meter).await {
            Ok(Ok(problems)) => Ok(problems),
            Ok(Err(error)) => Err(verdict::crash(&error, store.data())),
            Err(message) => Err(RunFailure {
                code: "plugin_error".to_owned(),
                message,
            }),
        }
    }

    /// Waits for an answer, but not for ever.
    async fn ask<T>(&self, asked: impl Future<Output = T>, meter: Arc<Meter>) -> Result<T, String> {
        let _ticking = self.instances.ticker.tick();
        let bounded = async {
            let place = self.instances.free.acquire().await;
            let _place = place.map_err(|_| "the plugin host is closed".to_owned())?;
            Ok(Metered::new(asked, meter).await)
        };
        let bounded = tokio::time::timeout(ASKING, bounded).await;
        bounded.unwrap_or_else(|_| Err("the plugin did not answer in time".to_owned()))
    }
}

/// A store without limits, for the floor that benches compare a run with.
pub(crate) fn bare_store(parts: &PluginParts) -> Store<RunState> {
    let mut store = Store::new(
        &parts.engine,
        RunState::new(asking_scope(), &[], Vec::new()),
    );
    store.set_epoch_deadline(u64::from(u32::MAX));
    store
}

/// The scope of a question: whatever answers it may act on nothing.
fn asking_scope() -> RunScope {
    let (never, gate) = EffectGate::closed();
    drop(never);
    RunScope::new(Vec::new(), RunLimits::default(), ASKING, gate, None)
}

fn bounded_store(
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
    let _ticking = parts.instances.ticker.tick();
    let meter = Arc::clone(&store.data().meter);
    let mut call = pin!(Metered::new(
        call(parts, scope, store, configuration),
        meter
    ));
    let reason = tokio::select! {
        // A run that ended is not stopped any more.
        biased;
        end = &mut call => return Some(end),
        () = cancel.cancelled() => StopReason::Cancelled,
        () = tokio::time::sleep_until(scope.deadline().into()) => StopReason::TimedOut,
    };
    scope.stop(reason);
    let grace = scope.limits().stop_grace + LAST_MOMENT;
    tokio::time::timeout(grace, call).await.ok()
}

async fn call(
    parts: &PluginParts,
    scope: &RunScope,
    store: &mut Store<RunState>,
    configuration: &String,
) -> wasmtime::Result<Result<Completion, Failure>> {
    let _place = tokio::select! {
        biased;
        place = parts.instances.free.acquire() => place?,
        reason = scope.stopped() => return Ok(Err(reason.into())),
    };
    let plugin = parts.ready.instantiate_async(&mut *store).await?;
    plugin
        .jobcell_plugin_job_type()
        .call_run(store, configuration)
        .await
}
