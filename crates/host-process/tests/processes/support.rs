//! A run's place for real processes, held together in either way.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use jobcell_host_process::{Child, Exit, Launch, Place, ProcessCapability, ProcessConfig, Program};
use jobcell_plugin_host::{Capability, EffectGate, Journal, RunLimits, RunScope};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How the processes of a test are held together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// As well as this machine can: in cgroups where it has them.
    Best,
    /// Behind shims, even where there are cgroups.
    Shims,
}

/// Makes two tests of each fact: whatever holds processes together, it holds.
macro_rules! in_both {
    ($($(#[$attribute:meta])* async fn $name:ident($held:ident: Held) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn holds($held: Held) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn in_cgroups() {
                holds(Held::Best).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn behind_shims() {
                holds(Held::Shims).await;
            }
        }
    )*};
}
pub(crate) use in_both;

/// Keeps what a run writes down.
#[derive(Default)]
struct Traces(Mutex<Vec<String>>);

#[async_trait]
impl Journal for Traces {
    async fn add(&self, trace: String) -> bool {
        self.0.lock().unwrap().push(trace);
        true
    }
}

/// A run that may start processes.
pub(crate) struct Run {
    pub(crate) scope: RunScope,
    pub(crate) place: Place,
    pub(crate) capability: ProcessCapability,
    pub(crate) execution: String,
    journal: Arc<Traces>,
    root: tempfile::TempDir,
}

impl Run {
    pub(crate) fn new(held: Held) -> Self {
        Self::with(held, |_| {})
    }

    pub(crate) fn with(held: Held, limit: impl FnOnce(&mut RunLimits)) -> Self {
        Self::gated(held, EffectGate::open(), limit)
    }

    pub(crate) fn gated(held: Held, gate: EffectGate, limit: impl FnOnce(&mut RunLimits)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let config = ProcessConfig {
            scratch_root: root.path().to_owned(),
            ..ProcessConfig::default()
        };
        let capability = match held {
            Held::Best => ProcessCapability::new(config),
            Held::Shims => ProcessCapability::without_cgroups(config),
        };
        let mut limits = RunLimits {
            stop_grace: Duration::from_millis(300),
            ..RunLimits::default()
        };
        limit(&mut limits);
        Self::of(capability, "0192-run", gate, limits, root)
    }

    /// Another run of the same server.
    pub(crate) fn another(&self) -> Self {
        let root = tempfile::tempdir().unwrap();
        let limits = self.scope.limits().clone();
        Self::of(
            self.capability.clone(),
            "0192-another",
            EffectGate::open(),
            limits,
            root,
        )
    }

    fn of(
        capability: ProcessCapability,
        execution: &str,
        gate: EffectGate,
        limits: RunLimits,
        root: tempfile::TempDir,
    ) -> Self {
        let execution = execution.to_owned();
        let facts = vec![("execution-id".to_owned(), execution.clone())];
        let journal = Arc::new(Traces::default());
        let scope = RunScope::new(facts, limits, Duration::from_secs(60), gate, None)
            .with_journal(Some(journal.clone()));
        let place = capability.place(&scope);
        Self {
            scope,
            place,
            capability,
            execution,
            journal,
            root,
        }
    }

    /// What leads to the run's processes, as its record has it.
    pub(crate) fn traces(&self) -> Vec<String> {
        let known = self.capability.trace(&self.execution);
        let noted = self.journal.0.lock().unwrap();
        known.into_iter().chain(noted.iter().cloned()).collect()
    }

    pub(crate) async fn start(&self, launch: &Launch) -> Child {
        Child::start(launch, &self.place).await.unwrap()
    }

    /// Starts a script that writes process ids into the file `PIDS`, and reads
    /// them.
    pub(crate) async fn start_with_pids(&self, script: &str, count: usize) -> (Child, Vec<String>) {
        let file = self.root.path().join("pids");
        let script = script.replace("PIDS", file.to_str().unwrap());
        let child = self.start(&shell(&script)).await;
        let mut pids = Vec::new();
        eventually("process ids", || {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            pids = text.lines().map(str::to_owned).collect();
            pids.len() == count && text.ends_with('\n')
        })
        .await;
        (child, pids)
    }

    /// Runs a program to its end.
    pub(crate) async fn output(&self, launch: &Launch) -> (Exit, String) {
        let exit = self.start(launch).await.wait().await.unwrap();
        (exit, self.scope.output().take().0.text())
    }

    /// Cgroups of this run that anything is in.
    pub(crate) fn cgroups(&self) -> usize {
        let all = self.cgroup_folders().into_iter();
        let populated = |folder: &PathBuf| {
            let events = std::fs::read_to_string(folder.join("cgroup.events"));
            events.unwrap_or_default().contains("populated 1")
        };
        all.filter(populated).count()
    }

    /// All that there are for runs of this test; none where the machine has none.
    pub(crate) fn cgroup_folders(&self) -> Vec<PathBuf> {
        let said = self.capability.containment();
        let folder = said.strip_prefix("cgroups below ");
        let Some(folder) = folder.and_then(|rest| rest.split(" (").next()) else {
            return Vec::new();
        };
        // Whoever starts beside us removes it while it is empty.
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        paths.filter(|path| path.is_dir()).collect()
    }
}

pub(crate) fn shell(script: &str) -> Launch {
    let program = Program::open("/bin/sh".as_ref(), None).unwrap();
    let mut launch = Launch::new(program, "/".into());
    launch.arguments = vec!["-c".into(), script.into()];
    launch.environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
    launch
}

pub(crate) async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check() {
        assert!(Instant::now() < deadline, "waited for {what}");
        tokio::task::yield_now().await;
    }
}

/// Whether a process runs; a zombie does not.
pub(crate) fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
