//! Asks a plugin what it is and whether a configuration is right, in an instance
//! of its own that may compute for a short while and act on nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;

use crate::bindings::{FullJobType, types};
use crate::call::bounded_store;
use crate::capability::RunState;
use crate::description::Description;
use crate::limits::RunLimits;
use crate::meter::Metered;
use crate::plugin::PluginParts;
use crate::report::RunFailure;
use crate::scope::{EffectGate, RunScope};
use crate::verdict;

/// Beyond its computing time, how long a plugin may take to answer.
const WAITING: Duration = Duration::from_secs(10);

/// What a plugin may use to answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AskLimits {
    pub(crate) compute_time: Duration,
    pub(crate) guest_memory: u64,
}

impl AskLimits {
    /// How long it may take in all.
    pub(crate) const fn wall(&self) -> Duration {
        self.compute_time.saturating_add(WAITING)
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<T>> + Send + 'a>>;

impl PluginParts {
    /// Asks the plugin what it is.
    pub(crate) async fn describe(&self) -> Result<Description, String> {
        let said = self
            .ask(|store, plugin| Box::pin(plugin.jobcell_plugin_job_type().call_describe(store)));
        Description::read(said.await.map_err(|failure| failure.message)?)
    }

    /// Asks the plugin about a configuration.
    pub(crate) async fn validate(
        &self,
        configuration: String,
    ) -> Result<Vec<types::Problem>, RunFailure> {
        self.ask(|store, plugin| {
            Box::pin(async move {
                let job_type = plugin.jobcell_plugin_job_type();
                job_type.call_validate(store, &configuration).await
            })
        })
        .await
    }

    /// Asks in a fresh instance, and waits for the answer, but not for ever.
    async fn ask<T>(
        &self,
        question: impl for<'a> FnOnce(&'a mut Store<RunState>, &'a FullJobType) -> Answer<'a, T>,
    ) -> Result<T, RunFailure> {
        let wall = self.asking.wall();
        let place = tokio::time::timeout(wall, self.instances.free.acquire()).await;
        let Ok(_place) = place else {
            return Err(verdict::no_place(wall));
        };
        let state = RunState::new(self.asking_scope(wall), &self.capabilities, Vec::new());
        let mut store = bounded_store(self, state);
        let meter = Arc::clone(&store.data().meter);
        let asked = async {
            let plugin = self.ready.instantiate_async(&mut store).await?;
            question(&mut store, &plugin).await
        };
        let asked = Metered::new(asked, meter, &self.instances.ticker);
        let answer = tokio::time::timeout(wall, asked).await;
        let mut state = store.into_data();
        for capability in &mut state.capabilities {
            capability.end().await;
        }
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(verdict::no_answer(&error, &state)),
            Err(_) => Err(verdict::late_answer(wall)),
        }
    }

    /// The scope of a question: whatever answers it may act on nothing.
    pub(crate) fn asking_scope(&self, wall: Duration) -> RunScope {
        let (never, gate) = EffectGate::closed();
        drop(never);
        let limits = RunLimits {
            compute_time: self.asking.compute_time,
            guest_memory: self.asking.guest_memory,
            ..RunLimits::default()
        };
        RunScope::new(Vec::new(), limits, wall, gate, None)
    }
}
