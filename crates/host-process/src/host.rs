//! The WIT side: hands out resources and passes calls on. Nothing here trusts
//! the order of a plugin's calls.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jobcell_model::OutputStream;
use jobcell_plugin_host::bindings::process::{
    Child as ChildResource, Command as CommandResource, ExitStatus, Host, HostChild, HostCommand,
    HostTool, Sink as WitSink, Tool as ToolResource, Usage as WitUsage,
};
use jobcell_plugin_host::bindings::types::{self, Failure};
use jobcell_plugin_host::{codes, denied, failure, invalid, not_found};
use wasmtime::component::Resource;

use crate::capability::ProcessRun;
use crate::identity;
use crate::spawn::{Child, Exit, Launch, Sink};
use crate::tools::OpenTool;

/// Handles of each kind that a run may hold.
const MOST_HANDLES: usize = 1000;
/// Bytes of arguments, variables and input of one command.
const MOST_TEXT: usize = 4 << 20;

/// What a run's handles stand for.
#[derive(Default)]
pub(crate) struct Resources {
    last: u32,
    tools: BTreeMap<u32, Arc<OpenTool>>,
    commands: BTreeMap<u32, Draft>,
    children: BTreeMap<u32, Child>,
}

/// A command that is being written.
struct Draft {
    tool: Arc<OpenTool>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    working_directory: Option<PathBuf>,
    stdin: Vec<u8>,
    stdout: Sink,
    stderr: Sink,
    text: usize,
    started: bool,
}

impl Resources {
    pub(crate) fn take_children(&mut self) -> Vec<Child> {
        std::mem::take(&mut self.children).into_values().collect()
    }

    fn next(&mut self) -> u32 {
        self.last += 1;
        self.last
    }
}

fn gone() -> wasmtime::Error {
    wasmtime::Error::msg("a process handle was used after it was dropped")
}

impl ProcessRun {
    fn draft(&mut self, command: &Resource<CommandResource>) -> wasmtime::Result<&mut Draft> {
        self.resources
            .commands
            .get_mut(&command.rep())
            .ok_or_else(gone)
    }

    fn child(&mut self, child: &Resource<ChildResource>) -> wasmtime::Result<&mut Child> {
        self.resources
            .children
            .get_mut(&child.rep())
            .ok_or_else(gone)
    }

    /// The whole environment, the stronger last: what was granted to all, what
    /// the job and then its plugin say, what the tool is bound to, what the run
    /// is.
    fn variables(&self, draft: &Draft, user: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut all: BTreeMap<String, String> = self.config.environment.iter().cloned().collect();
        all.extend(user);
        all.extend(self.scope.environment().clone());
        all.extend(draft.environment.iter().cloned());
        all.extend(draft.tool.grant.environment.clone());
        let facts = [
            ("JOBCELL_JOB_ID", "job-id"),
            ("JOBCELL_JOB_KEY", "job-key"),
            ("JOBCELL_EXECUTION_ID", "execution-id"),
            ("JOBCELL_SCHEDULED_TIME", "scheduled-time"),
        ];
        for (name, fact) in facts {
            if let Some(value) = self.scope.attribute(fact) {
                all.insert(name.to_owned(), value.to_owned());
            }
        }
        all
    }

    fn launch(&mut self, command: &Resource<CommandResource>) -> Result<Launch, Failure> {
        let draft = self.resources.commands.get(&command.rep());
        let draft = draft.ok_or_else(|| invalid(codes::MISUSE, "the command is gone"))?;
        let tool = &draft.tool;
        let runs_as = tool.grant.run_as.as_deref().map(identity::of).transpose()?;
        let (identity, user) = runs_as.map_or_else(Default::default, |runs_as| {
            (runs_as.identity, runs_as.variables)
        });
        let working_directory = match &draft.working_directory {
            Some(folder) => within(folder, &tool.grant.working_folders, &tool.role)?,
            None => self.scratch.folder()?.to_owned(),
        };
        if let Some(identity) = &identity {
            self.scratch.hand_to(identity.uid, identity.gid)?;
        }
        let environment = self.variables(draft, user);
        let arguments = tool.arguments(&draft.arguments);
        Ok(Launch {
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: environment
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            stdin: draft.stdin.clone(),
            stdout: draft.stdout,
            stderr: draft.stderr,
            identity,
            ..Launch::new(tool.program.clone(), working_directory)
        })
    }

    fn resolve(&self, path: &str) -> Result<String, Failure> {
        let missing = |why: String| not_found(codes::PATH_NOT_FOUND, why);
        if !Path::new(path).is_absolute() {
            let message = format!("the path `{path}` is not absolute");
            return Err(invalid(codes::PATH_NOT_FOUND, message));
        }
        let real = std::fs::canonicalize(path)
            .map_err(|error| missing(format!("the file {path} can't be used: {error}")))?;
        if !real.is_file() {
            return Err(missing(format!("{path} is no file")));
        }
        let folders = &self.config.script_folders;
        let allowed = folders.is_empty()
            || folders
                .iter()
                .filter_map(|folder| folder.canonicalize().ok())
                .any(|folder| real.starts_with(folder));
        if !allowed {
            let message = format!(
                "the file {path} lies outside of `scriptFolders` in the configuration file"
            );
            return Err(denied(codes::PATH_NOT_FOUND, message));
        }
        real.into_os_string()
            .into_string()
            .map_err(|_| missing(format!("the path of {path} is no Unicode text")))
    }
}

/// Checks a working folder against those that a tool may work in, and gives what
/// was checked: a link in its path may lead elsewhere a moment later.
fn within(folder: &Path, granted: &[PathBuf], role: &str) -> Result<PathBuf, Failure> {
    if granted.is_empty() {
        return Ok(folder.to_owned());
    }
    let real = folder.canonicalize().map_err(|error| {
        let folder = folder.display();
        let message = format!("the working folder {folder} can't be used: {error}");
        not_found(codes::PATH_NOT_FOUND, message)
    })?;
    let granted = granted
        .iter()
        .filter_map(|granted| granted.canonicalize().ok())
        .any(|granted| real.starts_with(granted));
    if granted {
        return Ok(real);
    }
    let message = format!(
        "the working folder {} lies outside of `tools.{role}.workingFolders` in the configuration file",
        folder.display()
    );
    Err(denied(codes::PATH_NOT_FOUND, message))
}

impl Host for ProcessRun {
    async fn write_private_file(
        &mut self,
        name: String,
        contents: Vec<u8>,
    ) -> wasmtime::Result<Result<String, Failure>> {
        if let Err(failure) = self.scope.before_effect().await {
            return Ok(Err(failure));
        }
        let written = self.scratch.write(&name, &contents);
        Ok(written.map(|file| file.to_string_lossy().into_owned()))
    }

    fn resolve_file(&mut self, path: String) -> wasmtime::Result<Result<String, Failure>> {
        Ok(self.resolve(&path))
    }
}

impl HostTool for ProcessRun {
    async fn open(
        &mut self,
        role: String,
    ) -> wasmtime::Result<Result<Resource<ToolResource>, Failure>> {
        if self.resources.tools.len() >= MOST_HANDLES {
            return Ok(Err(invalid(codes::MISUSE, "too many tools are open")));
        }
        let found = if self.config.tools.is_pinned(&role) {
            // Its content is read where no plugin's time for computing is spent.
            let config = Arc::clone(&self.config);
            tokio::task::spawn_blocking(move || config.tools.find(&role)).await?
        } else {
            self.config.tools.find(&role)
        };
        Ok(found.map(|tool| {
            let id = self.resources.next();
            self.resources.tools.insert(id, Arc::new(tool));
            Resource::new_own(id)
        }))
    }

    fn path(&mut self, tool: Resource<ToolResource>) -> wasmtime::Result<String> {
        let tool = self.resources.tools.get(&tool.rep()).ok_or_else(gone)?;
        Ok(tool.program.path().to_string_lossy().into_owned())
    }

    fn command(
        &mut self,
        tool: Resource<ToolResource>,
    ) -> wasmtime::Result<Resource<CommandResource>> {
        let tool = self
            .resources
            .tools
            .get(&tool.rep())
            .ok_or_else(gone)?
            .clone();
        if self.resources.commands.len() >= MOST_HANDLES {
            return Err(wasmtime::Error::msg("the plugin holds too many commands"));
        }
        let id = self.resources.next();
        let draft = Draft {
            tool,
            arguments: Vec::new(),
            environment: Vec::new(),
            working_directory: None,
            stdin: Vec::new(),
            stdout: Sink::Output,
            stderr: Sink::Output,
            text: 0,
            started: false,
        };
        self.resources.commands.insert(id, draft);
        Ok(Resource::new_own(id))
    }

    fn drop(&mut self, tool: Resource<ToolResource>) -> wasmtime::Result<()> {
        if let Some(tool) = self.resources.tools.remove(&tool.rep()) {
            self.is_done_with(tool);
        }
        Ok(())
    }
}

impl HostCommand for ProcessRun {
    fn argument(
        &mut self,
        command: Resource<CommandResource>,
        value: String,
    ) -> wasmtime::Result<()> {
        let draft = self.draft(&command)?;
        draft.text += value.len() + 1;
        draft.arguments.push(value);
        draft.bounded()
    }

    fn environment(
        &mut self,
        command: Resource<CommandResource>,
        name: String,
        value: String,
    ) -> wasmtime::Result<()> {
        let draft = self.draft(&command)?;
        draft.text += name.len() + value.len() + 2;
        draft.environment.push((name, value));
        draft.bounded()
    }

    fn working_directory(
        &mut self,
        command: Resource<CommandResource>,
        path: String,
    ) -> wasmtime::Result<()> {
        self.draft(&command)?.working_directory = Some(path.into());
        Ok(())
    }

    fn stdin(
        &mut self,
        command: Resource<CommandResource>,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<()> {
        let draft = self.draft(&command)?;
        draft.text += bytes.len();
        draft.stdin = bytes;
        draft.bounded()
    }

    fn redirect(
        &mut self,
        command: Resource<CommandResource>,
        stream: types::OutputStream,
        to: WitSink,
    ) -> wasmtime::Result<()> {
        let sink = match to {
            WitSink::Output => Sink::Output,
            WitSink::Pipe => Sink::Pipe,
            WitSink::Tee => Sink::Tee,
            WitSink::Discard => Sink::Discard,
        };
        let draft = self.draft(&command)?;
        match stream {
            types::OutputStream::Stdout => draft.stdout = sink,
            types::OutputStream::Stderr => draft.stderr = sink,
        }
        Ok(())
    }

    async fn spawn(
        &mut self,
        command: Resource<CommandResource>,
    ) -> wasmtime::Result<Result<Resource<ChildResource>, Failure>> {
        let most = self.scope.limits().processes;
        if self.started >= most {
            let value = format!("{most} processes");
            return Ok(Err(failure::limit("processes", value, "limits.processes")));
        }
        let draft = self.draft(&command)?;
        if std::mem::replace(&mut draft.started, true) {
            return Ok(Err(invalid(codes::MISUSE, "a command can be started once")));
        }
        if let Err(failure) = self.scope.before_effect().await {
            return Ok(Err(failure));
        }
        let launch = match self.launch(&command) {
            Ok(launch) => launch,
            Err(failure) => return Ok(Err(failure)),
        };
        self.cost.input_bytes += launch.stdin.len() as u64;
        match Child::start(&launch, &self.place).await {
            Ok(child) => {
                self.started += 1;
                let id = self.resources.next();
                self.resources.children.insert(id, child);
                Ok(Ok(Resource::new_own(id)))
            }
            Err(failure) => Ok(Err(failure)),
        }
    }

    fn drop(&mut self, command: Resource<CommandResource>) -> wasmtime::Result<()> {
        self.resources.commands.remove(&command.rep());
        Ok(())
    }
}

impl Draft {
    fn bounded(&self) -> wasmtime::Result<()> {
        if self.text <= MOST_TEXT {
            Ok(())
        } else {
            Err(wasmtime::Error::msg("a command is too large"))
        }
    }
}

impl HostChild for ProcessRun {
    async fn read(
        &mut self,
        child: Resource<ChildResource>,
        stream: types::OutputStream,
        max_bytes: u32,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Failure>> {
        let stream = match stream {
            types::OutputStream::Stdout => OutputStream::Stdout,
            types::OutputStream::Stderr => OutputStream::Stderr,
        };
        let most = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        Ok(self.child(&child)?.read(stream, most).await)
    }

    async fn wait(
        &mut self,
        child: Resource<ChildResource>,
    ) -> wasmtime::Result<Result<ExitStatus, Failure>> {
        let exit = self.child(&child)?.wait().await;
        Ok(exit.map(|exit| match exit {
            Exit::Code(code) => ExitStatus::Code(code),
            Exit::Signal(signal) => ExitStatus::Signal(signal),
        }))
    }

    async fn terminate(
        &mut self,
        child: Resource<ChildResource>,
    ) -> wasmtime::Result<Result<(), Failure>> {
        self.child(&child)?.kill().await;
        Ok(Ok(()))
    }

    fn usage(&mut self, child: Resource<ChildResource>) -> wasmtime::Result<WitUsage> {
        let usage = self.child(&child)?.usage();
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Ok(WitUsage {
            wall_time: milliseconds(usage.wall_time),
            cpu_time: milliseconds(usage.cpu_time),
            peak_memory: usage.peak_memory,
        })
    }

    async fn drop(&mut self, child: Resource<ChildResource>) -> wasmtime::Result<()> {
        if let Some(mut child) = self.resources.children.remove(&child.rep()) {
            child.kill().await;
            self.has_ended(child);
        }
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
