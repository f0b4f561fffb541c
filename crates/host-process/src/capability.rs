//! The capability itself: what is granted, and what one run holds of it.
//! Never speaks the plugin's language; `host` does.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jobcell_plugin_host::bindings::process;
use jobcell_plugin_host::{Capability, CapabilityRun, Cost, RunScope, RunState};
use wasmtime::component::{HasData, Linker};

use crate::host::Resources;
use crate::scratch::{self, Scratch};
use crate::tools::Tools;

/// What is granted to processes.
#[derive(Debug, Clone, Default)]
pub struct ProcessConfig {
    /// Executables by role.
    pub tools: Tools,
    /// Where private folders are made.
    pub scratch_root: PathBuf,
    /// Variables that every process gets.
    pub environment: Vec<(String, String)>,
    /// Folders that script files may lie in; anywhere without any.
    pub script_folders: Vec<PathBuf>,
}

/// The `process` capability.
#[derive(Debug, Clone)]
pub struct ProcessCapability(Arc<ProcessConfig>);

impl ProcessCapability {
    /// The capability with these grants.
    #[must_use]
    pub fn new(config: ProcessConfig) -> Self {
        Self(Arc::new(config))
    }

    /// Removes private folders that a crash left. Those of runs that still go
    /// on, in this process or another one, stay.
    pub fn clean_leftovers(&self) {
        scratch::clean(&self.0.scratch_root);
    }
}

pub(crate) struct HasProcess;

impl HasData for HasProcess {
    type Data<'a> = &'a mut ProcessRun;
}

impl Capability for ProcessCapability {
    fn name(&self) -> &'static str {
        "process"
    }

    fn link(&self, linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
        process::add_to_linker::<RunState, HasProcess>(linker, RunState::capability)
    }

    fn begin(&self, scope: &RunScope) -> Box<dyn CapabilityRun> {
        Box::new(ProcessRun {
            scope: scope.clone(),
            config: Arc::clone(&self.0),
            resources: Resources::default(),
            scratch: Scratch::below(
                self.0.scratch_root.clone(),
                scope.attribute("execution-id").unwrap_or_default(),
            ),
            started: 0,
            cost: Cost::default(),
        })
    }
}

/// What one run holds: its processes and its private folder.
pub(crate) struct ProcessRun {
    pub(crate) scope: RunScope,
    pub(crate) config: Arc<ProcessConfig>,
    /// Before the folder, so that a drop ends processes before it removes it.
    pub(crate) resources: Resources,
    pub(crate) scratch: Scratch,
    pub(crate) started: u32,
    pub(crate) cost: Cost,
}

#[async_trait]
impl CapabilityRun for ProcessRun {
    async fn end(&mut self) -> Cost {
        // All at once, so that many stubborn groups take one grace period.
        let mut killing = tokio::task::JoinSet::new();
        for mut child in self.resources.take_children() {
            killing.spawn(async move {
                child.kill().await;
                child.usage()
            });
        }
        while let Some(killed) = killing.join_next().await {
            match killed {
                Ok(usage) => self.count(usage),
                Err(error) => tracing::error!(%error, "ending a process failed"),
            }
        }
        self.scratch.remove();
        self.cost
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl ProcessRun {
    /// Adds what an ended process cost.
    pub(crate) fn count(&mut self, usage: crate::spawn::Usage) {
        let cost = Cost {
            cpu_time: usage.cpu_time,
            peak_memory: usage.peak_memory,
        };
        self.cost = self.cost.and(cost);
    }
}
