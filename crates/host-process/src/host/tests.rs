//! The capability as a plugin meets it, with real processes beneath.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use jobcell_plugin_host::{
    Capability, CapabilityRun, EffectGate, RunLimits, RunScope, StopReason, failure::codes,
};

use super::*;
use crate::{ProcessCapability, ProcessConfig, ToolGrant, Tools};

/// A run with `/bin/sh` as its tool `shell`, in a folder of its own.
struct Fixture {
    root: tempfile::TempDir,
    scope: RunScope,
    run: Box<dyn CapabilityRun>,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|_| {}, |_| {})
    }

    fn with(
        configure: impl FnOnce(&mut ProcessConfig),
        limit: impl FnOnce(&mut RunLimits),
    ) -> Self {
        let root = tempfile::tempdir().unwrap();
        let shell = ToolGrant {
            path: "/bin/sh".into(),
            ..ToolGrant::default()
        };
        let tools = BTreeMap::from([("shell".to_owned(), shell)]);
        let mut config = ProcessConfig {
            tools: Tools::search("".as_ref()).with_configured(tools),
            scratch_root: root.path().to_owned(),
            environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            script_folders: Vec::new(),
        };
        configure(&mut config);
        let mut limits = RunLimits {
            stop_grace: Duration::from_millis(300),
            ..RunLimits::default()
        };
        limit(&mut limits);
        let facts = [("execution-id", "e-1"), ("job-key", "nightly")];
        let facts = facts.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let timeout = Duration::from_secs(60);
        let scope = RunScope::new(facts.into(), limits, timeout, EffectGate::open(), None);
        let run = ProcessCapability::new(config).begin(&scope);
        Self { root, scope, run }
    }

    fn run(&mut self) -> &mut ProcessRun {
        self.run.as_any_mut().downcast_mut().unwrap()
    }

    /// A command of `sh -c`.
    async fn command(&mut self, script: &str) -> u32 {
        let run = self.run();
        let tool = HostTool::open(run, "shell".to_owned()).await.unwrap();
        let command = HostTool::command(run, tool.unwrap()).unwrap().rep();
        for argument in ["-c", script] {
            let argument = argument.to_owned();
            HostCommand::argument(run, Resource::new_borrow(command), argument).unwrap();
        }
        command
    }

    async fn spawn(&mut self, command: u32) -> Result<u32, Failure> {
        let spawned = HostCommand::spawn(self.run(), Resource::new_borrow(command)).await;
        spawned.unwrap().map(|child| child.rep())
    }

    async fn start(&mut self, script: &str) -> u32 {
        let command = self.command(script).await;
        self.spawn(command).await.unwrap()
    }

    async fn wait(&mut self, child: u32) -> Result<ExitStatus, Failure> {
        let waited = HostChild::wait(self.run(), Resource::new_borrow(child)).await;
        waited.unwrap()
    }

    fn text(&self) -> String {
        self.scope.output().take().0.text()
    }

    fn folders(&self) -> usize {
        std::fs::read_dir(self.root.path()).unwrap().count()
    }
}

fn code(failure: Failure) -> String {
    match failure {
        Failure::Invalid(detail) | Failure::Denied(detail) | Failure::NotFound(detail) => {
            detail.code
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_process_sees_what_was_granted_what_its_run_is_and_what_its_plugin_says() {
    let mut fixture = Fixture::new();
    let command = fixture.command("echo $OWN $JOBCELL_JOB_KEY; env").await;
    let run = fixture.run();
    for (name, value) in [("OWN", "a b"), ("JOBCELL_JOB_KEY", "forged")] {
        let (name, value) = (name.to_owned(), value.to_owned());
        HostCommand::environment(run, Resource::new_borrow(command), name, value).unwrap();
    }
    let child = fixture.spawn(command).await.unwrap();
    assert!(matches!(
        fixture.wait(child).await.unwrap(),
        ExitStatus::Code(0)
    ));
    let text = fixture.text();
    assert!(text.starts_with("a b nightly\n"), "{text}");
    assert!(text.contains("JOBCELL_EXECUTION_ID=e-1\n"), "{text}");
    assert!(!text.contains("JOBCELL_SCHEDULED_TIME"), "{text}");
    assert!(
        !text.contains("CARGO"),
        "nothing of the server's own: {text}"
    );
}

#[tokio::test]
async fn one_process_beyond_the_limit_is_refused_by_name_of_the_setting() {
    let mut fixture = Fixture::with(|_| {}, |limits| limits.processes = 2);
    for _ in 0..2 {
        let child = fixture.start("exit 0").await;
        fixture.wait(child).await.unwrap();
    }
    let command = fixture.command("exit 0").await;
    match fixture.spawn(command).await {
        Err(Failure::Limit(reached)) => {
            assert_eq!(reached.setting, "limits.processes");
            assert_eq!(reached.value, "2 processes");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_command_starts_once() {
    let mut fixture = Fixture::new();
    let command = fixture.command("exit 0").await;
    fixture.spawn(command).await.unwrap();
    assert_eq!(
        code(fixture.spawn(command).await.unwrap_err()),
        codes::MISUSE
    );
}

#[tokio::test]
async fn the_private_folder_is_made_when_needed_and_removed_at_the_end() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.folders(), 0, "none is made for nothing");
    let child = fixture.start("pwd").await;
    fixture.wait(child).await.unwrap();
    assert_eq!(fixture.folders(), 1, "a process works in its run's own");
    assert!(fixture.text().contains("/run-"), "{}", fixture.text());
    let written = Host::write_private_file(fixture.run(), "a.txt".to_owned(), b"hi".to_vec());
    let file = PathBuf::from(written.await.unwrap().unwrap());
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let child = fixture
        .start("cat a.txt; echo more > made-by-the-process")
        .await;
    fixture.wait(child).await.unwrap();
    assert!(fixture.text().ends_with("hi"));
    fixture.run.end().await;
    assert_eq!(fixture.folders(), 0);
}

#[tokio::test]
async fn the_end_of_a_run_ends_what_it_left_running_and_adds_up_its_cost() {
    let mut fixture = Fixture::new();
    let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    let child = fixture.start(busy).await;
    fixture.wait(child).await.unwrap();
    let usage = HostChild::usage(fixture.run(), Resource::new_borrow(child));
    let usage = usage.unwrap();
    assert!(usage.cpu_time > 0 && usage.peak_memory > 100_000);
    fixture.start("trap '' TERM; sleep 600 & wait").await;
    let cost = fixture.run.end().await.cost;
    assert!(cost.cpu_time >= Duration::from_millis(usage.cpu_time));
    assert!(cost.peak_memory >= usage.peak_memory);
}

#[tokio::test]
async fn nothing_starts_in_a_run_that_was_stopped() {
    let mut fixture = Fixture::new();
    let command = fixture.command("echo x > acted").await;
    fixture.scope.stop(StopReason::Cancelled);
    assert!(matches!(
        fixture.spawn(command).await,
        Err(Failure::Cancelled)
    ));
    assert_eq!(fixture.folders(), 0);
}

#[tokio::test]
async fn script_files_must_be_absolute_there_and_inside_the_granted_folders() {
    let granted = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    let inside = granted.path().join("a.ps1");
    std::fs::write(&inside, "").unwrap();
    let link = granted.path().join("link.ps1");
    std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
    let folder = granted.path().to_owned();
    let mut fixture = Fixture::with(|config| config.script_folders = vec![folder], |_| {});
    let mut resolve = async |path: &Path| {
        let path = path.to_str().unwrap().to_owned();
        Host::resolve_file(fixture.run(), path).unwrap()
    };
    let dotted = granted.path().join(".").join("a.ps1");
    let real = inside.canonicalize().unwrap();
    assert_eq!(resolve(&dotted).await.unwrap(), real.to_str().unwrap());
    for path in [elsewhere.path(), &link] {
        let refused = resolve(path).await.unwrap_err();
        assert!(matches!(refused, Failure::Denied(_)), "{refused:?}");
    }
    for path in [&granted.path().join("missing.ps1"), granted.path()] {
        let refused = resolve(path).await.unwrap_err();
        assert!(matches!(refused, Failure::NotFound(_)), "{refused:?}");
    }
    let relative = resolve(Path::new("a.ps1")).await.unwrap_err();
    assert!(matches!(relative, Failure::Invalid(_)), "{relative:?}");
}

#[tokio::test]
async fn a_program_works_in_the_folder_that_was_checked_and_not_where_a_link_leads_later() {
    let granted = tempfile::tempdir().unwrap();
    let real = granted.path().canonicalize().unwrap().join("work");
    std::fs::create_dir(&real).unwrap();
    let link = granted.path().join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let tool = ToolGrant {
        path: "/bin/sh".into(),
        working_folders: vec![granted.path().to_owned()],
        ..ToolGrant::default()
    };
    let tools = BTreeMap::from([("shell".to_owned(), tool)]);
    let tools = Tools::search("".as_ref()).with_configured(tools);
    let mut fixture = Fixture::with(|config| config.tools = tools, |_| {});
    let command = fixture.command("pwd").await;
    let path = link.to_str().unwrap().to_owned();
    HostCommand::working_directory(fixture.run(), Resource::new_borrow(command), path).unwrap();
    let launch = fixture.run().launch(&Resource::new_borrow(command));
    assert_eq!(launch.unwrap().working_directory, real);
}

#[tokio::test]
async fn the_content_of_a_pinned_tool_is_not_read_in_the_plugins_time() {
    let hash = std::fs::read("/bin/sh").unwrap();
    let hash = format!("{:x}", <sha2::Sha256 as sha2::Digest>::digest(&hash));
    let pinned = ToolGrant {
        path: "/bin/sh".into(),
        sha256: Some(hash.parse().unwrap()),
        ..ToolGrant::default()
    };
    let tools = BTreeMap::from([("shell".to_owned(), pinned)]);
    let tools = Tools::search("".as_ref()).with_configured(tools);
    let mut fixture = Fixture::with(|config| config.tools = tools, |_| {});
    let mut opening = Box::pin(HostTool::open(fixture.run(), "shell".to_owned()));
    let polled = std::future::poll_fn(|context| {
        std::task::Poll::Ready(opening.as_mut().poll(context).is_pending())
    });
    assert!(polled.await, "it was read on this thread");
    assert!(opening.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_handle_that_was_dropped_is_an_error_and_no_panic() {
    let mut fixture = Fixture::new();
    let child = fixture.start("sleep 600").await;
    HostChild::drop(fixture.run(), Resource::new_own(child))
        .await
        .unwrap();
    let waited = HostChild::wait(fixture.run(), Resource::new_borrow(child)).await;
    assert!(waited.is_err());
}

#[tokio::test]
async fn few_tools_that_a_plugin_has_let_go_of_stay_open_to_the_end_of_its_run() {
    let mut fixture = Fixture::new();
    let run = fixture.run();
    let mut opened = Vec::new();
    for _ in 0..5 {
        let tool = HostTool::open(run, "shell".to_owned()).await.unwrap();
        let tool = tool.unwrap();
        opened.push(Arc::downgrade(&run.resources.tools[&tool.rep()]));
        HostTool::drop(run, tool).unwrap();
    }
    let open = || opened.iter().filter(|tool| tool.strong_count() > 0).count();
    assert_eq!(open(), 2);
    drop(fixture);
    assert_eq!(open(), 0);
}
