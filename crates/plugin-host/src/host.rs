//! Loads plugins: compiles or takes them from the cache, links what they
//! import and nothing else, asks them once what they are. Never runs a job.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::ask::AskLimits;
use crate::bindings::FullJobTypePre;
use crate::capability::{Capability, RunState};
use crate::deadline::Deadlines;
use crate::description::Description;
use crate::engine::{self, Allocation};
use crate::limits::RunLimits;
use crate::plugin::{Instances, Plugin, PluginParts};
use crate::spare::{MOST_SPARES, Shelf};
use crate::ticker::Ticker;
use crate::{image, run_context, wasi};

/// The package that plugins import from.
const PACKAGE: &str = "jobcell:plugin/";
/// Its versions that fit, as wasmtime matches them.
const MAJOR_VERSION: &str = "1.";
/// The largest component that is compiled, in bytes.
const LARGEST_COMPONENT: usize = 64 << 20;

/// How plugins are run.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Folder for compiled images, for its owner alone; none for no cache.
    pub cache_dir: Option<PathBuf>,
    /// Runs that have an instance at the same time; more wait (1,000).
    pub instances: u32,
    /// Memory of a plugin that is asked what it is or whether a configuration is
    /// right, in bytes (64 MiB).
    pub guest_memory: u64,
    /// How long a plugin may compute to answer such a question (5 s).
    pub asking_time: Duration,
    /// How often a computing plugin is looked at (10 ms).
    pub tick: Duration,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            cache_dir: None,
            instances: 1000,
            guest_memory: RunLimits::default().guest_memory,
            asking_time: Duration::from_secs(5),
            tick: Duration::from_millis(10),
        }
    }
}

/// Plugins can't be run at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// wasmtime can't be set up.
    #[error("the WebAssembly engine can't be set up")]
    Engine(#[source] wasmtime::Error),
    /// The thread that bounds computing can't be started.
    #[error("the thread that bounds computing time can't be started")]
    Thread(#[source] std::io::Error),
}

/// A plugin can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is too large.
    #[error("the plugin has {bytes} bytes; at most {LARGEST_COMPONENT} are compiled")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is machine code, which is never taken from outside.
    #[error("the plugin is a precompiled image; give the component that it was made from")]
    Precompiled,
    /// It is a core module.
    #[error("the plugin is a core module; build it for wasm32-wasip2, or wrap it as a component")]
    CoreModule,
    /// It is no valid component.
    #[error("the plugin can't be compiled")]
    Compile(#[source] wasmtime::Error),
    /// It imports what this host does not have or does not grant.
    #[error("the plugin imports `{import}`, which is not granted or not known here")]
    Import {
        /// The interface.
        import: String,
    },
    /// It does not export the job type interface of this version.
    #[error("the plugin does not fit the interface jobcell:plugin/job-type@1.0.0")]
    Contract(#[source] wasmtime::Error),
    /// Its `describe` failed, or what it said can't be used.
    #[error("the plugin does not describe itself: {reason}")]
    Description {
        /// Why.
        reason: String,
    },
}

/// Runs plugins. Cheap to clone.
#[derive(Clone)]
pub struct PluginHost {
    engine: Engine,
    allocation: Allocation,
    config: Arc<HostConfig>,
    capabilities: Arc<Vec<Arc<dyn Capability>>>,
    instances: Arc<Instances>,
}

impl PluginHost {
    /// Sets up an engine that can grant these capabilities.
    ///
    /// # Errors
    /// When the engine or its thread can't be started.
    pub fn new(
        config: HostConfig,
        capabilities: Vec<Arc<dyn Capability>>,
    ) -> Result<Self, StartError> {
        let (engine, allocation) = engine::start(config.instances.saturating_add(MOST_SPARES))
            .map_err(StartError::Engine)?;
        let ticker = Ticker::start(engine.clone(), config.tick).map_err(StartError::Thread)?;
        let free = Arc::new(Semaphore::new(
            usize::try_from(config.instances).unwrap_or(usize::MAX),
        ));
        let spares = usize::try_from(MOST_SPARES).unwrap_or(usize::MAX);
        let spares = Arc::new(Semaphore::new(spares));
        Ok(Self {
            engine,
            allocation,
            config: Arc::new(config),
            capabilities: Arc::new(capabilities),
            instances: Arc::new(Instances {
                free,
                spares,
                ticker,
                deadlines: Deadlines::default(),
            }),
        })
    }

    /// How instances get their memory.
    #[must_use]
    pub fn allocation(&self) -> Allocation {
        self.allocation
    }

    /// How many runs hold an instance now.
    #[must_use]
    pub fn instances_in_use(&self) -> usize {
        usize::try_from(self.config.instances)
            .unwrap_or(usize::MAX)
            .saturating_sub(self.instances.free.available_permits())
    }

    /// How many instances the pool holds now; none without a pool.
    #[must_use]
    pub fn pooled_instances(&self) -> Option<u64> {
        let metrics = self.engine.pooling_allocator_metrics()?;
        Some(metrics.component_instances())
    }

    /// How many of those wait for a run.
    #[must_use]
    pub fn spare_instances(&self) -> u64 {
        u64::from(MOST_SPARES).saturating_sub(self.instances.spares.available_permits() as u64)
    }

    /// Makes a plugin ready to run. Compiles it unless it is in the cache.
    ///
    /// # Errors
    /// When it is no component, imports what is not granted, or does not say
    /// what it is.
    ///
    /// May take seconds where it compiles: not for a thread that serves others.
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Plugin, LoadError> {
        self.check_form(bytes)?;
        let component =
            image::component(&self.engine, self.config.cache_dir.as_deref(), name, bytes)
                .map_err(LoadError::Compile)?;
        let imports = self.imports(&component)?;
        let capabilities: Vec<Arc<dyn Capability>> = self
            .capabilities
            .iter()
            .filter(|capability| imports.iter().any(|import| import == capability.name()))
            .cloned()
            .collect();
        let linker = self.linker(&capabilities).map_err(LoadError::Contract)?;
        let ready = linker
            .instantiate_pre(&component)
            .map_err(LoadError::Contract)?;
        let ready = FullJobTypePre::new(ready).map_err(LoadError::Contract)?;
        let parts = PluginParts {
            hash: blake3::hash(bytes).to_hex().to_string(),
            imports,
            capabilities,
            engine: self.engine.clone(),
            ready,
            instances: Arc::clone(&self.instances),
            asking: AskLimits {
                compute_time: self.config.asking_time,
                guest_memory: self.config.guest_memory,
            },
            shelf: Shelf::default(),
        };
        let said = describe(&parts).map_err(|reason| LoadError::Description { reason })?;
        Ok(Plugin::new(parts, said))
    }

    fn check_form(&self, bytes: &[u8]) -> Result<(), LoadError> {
        if bytes.len() > LARGEST_COMPONENT {
            return Err(LoadError::TooLarge { bytes: bytes.len() });
        }
        if Engine::detect_precompiled(bytes).is_some() {
            return Err(LoadError::Precompiled);
        }
        // The version field tells a core module (1) from a component.
        if bytes.starts_with(b"\0asm\x01\0\0\0") {
            return Err(LoadError::CoreModule);
        }
        Ok(())
    }

    /// The interfaces of our package that a component imports, by name.
    fn imports(&self, component: &Component) -> Result<Vec<String>, LoadError> {
        let mut ours = Vec::new();
        for (import, _) in component.component_type().imports(&self.engine) {
            let granted = match import.strip_prefix(PACKAGE) {
                Some(interface) => {
                    let (name, version) = interface.split_once('@').unwrap_or((interface, ""));
                    ours.push(name.to_owned());
                    version.starts_with(MAJOR_VERSION) && self.grants(name)
                }
                None => wasi::is_allowed(import),
            };
            if !granted {
                return Err(LoadError::Import {
                    import: import.to_owned(),
                });
            }
        }
        Ok(ours)
    }

    fn grants(&self, interface: &str) -> bool {
        let capabilities = self.capabilities.iter();
        ["types", "run-context"].contains(&interface)
            || capabilities
                .map(|capability| capability.name())
                .any(|name| name == interface)
    }

    fn linker(&self, capabilities: &[Arc<dyn Capability>]) -> wasmtime::Result<Linker<RunState>> {
        let mut linker = Linker::new(&self.engine);
        wasi::link(&mut linker)?;
        run_context::link(&mut linker)?;
        for capability in capabilities {
            capability.link(&mut linker)?;
        }
        Ok(linker)
    }
}

/// Asks a plugin what it is, on a thread of its own: loading may be called from
/// anywhere, and a plugin may wait in `describe`.
fn describe(parts: &PluginParts) -> Result<Description, String> {
    std::thread::scope(|scope| {
        let asked = std::thread::Builder::new()
            .name("describe".to_owned())
            .spawn_scoped(scope, || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .map_err(|error| format!("no runtime to ask it on: {error}"))?
                    .block_on(parts.describe())
            })
            .map_err(|error| format!("no thread to ask it on: {error}"))?;
        let panicked = |_| Err("asking it panicked".to_owned());
        asked.join().unwrap_or_else(panicked)
    })
}
