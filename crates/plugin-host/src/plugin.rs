//! One plugin, ready to run: a fresh instance for every call, never used twice.
//! Never records anything; what a run was is in its report.

use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::Engine;

use crate::ask::AskLimits;
use crate::bindings::{FullJobTypePre, types};
use crate::call;
use crate::capability::{Capability, RunState};
use crate::deadline::Deadlines;
use crate::description::Description;
use crate::report::{RunFailure, RunReport, RunRequest};
use crate::spare::Shelf;
use crate::ticker::Ticker;

/// What all runs of a host share.
pub(crate) struct Instances {
    pub(crate) free: Arc<Semaphore>,
    pub(crate) spares: Arc<Semaphore>,
    pub(crate) ticker: Ticker,
    pub(crate) deadlines: Deadlines,
}

/// What a plugin is made of.
pub(crate) struct PluginParts {
    pub(crate) hash: String,
    pub(crate) imports: Vec<String>,
    pub(crate) capabilities: Vec<Arc<dyn Capability>>,
    pub(crate) engine: Engine,
    pub(crate) ready: FullJobTypePre<RunState>,
    pub(crate) instances: Arc<Instances>,
    pub(crate) asking: AskLimits,
    pub(crate) shelf: Shelf,
}

struct Shared {
    parts: Arc<PluginParts>,
    description: Description,
    identity: String,
}

/// A loaded plugin. Cheap to clone.
#[derive(Clone)]
pub struct Plugin(Arc<Shared>);

impl Plugin {
    pub(crate) fn new(parts: PluginParts, description: Description) -> Self {
        let identity = format!(
            "{} {} blake3:{}",
            description.name,
            description.version,
            &parts.hash[..16]
        );
        Self(Arc::new(Shared {
            parts: Arc::new(parts),
            description,
            identity,
        }))
    }

    /// What it says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// Name, version and hash of its content.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.0.identity
    }

    /// The interfaces that it imports: `process`.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.0.parts.imports
    }

    /// What leads to all that an execution of it will start, as far as that is
    /// known before.
    #[must_use]
    pub fn traces(&self, execution: &str) -> Vec<String> {
        let capabilities = self.0.parts.capabilities.iter();
        capabilities
            .filter_map(|capability| capability.trace(execution))
            .collect()
    }

    /// Ends what a process of this host that crashed left of an execution.
    ///
    /// # Errors
    /// With what is there all the same, in words.
    pub async fn end_leftovers(&self, execution: &str, traces: &[String]) -> Result<(), String> {
        for capability in &self.0.parts.capabilities {
            capability.end_leftovers(execution, traces).await?;
        }
        Ok(())
    }

    /// Asks it about a configuration.
    ///
    /// # Errors
    /// When it fails to answer.
    pub async fn validate(&self, configuration: &str) -> Result<Vec<types::Problem>, RunFailure> {
        self.0.parts.validate(configuration.to_owned()).await
    }

    /// Carries out one run. Returns once all that it started is gone; its instance is
    /// wiped next. To be awaited in a runtime of tokio's.
    pub async fn run(&self, request: RunRequest) -> RunReport {
        call::run(&self.0.parts, request).await
    }

    /// Makes an instance without running anything: the floor that benches
    /// compare a run with.
    ///
    /// # Errors
    /// When there is no room for it.
    pub async fn instantiate_and_drop(&self) -> wasmtime::Result<()> {
        let mut store = call::bare_store(&self.0.parts);
        self.0
            .parts
            .ready
            .instance_pre()
            .instantiate_async(&mut store)
            .await
            .map(|_| ())
    }
}
