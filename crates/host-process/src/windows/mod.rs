//! Processes on Windows: each with all that it starts in a job object. Never
//! looks at what a program is for.

mod job;

use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW, CREATE_SUSPENDED,
};

use self::job::Job;
use crate::decode::Decoder;
use crate::spawn::{Exit, Launch, Sink};
use crate::usage::{Caps, Usage};

/// How long what was killed may take to be gone, and how often it is looked at.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// How processes are held together on this system: always in job objects.
#[derive(Debug)]
pub(crate) struct Containment;

/// For which run a process is started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat<'a> {
    #[expect(dead_code, reason = "a job object needs no name")]
    pub(crate) execution: &'a str,
    pub(crate) caps: Caps,
    #[expect(dead_code, reason = "tokio makes the pipes with the process")]
    pub(crate) pipes: &'a Prepared,
}

/// Nothing that could be made before it is needed.
#[derive(Debug, Default)]
pub(crate) struct Prepared;

impl Prepared {
    #[expect(clippy::unused_self, reason = "elsewhere there are some")]
    pub(crate) const fn refill(&self) {}
}

/// A program did not start.
#[derive(Debug)]
pub(crate) struct NotStarted {
    pub(crate) stage: Failed,
    pub(crate) error: io::Error,
}

/// What failed about a start.
#[expect(dead_code, reason = "some of it fails on other systems only")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The working folder can't be entered.
    Folder,
    /// The user can't be taken on.
    Identity,
    /// The limits can't be set.
    Limits,
    /// The program itself.
    Program,
    /// Whatever comes before it.
    Start,
}

/// The streams of a child, on our side.
pub(crate) struct Pipes {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
    pub(crate) program: Program,
}

pub(crate) type FromStdout = ChildStdout;
pub(crate) type FromStderr = ChildStderr;

/// Whether the program has ended: here its streams hear of that by themselves.
pub(crate) struct Program;

impl Program {
    #[expect(clippy::unused_self, reason = "elsewhere they have to be told")]
    pub(crate) const fn has_ended(&self) {}
}

/// What is known of a group that ended.
pub(crate) struct End {
    pub(crate) exit: Exit,
    pub(crate) usage: Usage,
    /// A bound that the system had to hold: told by nobody here.
    pub(crate) refused: Option<crate::usage::Cap>,
    /// What is there all the same after it was killed.
    pub(crate) left: Option<String>,
}

/// A program and its descendants. Dropping it ends them: the system does so
/// with the last handle of the job object.
pub(crate) struct Group {
    child: Child,
    job: Arc<Job>,
    ended: watch::Receiver<bool>,
}

/// Looks at a group without holding it.
#[derive(Debug, Clone)]
pub(crate) struct View(Arc<Job>);

impl Containment {
    /// Job objects, whatever the name.
    pub(crate) const fn choose(_name: &str) -> Self {
        Self
    }

    /// The same: there are no cgroups to go without.
    pub(crate) fn without_cgroups(_reason: String) -> Self {
        Self
    }

    /// In one sentence, for an admin.
    pub(crate) fn describe(&self) -> String {
        "job objects".to_owned()
    }

    /// A crash ends a job object with all that is in it.
    pub(crate) const fn trace(&self, _execution: &str) -> Option<String> {
        None
    }

    /// Job objects know what all of theirs used.
    pub(crate) const fn misses_ended(&self) -> bool {
        false
    }

    /// Starts a program in a job object, before its first instruction. `watch`
    /// is given what to look at before that, too.
    pub(crate) fn start(
        &self,
        launch: &Launch,
        seat: &Seat<'_>,
        watch: impl FnOnce(View),
    ) -> Result<(Group, Pipes), NotStarted> {
        let failed = |stage| move |error| NotStarted { stage, error };
        let job = Arc::new(Job::new(seat.caps).map_err(failed(Failed::Limits))?);
        watch(View(Arc::clone(&job)));
        let mut child = command(launch).spawn().map_err(failed(Failed::Program))?;
        let process = child.raw_handle().zip(child.id());
        let held = match process {
            Some((handle, pid)) => job.take_in(handle, pid),
            None => Err(io::Error::other("the process is gone")),
        };
        held.map_err(failed(Failed::Start))?;
        let ended = watch_end(&child).map_err(failed(Failed::Start))?;
        let pipes = Pipes {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            program: Program,
        };
        Ok((Group { child, job, ended }, pipes))
    }

    /// Nothing here is made ready.
    pub(crate) const fn prepare_next(&self) {}

    /// A crash left nothing.
    pub(crate) const fn clean_leftovers(&self) {}
}

/// A crash left nothing.
#[expect(clippy::unused_async, reason = "other systems wait here")]
pub(crate) async fn end_traced(_execution: &str, _traces: &[String]) -> Result<(), String> {
    Ok(())
}

/// The system bounds jobs by itself.
pub(crate) const fn prefer_this_thread() {}

/// Nothing that any version of this system lacks.
#[must_use]
pub const fn system_lacks() -> Option<String> {
    None
}

/// Nothing bounds them here.
pub const fn raise_open_files() {}

/// What reads the output of programs: consoles have a code page.
pub(crate) fn decoder() -> Option<Decoder> {
    // SAFETY: no pointers.
    #[expect(unsafe_code, reason = "a call of the Windows API")]
    let code_page = unsafe { windows_sys::Win32::Globalization::GetOEMCP() };
    Some(Decoder::new(u16::try_from(code_page).unwrap_or(u16::MAX)))
}

fn command(launch: &Launch) -> Command {
    let output = |sink| {
        if sink == Sink::Discard {
            Stdio::null()
        } else {
            Stdio::piped()
        }
    };
    let mut command = Command::new(launch.program.path());
    command
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&launch.working_directory)
        .stdin(if launch.stdin.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        })
        .stdout(output(launch.stdout))
        .stderr(output(launch.stderr))
        .creation_flags(CREATE_SUSPENDED | CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW)
        .kill_on_drop(true);
    command
}

/// Tells when a process has ended. The thread that waits ends with it.
fn watch_end(child: &Child) -> io::Result<watch::Receiver<bool>> {
    let handle = child
        .raw_handle()
        .ok_or_else(|| io::Error::other("the process is gone"))?;
    // SAFETY: the child keeps it open during this call, which copies it.
    #[expect(unsafe_code, reason = "tokio gives the bare handle only")]
    let handle = unsafe { BorrowedHandle::borrow_raw(handle) };
    let handle = handle.as_handle().try_clone_to_owned()?;
    let (sender, ended) = watch::channel(false);
    tokio::task::spawn_blocking(move || {
        job::wait(&handle);
        sender.send_replace(true);
    });
    Ok(ended)
}

impl Group {
    /// Nothing has to be written down.
    pub(crate) const fn held(&self) -> Option<String> {
        None
    }

    /// It runs already.
    #[expect(clippy::unused_async, reason = "other systems wait here")]
    pub(crate) async fn release(&mut self) -> Result<(), NotStarted> {
        Ok(())
    }

    /// Is ready when the program has ended.
    pub(crate) fn program_end(&self) -> impl Future<Output = ()> + use<> {
        let mut ended = self.ended.clone();
        async move {
            // Whoever tells that does so before it goes.
            drop(ended.wait_for(|ended| *ended).await);
        }
    }

    /// Waits until nothing of it lives.
    pub(crate) async fn emptied(&self) {
        self.program_end().await;
        while self.job.live() > 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Asks it to end, where it shares a console with us.
    pub(crate) fn terminate(&self) {
        if let Some(pid) = self.child.id() {
            // SAFETY: no pointers. Without a console nothing can be asked, and
            // the grace period ends in a kill.
            #[expect(unsafe_code, reason = "a call of the Windows API")]
            unsafe {
                GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, pid);
            }
        }
    }

    /// Ends what is left of it, once the program has ended.
    pub(crate) fn kill_rest(&self) {
        self.kill();
    }

    /// Ends all of it.
    pub(crate) fn kill(&self) {
        self.job.kill();
    }

    /// Takes the end of the program, ends what is left of its descendants, and
    /// returns when they are gone or can't be ended.
    pub(crate) async fn reap(&mut self) -> End {
        if self.job.live() > 0 {
            self.job.kill();
        }
        let empty = tokio::time::timeout(GONE_WITHIN, self.emptied()).await;
        let status = self.child.try_wait().ok().flatten();
        let code = status.and_then(|status| status.code());
        let left = self.job.live();
        End {
            exit: Exit::Code(code.unwrap_or(-1)),
            usage: self.job.usage(),
            refused: None,
            left: empty.is_err().then(|| format!("{left} processes")),
        }
    }
}

impl View {
    pub(crate) fn sample(&self, _most: Option<u32>) -> crate::usage::Sample {
        self.0.sample()
    }

    pub(crate) fn cpu_time_with_ended(&self, _most: Option<u32>) -> std::time::Duration {
        self.0.sample().cpu_time
    }

    pub(crate) fn kill(&self) {
        self.0.kill();
    }
}
