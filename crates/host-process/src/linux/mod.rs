//! Processes on Linux: each with all that descends from it in a cgroup of its
//! own, or, where the system gives us none, behind a shim. Never looks at what
//! a program is for.

mod cgroup;
mod clone3;
mod entry;
mod group;
mod kernel;
mod precedence;
mod proc;
mod shim;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod stack;
mod stat;
mod streams;
mod wait;

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub(crate) use group::{Group, View};
pub use kernel::system_lacks;
pub(crate) use precedence::prefer_this_thread;
pub(crate) use streams::{Output as FromStderr, Output as FromStdout, Pipes, Prepared};

use self::cgroup::{Cgroup, Root};
use self::clone3::Memory;
use self::entry::{Image, Limit, Parts, Plan, Stage};
use self::group::{Begun, GONE_WITHIN, Leader};
use self::precedence::Preferred;
use self::proc::Process;
use self::shim::Shim;
use self::stat::Stat;
use self::streams::streams;
use crate::program::Program;
use crate::spawn::Launch;
use crate::usage::Caps;

/// How often what is left after a crash is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Processes and threads that a user may have besides those of a run.
const SPARE: u64 = 32_768;
/// Open files of this process where it may have any number.
const MOST_OPEN_FILES: u64 = 1 << 20;
/// The soft limit on open files that this process began with, once it has
/// another one.
static OPEN_FILES: OnceLock<Option<u64>> = OnceLock::new();
/// How a trace says which kind it is.
const IN_CGROUP: &str = "cgroup:";
const BEHIND_SHIM: &str = "process:";

/// How processes are held together on this machine.
#[derive(Debug)]
pub(crate) enum Containment {
    Cgroups(Root),
    /// With the reason why not in cgroups.
    Shims(String),
}

/// For which run a process is started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat<'a> {
    pub(crate) execution: &'a str,
    pub(crate) caps: Caps,
    pub(crate) pipes: &'a Prepared,
}

/// A program did not start.
#[derive(Debug)]
pub(crate) struct NotStarted {
    pub(crate) stage: Failed,
    pub(crate) error: io::Error,
}

/// What failed about a start.
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

impl From<(Stage, io::Error)> for NotStarted {
    fn from((stage, error): (Stage, io::Error)) -> Self {
        let stage = match stage {
            Stage::Folder => Failed::Folder,
            Stage::Identity => Failed::Identity,
            Stage::Limits => Failed::Limits,
            Stage::Program => Failed::Program,
            Stage::Streams | Stage::Fork => Failed::Start,
        };
        Self { stage, error }
    }
}

impl From<io::Error> for NotStarted {
    fn from(error: io::Error) -> Self {
        let stage = Failed::Start;
        Self { stage, error }
    }
}

impl Containment {
    /// Cgroups of this name where they can be had, and shims elsewhere.
    pub(crate) fn choose(name: &str) -> Self {
        match Root::find(name) {
            Ok(root) => Self::Cgroups(root),
            Err(reason) => Self::Shims(reason),
        }
    }

    /// Shims, whatever could be had.
    pub(crate) const fn without_cgroups(reason: String) -> Self {
        Self::Shims(reason)
    }

    /// In one sentence, for an admin.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Cgroups(root) => {
                let kernel = root.controllers();
                let bounds = match kernel.as_str() {
                    "" => "no controllers: bounds are held by looking".to_owned(),
                    some => format!("controllers: {some}"),
                };
                format!("cgroups below {} ({bounds})", root.folder().display())
            }
            Self::Shims(reason) => format!("a child subreaper for each process ({reason})"),
        }
    }

    /// What leads to all processes of an execution after a crash, where that is
    /// known before any is started.
    pub(crate) fn trace(&self, execution: &str) -> Option<String> {
        match self {
            Self::Cgroups(root) => Some(format!("{IN_CGROUP}{}", root.trace(execution).display())),
            Self::Shims(_) => None,
        }
    }

    /// Whether a sample misses the processor time of those whose end others of
    /// their group have taken.
    pub(crate) const fn misses_ended(&self) -> bool {
        matches!(self, Self::Shims(_))
    }

    /// Starts a program, or has it wait for [`Group::release`]. `watch` is given
    /// what to look at before the program's first instruction.
    pub(crate) fn start(
        &self,
        launch: &Launch,
        seat: &Seat<'_>,
        watch: impl FnOnce(View),
    ) -> Result<(Group, Pipes), NotStarted> {
        let (pipes, ends) = streams(launch, seat.pipes)?;
        let texts = Texts::new(launch)?;
        let limits = limits(&seat.caps);
        let parts = |report| Parts {
            image: texts.image(&launch.program),
            arguments: &texts.arguments,
            environment: &texts.environment,
            streams: ends.numbers(),
            folder: &texts.folder,
            limits: &limits,
            identity: launch.identity.as_ref(),
            report,
        };
        let begun = Begun::default();
        let group = match self {
            Self::Cgroups(root) => {
                let mut cgroup = root.take(seat.execution)?;
                cgroup.bound(&seat.caps);
                let cgroup = Arc::new(cgroup);
                watch(View::of_cgroup(&cgroup, &begun));
                in_cgroup(cgroup, begun, launch, parts)?
            }
            Self::Shims(_) => {
                let file = launch.program.file().map(AsRawFd::as_raw_fd);
                let plan = |report| Plan::new(parts(report));
                let shim = Shim::start(ends.numbers(), file, plan)?;
                watch(View::of_shim(&shim, &begun));
                Group::in_shim(shim, begun)
            }
        };
        Ok((group, pipes))
    }

    /// Makes ready what the next process needs.
    pub(crate) fn prepare_next(&self) {
        if let Self::Cgroups(root) = self {
            root.check_next();
        }
    }

    /// Kills what earlier processes of this one's kind left, without a wait.
    pub(crate) fn clean_leftovers(&self) {
        if let Self::Cgroups(root) = self {
            for cgroup in root.leftovers() {
                cgroup.kill();
                if cgroup.is_empty() {
                    cgroup.remove();
                }
            }
        }
    }
}

/// Ends what these traces lead to, and says what is there all the same.
pub(crate) async fn end_traced(execution: &str, traces: &[String]) -> Result<(), String> {
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        let left: Vec<String> = traces
            .iter()
            .filter_map(|trace| end_once(execution, trace))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(left.join(", "));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Kills what a trace leads to; gives what is still there.
fn end_once(execution: &str, trace: &str) -> Option<String> {
    let ended = if let Some(path) = trace.strip_prefix(IN_CGROUP) {
        end_cgroups(Path::new(path))
    } else {
        end_behind_shim(execution, trace.strip_prefix(BEHIND_SHIM)?)
    };
    // Where it can't be looked, nobody says that nothing is left.
    ended.unwrap_or_else(|error| Some(format!("what it left can't be looked at: {error}")))
}

fn end_cgroups(trace: &Path) -> io::Result<Option<String>> {
    let mut left = Vec::new();
    for cgroup in cgroup::of_trace(trace)? {
        if cgroup.is_empty() {
            cgroup.remove();
        } else {
            cgroup.kill();
            left.push(cgroup.names());
        }
    }
    Ok((!left.is_empty()).then(|| left.join(", ")))
}

fn end_behind_shim(execution: &str, shim: &str) -> io::Result<Option<String>> {
    let mut fields = shim.split(' ');
    let pid = fields.next().and_then(|pid| pid.parse::<i32>().ok());
    let start = fields.next().and_then(|start| start.parse::<u64>().ok());
    let (Some(pid), Some(start), Some(boot)) = (pid, start, fields.next()) else {
        return Ok(None);
    };
    if boot != proc::boot()? {
        return Ok(None);
    }
    let is_shim = |stat: &Stat| stat.alive && stat.start == start;
    let shim = if Stat::look(pid)?.is_some_and(|stat| is_shim(&stat)) {
        Process::look(pid)?
    } else {
        None
    };
    // What lost its shim still has what it was given.
    let given = format!("JOBCELL_EXECUTION_ID={execution}");
    let mut strays = Vec::new();
    for one in proc::all()? {
        if one.alive && one.pid != pid && proc::has_variable(one.pid, &given)? {
            strays.push(one);
        }
    }
    for stray in &strays {
        shim::signal_if(stray.pid, libc::SIGKILL, || {
            proc::has_variable(stray.pid, &given).unwrap_or(false)
        });
    }
    if let Some(shim) = &shim {
        shim::kill_tree(shim.pid);
        strays.push(shim.clone());
    }
    Ok((!strays.is_empty()).then(|| proc::names(&strays)))
}

/// A shim as a trace.
fn trace_of(shim: &Shim) -> String {
    let boot = proc::boot().unwrap_or_default();
    format!("{BEHIND_SHIM}{} {} {boot}", shim.pid, shim.start)
}

/// Starts a program in its cgroup.
fn in_cgroup<'a>(
    cgroup: Arc<Cgroup>,
    begun: Begun,
    launch: &Launch,
    parts: impl FnOnce(RawFd) -> Parts<'a>,
) -> Result<Group, NotStarted> {
    let started = if launch.identity.is_some() {
        as_other_user(&cgroup, parts)
    } else {
        as_ourselves(&cgroup, parts)
    };
    // A child that nobody will look after may have made others by now.
    let (started, failure) = started.inspect_err(|_| cgroup.end())?;
    let clone3::Started { newborn, handle } = started;
    let handle = wait::watch(handle).inspect_err(|_| cgroup.end())?;
    let leader = Leader {
        pid: newborn.adopted(),
        handle: Arc::new(handle),
        reaped: false,
    };
    let group = Group::in_cgroup(leader, cgroup, begun);
    match failure {
        // Dropping the group takes note of its end.
        Some(failure) => Err(failure.into()),
        None => Ok(group),
    }
}

type Tried = (clone3::Started, Option<(Stage, io::Error)>);

/// As quick as can be: in our memory, until it is its program.
fn as_ourselves<'a>(cgroup: &Cgroup, parts: impl FnOnce(RawFd) -> Parts<'a>) -> io::Result<Tried> {
    let mut plan = Plan::new(parts(-1));
    let argument = (&raw mut plan).cast();
    let handle = Some(cgroup.handle());
    // SAFETY: `become_program` makes system calls only, and the plan lives
    // until the child has its program: until then this thread stands still.
    #[expect(unsafe_code, reason = "see above")]
    let started =
        unsafe { clone3::start(entry::become_program, argument, Memory::Shared, handle)? };
    let failure = plan.failure();
    Ok((started, failure))
}

/// A process of another user must never have our memory, so it has a copy, and
/// a pipe to say what failed.
fn as_other_user<'a>(cgroup: &Cgroup, parts: impl FnOnce(RawFd) -> Parts<'a>) -> io::Result<Tried> {
    let (mut report, tell) = io::pipe()?;
    let mut plan = Plan::new(parts(tell.as_raw_fd()));
    let argument = (&raw mut plan).cast();
    let handle = Some(cgroup.handle());
    let preferred = Preferred::begin();
    // SAFETY: as above; the plan is copied with all other memory.
    #[expect(unsafe_code, reason = "see above")]
    let started =
        unsafe { clone3::start(entry::become_program, argument, Memory::Copied, handle)? };
    drop(preferred);
    drop(tell);
    let mut said = Vec::new();
    io::Read::read_to_end(&mut report, &mut said)?;
    Ok((started, entry::read_report(&said)))
}

/// A launch in the form that the kernel takes.
struct Texts {
    program: std::ffi::CString,
    arguments: Vec<std::ffi::CString>,
    environment: Vec<std::ffi::CString>,
    folder: std::ffi::CString,
}

impl Texts {
    fn new(launch: &Launch) -> io::Result<Self> {
        let name = launch.program.path().as_os_str().to_owned();
        let environment: Vec<_> = launch
            .environment
            .iter()
            .map(|(name, value)| {
                [name.as_os_str(), "=".as_ref(), value]
                    .into_iter()
                    .collect()
            })
            .collect();
        Ok(Self {
            program: entry::path(launch.program.path())?,
            arguments: entry::texts(std::iter::once(&name).chain(&launch.arguments))?,
            environment: entry::texts(environment.iter())?,
            folder: entry::path(&launch.working_directory)?,
        })
    }

    fn image(&self, program: &Program) -> Image<'_> {
        match program.file().map(AsRawFd::as_raw_fd) {
            Some(file) if program.is_script() => Image::Script(file),
            Some(file) => Image::File(file),
            None => Image::Path(&self.program),
        }
    }
}

fn limits(caps: &Caps) -> Vec<Limit> {
    let mut limits = Vec::new();
    if let Some(most) = caps.processes {
        // Not exact, because it counts all that the user has, and no bound for
        // root: it keeps a fork bomb from taking the whole machine until
        // somebody looks.
        let own = getrlimit(Resource::Nproc).current.unwrap_or(u64::MAX);
        let most = own.min(u64::from(most) * 4 + SPARE);
        limits.push((libc::RLIMIT_NPROC, both(most)));
    }
    let hardest = || getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if let Some(most) = caps.open_files {
        limits.push((libc::RLIMIT_NOFILE, both(most.min(hardest()))));
    } else if let Some(before) = OPEN_FILES.get() {
        let as_before = libc::rlimit {
            rlim_cur: before.unwrap_or(libc::RLIM_INFINITY),
            rlim_max: hardest(),
        };
        limits.push((libc::RLIMIT_NOFILE, as_before));
    }
    if let Some(most) = caps.cpu_time {
        // Whole seconds, and later than whoever looks at the whole tree.
        limits.push((libc::RLIMIT_CPU, both(most.as_secs() + 2)));
    }
    limits
}

const fn both(most: u64) -> libc::rlimit {
    libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    }
}

/// Lets this process have as many open files as its hard limit says: each run
/// needs some, and without one nothing can be ended. Programs still get the
/// soft limit that was here before, because some can't work with more.
pub fn raise_open_files() {
    let own = getrlimit(Resource::Nofile);
    if OPEN_FILES.set(own.current).is_err() {
        return;
    }
    let most = own.maximum.unwrap_or(MOST_OPEN_FILES);
    let raised = Rlimit {
        current: Some(most),
        maximum: own.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, most, "the limit on open files can't be raised");
    }
}
