//! The capability itself: what is granted, and what one run holds of it.
//! Never speaks the plugin's language; `host` does.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jobcell_plugin_host::bindings::process;
use jobcell_plugin_host::{Capability, CapabilityRun, Cost, Ended, RunScope, RunState};
use wasmtime::component::{HasData, Linker};

use crate::host::Resources;
use crate::meter;
use crate::scratch::{Folders, Scratch};
use crate::spawn::{Child, Place};
use crate::system::{self, Containment, Prepared};
use crate::tools::{Found, OpenTool, Tools};
use crate::usage::Usage;
use crate::watcher::Watchers;

/// So many processes that ended, and so many tools, are kept to the end of their run.
const MOST_KEPT: usize = 2;

/// What is granted to processes.
#[derive(Debug, Clone, Default)]
pub struct ProcessConfig {
    /// Executables by role.
    pub tools: Tools,
    /// Where private folders are made.
    pub scratch_root: PathBuf,
    /// Variables that every process gets, where nothing stronger says otherwise.
    pub environment: Vec<(String, String)>,
    /// Folders that script files may lie in; anywhere without any.
    pub script_folders: Vec<PathBuf>,
}

/// The `process` capability. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ProcessCapability {
    config: Arc<ProcessConfig>,
    containment: Arc<Containment>,
    folders: Arc<Folders>,
    watchers: Arc<Watchers>,
    pipes: Arc<Prepared>,
}

impl ProcessCapability {
    /// The capability with these grants, holding processes together as well as
    /// this machine lets it.
    #[must_use]
    pub fn new(config: ProcessConfig) -> Self {
        let containment = Containment::choose(&name_of(&config));
        Self::held_by(config, containment)
    }

    /// The same without cgroups, even where there are any.
    #[must_use]
    pub fn without_cgroups(config: ProcessConfig) -> Self {
        let reason = "the configuration says so".to_owned();
        Self::held_by(config, Containment::without_cgroups(reason))
    }

    fn held_by(config: ProcessConfig, containment: Containment) -> Self {
        Self {
            folders: Arc::new(Folders::below(config.scratch_root.clone())),
            config: Arc::new(config),
            containment: Arc::new(containment),
            watchers: Arc::default(),
            pipes: Arc::default(),
        }
    }

    /// Removes private folders that a crash left, and kills processes of runs
    /// whose server is gone. Those of runs that still go on, in this process or
    /// another one, stay.
    pub fn clean_leftovers(&self) {
        self.containment.clean_leftovers();
        self.folders.clean();
    }

    /// How processes are held together here, in one sentence.
    #[must_use]
    pub fn containment(&self) -> String {
        self.containment.describe()
    }

    /// What each role comes to on this machine.
    #[must_use]
    pub fn tools(&self) -> Vec<Found> {
        self.config.tools.survey()
    }

    /// Where a run that has this scope starts processes.
    #[must_use]
    pub fn place(&self, scope: &RunScope) -> Place {
        Place::new(scope, &self.containment, &self.watchers, &self.pipes)
    }
}

/// Servers with folders of their own have cgroups of their own.
fn name_of(config: &ProcessConfig) -> String {
    let root = &config.scratch_root;
    let root = root.canonicalize().unwrap_or_else(|_| root.clone());
    let hash = blake3::hash(root.as_os_str().as_encoded_bytes());
    format!("jobcell-{}", &hash.to_hex()[..16])
}

pub(crate) struct HasProcess;

impl HasData for HasProcess {
    type Data<'a> = &'a mut ProcessRun;
}

#[async_trait]
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
            config: Arc::clone(&self.config),
            resources: Resources::default(),
            place: self.place(scope),
            scratch: Scratch::of(&self.folders),
            started: 0,
            ended: Vec::new(),
            used_tools: Vec::new(),
            cost: Cost::default(),
        })
    }

    fn trace(&self, execution: &str) -> Option<String> {
        self.containment.trace(execution)
    }

    async fn end_leftovers(&self, execution: &str, traces: &[String]) -> Result<(), String> {
        system::end_traced(execution, traces).await
    }
}

/// What one run holds: its processes and its private folder.
pub(crate) struct ProcessRun {
    pub(crate) scope: RunScope,
    pub(crate) config: Arc<ProcessConfig>,
    /// Before the folder, so that a drop ends processes before it removes it.
    pub(crate) resources: Resources,
    pub(crate) place: Place,
    pub(crate) scratch: Scratch,
    pub(crate) started: u32,
    /// Some of those that ended: what they leave open is closed after the report.
    ended: Vec<Child>,
    /// The same of tools that the plugin has let go of.
    used_tools: Vec<Arc<OpenTool>>,
    pub(crate) cost: Cost,
}

#[async_trait]
impl CapabilityRun for ProcessRun {
    async fn end(&mut self) -> Ended {
        let children = self.resources.take_children();
        if !children.is_empty() {
            self.kill_all(children).await;
        }
        let meter = &self.place.meter;
        if meter.left().is_some() {
            self.scratch.keep_from_others();
        }
        // One that nothing was written to is looked at after the report.
        self.scratch.leave();
        let passed = meter.passed();
        Ended {
            cost: self.cost,
            passed: passed.map(|cap| meter::failure(self.scope.limits(), cap)),
            left: meter.left().map(str::to_owned),
        }
    }

    fn after_report(&mut self) {
        if self.started > 0 {
            self.place.prepare_next();
        }
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl ProcessRun {
    /// Counts what a process cost that has ended.
    pub(crate) fn has_ended(&mut self, child: Child) {
        self.count(child.usage());
        if self.ended.len() < MOST_KEPT {
            self.ended.push(child);
        }
    }

    /// Kills all at once, so that many stubborn groups take one grace period.
    async fn kill_all(&mut self, children: Vec<Child>) {
        let mut killing = tokio::task::JoinSet::new();
        for mut child in children {
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
    }

    /// Keeps a tool open that nobody asks for any more.
    pub(crate) fn is_done_with(&mut self, tool: Arc<OpenTool>) {
        if self.used_tools.len() < MOST_KEPT {
            self.used_tools.push(tool);
        }
    }

    /// Adds what an ended process cost.
    pub(crate) fn count(&mut self, usage: Usage) {
        let cost = Cost {
            cpu_time: usage.cpu_time,
            peak_memory: usage.peak_memory,
            processes: usage.processes,
            // Counted when it was given.
            input_bytes: 0,
            read_bytes: usage.read_bytes,
            written_bytes: usage.written_bytes,
        };
        self.cost = self.cost.and(cost);
    }
}
