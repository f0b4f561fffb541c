//! One cgroup (version 2) for each process that a run starts, with all that
//! descends from it, wherever that goes. Never starts a process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, openat};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::proc::{self, Process};
use super::stat::Stat;
use crate::usage::{Cap, Caps, Sample};

/// Controllers that are asked for where the system has them to give.
const WANTED: [&str; 4] = ["cpu", "io", "memory", "pids"];
/// Says which of them there are for what lies below.
const CONTROLLERS: &str = "cgroup.subtree_control";
/// What the folders of all servers begin with.
pub(crate) const PREFIX: &str = "jobcell-";
/// How often a folder is tried to be made.
const ATTEMPTS: usize = 3;
/// The most processes whose memory is looked at in one sample.
const LOOKED_AT: usize = 2_000;

/// Where cgroups of runs are made. Removed when it is dropped, unless another
/// process has runs there.
#[derive(Debug)]
pub(crate) struct Root {
    folder: PathBuf,
    /// This process, as cgroups name their maker.
    owner: String,
    counted: Counted,
}

/// What the kernel counts and bounds in each cgroup: there are no files of what it
/// does not.
#[derive(Debug, Clone, Copy)]
struct Counted {
    memory: bool,
    pids: bool,
}

impl Counted {
    /// As far as is known, all of it.
    const ALL: Self = Self {
        memory: true,
        pids: true,
    };

    fn of(controllers: &str) -> Self {
        let has = |wanted| controllers.split_whitespace().any(|one| one == wanted);
        Self {
            memory: has("memory"),
            pids: has("pids"),
        }
    }

    fn has(self, file: &str) -> bool {
        match file.split_once('.') {
            Some(("memory", _)) => self.memory,
            Some(("pids", _)) => self.pids,
            _ => true,
        }
    }
}

impl Root {
    /// A folder in this process's own cgroup, for this name.
    ///
    /// # Errors
    /// With the reason, where the system does not let us.
    pub(crate) fn find(name: &str) -> Result<Self, String> {
        let mounts = read("/proc/self/mountinfo".as_ref())?;
        let own = read("/proc/self/cgroup".as_ref())?;
        let own = own_folder(&mounts, &own).ok_or("cgroup version 2 is not mounted")?;
        tidy(&own);
        hand_down(&own);
        let folder = own.join(name);
        // Another server that tidies up may be between two of these steps.
        let ready = || {
            make(&folder)?;
            hand_down(&folder);
            probe(&folder)
        };
        let mut made = ready();
        for _ in 1..ATTEMPTS {
            if made.is_ok() {
                break;
            }
            made = ready();
        }
        made?;
        let own = std::process::id();
        let seen = Stat::look(own.cast_signed()).ok().flatten();
        let start = seen.ok_or("this process can't be seen in /proc")?.start;
        let controllers = read(&folder.join(CONTROLLERS));
        Ok(Self {
            folder,
            owner: format!("{own}-{start}"),
            counted: controllers.map_or(Counted::ALL, |given| Counted::of(&given)),
        })
    }

    /// Where all cgroups of an execution are, for whoever looks after a crash.
    pub(crate) fn trace(&self, execution: &str) -> PathBuf {
        self.folder.join(execution)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the kernel itself can bound here.
    pub(crate) fn controllers(&self) -> String {
        let given = read(&self.folder.join(CONTROLLERS));
        given
            .map(|given| given.trim().to_owned())
            .unwrap_or_default()
    }

    /// Makes the cgroup of the process of this number in an execution.
    pub(crate) fn make(&self, execution: &str, number: u32) -> io::Result<Cgroup> {
        let name = format!("{execution}.{number}@{}", self.owner);
        let path = self.folder.join(name);
        let made = match Cgroup::make(path.clone()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Another process was the last one here, and tidied up.
                make(&self.folder).map_err(io::Error::other)?;
                hand_down(&self.folder);
                // What is counted now may be something else.
                return Cgroup::make(path);
            }
            made => made?,
        };
        Ok(Cgroup {
            counted: self.counted,
            ..made
        })
    }

    /// All cgroups that an earlier process left here.
    pub(crate) fn leftovers(&self) -> Vec<Cgroup> {
        let orphaned = |name: &str| {
            let owner = name.rsplit_once('@').map(|(_, owner)| owner);
            owner.is_some_and(|owner| owner != self.owner && !lives(owner))
        };
        existing(&self.folder, orphaned).unwrap_or_else(|error| {
            tracing::warn!(%error, "cgroups that a crash left can't be looked for");
            Vec::new()
        })
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // Where it is in use, it stays.
        drop(fs::remove_dir(&self.folder));
    }
}

/// Removes what servers that crashed left of cgroups without processes. One
/// that another server would use again is made again by that.
fn tidy(own: &Path) {
    for folder in below(own) {
        let name = folder.file_name().and_then(|name| name.to_str());
        if !name.is_some_and(|name| name.starts_with(PREFIX)) {
            continue;
        }
        let orphaned = |name: &str| {
            let owner = name.rsplit_once('@').map(|(_, owner)| owner);
            owner.is_some_and(|owner| !lives(owner))
        };
        // Whoever starts next tries again.
        for cgroup in existing(&folder, orphaned).unwrap_or_default() {
            if cgroup.is_empty() {
                cgroup.remove();
            }
        }
        // One that is in use stays.
        drop(fs::remove_dir(&folder));
    }
}

/// The cgroups of an execution that its trace leads to.
///
/// # Errors
/// When it can't be seen whether there are any.
pub(crate) fn of_trace(trace: &Path) -> io::Result<Vec<Cgroup>> {
    let (Some(folder), Some(execution)) = (trace.parent(), trace.file_name()) else {
        return Ok(Vec::new());
    };
    let prefix = format!("{}.", execution.to_string_lossy());
    existing(folder, |name| name.starts_with(&prefix))
}

fn existing(folder: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<Cgroup>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if proc::is_gone(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_dir() || !entry.file_name().to_str().is_some_and(&wanted) {
            continue;
        }
        match Cgroup::open(entry.path()) {
            Err(error) if proc::is_gone(&error) || is_removed(&error) => {}
            cgroup => found.push(cgroup?),
        }
    }
    Ok(found)
}

/// Whether a file could not be used because its cgroup is there no more.
fn is_removed(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENODEV)
}

/// Whether the process that a name ends with still lives.
fn lives(owner: &str) -> bool {
    let parts = owner.split_once('-');
    let parts = parts.and_then(|(pid, start)| Some((pid.parse().ok()?, start.parse().ok()?)));
    parts.is_some_and(|(pid, start): (i32, u64)| {
        match Stat::look(pid) {
            Ok(found) => found.is_some_and(|stat| stat.alive && stat.start == start),
            // Who knows? Then nobody ends what is its own.
            Err(_) => true,
        }
    })
}

/// This process's cgroup as a folder.
fn own_folder(mounts: &str, own: &str) -> Option<PathBuf> {
    let own = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let fields: Vec<&str> = place.split(' ').collect();
        let is_cgroup = kind.starts_with("cgroup2 ");
        is_cgroup.then(|| Some((*fields.get(3)?, *fields.get(4)?)))?
    })?;
    let (root, point) = mount;
    let below = own.strip_prefix(root).unwrap_or(own);
    Some(Path::new(point).join(below.trim_start_matches('/')))
}

/// Gives controllers to what lies below, as many as there are. A cgroup that
/// holds processes can't, so where we are alone we move one level down.
fn hand_down(folder: &Path) {
    let Ok(available) = read(&folder.join("cgroup.controllers")) else {
        return;
    };
    let own = std::process::id().to_string();
    for controller in WANTED {
        if !available.split_whitespace().any(|one| one == controller) {
            continue;
        }
        let give = || write(&folder.join(CONTROLLERS), &format!("+{controller}"));
        if give().is_err() && read(&folder.join("cgroup.procs")).is_ok_and(|all| all.trim() == own)
        {
            let server = folder.join("jobcell-server");
            let moved = make(&server).is_ok() && write(&server.join("cgroup.procs"), &own).is_ok();
            if moved && give().is_err() {
                tracing::debug!(controller, "a cgroup controller can't be handed down");
            }
        }
    }
}

/// Whether cgroups here can be made and ended.
fn probe(folder: &Path) -> Result<(), String> {
    let probe = folder.join(format!("probe-{}", std::process::id()));
    make(&probe)?;
    let usable = ["cgroup.kill", "cgroup.procs"].map(|file| {
        OpenOptions::new()
            .write(true)
            .open(probe.join(file))
            .map_err(|error| format!("{}: {error}", probe.join(file).display()))
    });
    let removed = fs::remove_dir(&probe).map_err(|error| format!("{}: {error}", probe.display()));
    usable.into_iter().try_for_each(|file| file.map(|_| ()))?;
    removed
}

fn make(folder: &Path) -> Result<(), String> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(format!("{}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(file)?
        .write_all(text.as_bytes())
}

/// A cgroup that holds a process and all that descends from it.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
    folder: File,
    /// Open from the start: what must end has to end even where this process
    /// has no descriptor to spare.
    kill: File,
    events: File,
    /// What it was bounded to: what the kernel refuses beyond that is not ours
    /// to name.
    caps: Caps,
    counted: Counted,
}

impl Cgroup {
    fn make(path: PathBuf) -> io::Result<Self> {
        fs::create_dir(&path)?;
        Self::open(path)
    }

    fn open(path: PathBuf) -> io::Result<Self> {
        let folder = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_PATH)
            .open(&path)?;
        let inside = |file, flags| -> io::Result<File> {
            let flags = flags | OFlags::CLOEXEC;
            Ok(openat(&folder, file, flags, Mode::empty())?.into())
        };
        Ok(Self {
            kill: inside("cgroup.kill", OFlags::WRONLY)?,
            events: inside("cgroup.events", OFlags::RDONLY)?,
            caps: Caps::default(),
            counted: Counted::ALL,
            path,
            folder,
        })
    }

    pub(super) fn handle(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Has the kernel hold these bounds, as far as it can here. What it can't,
    /// whoever looks at samples holds.
    pub(super) fn bound(&mut self, caps: &Caps) {
        self.caps = *caps;
        let bounds = [
            ("memory.max", caps.memory),
            ("memory.swap.max", caps.memory.map(|_| 0)),
            ("memory.oom.group", caps.memory.map(|_| 1)),
            ("pids.max", caps.processes.map(u64::from)),
        ];
        for (file, most) in bounds {
            let Some(most) = most.filter(|_| self.counted.has(file)) else {
                continue;
            };
            let file = self.path.join(file);
            if file.exists()
                && let Err(error) = write(&file, &most.to_string())
            {
                tracing::warn!(file = %file.display(), %error, "a bound can't be set");
            }
        }
    }

    /// Whether any process in it or below it is left. A zombie does not count.
    pub(crate) fn is_empty(&self) -> bool {
        let mut events = [0; 256];
        match self.events.read_at(&mut events, 0) {
            Ok(length) => {
                let events = String::from_utf8_lossy(&events[..length]);
                value(&events, "populated") == Some(0)
            }
            Err(error) => is_removed(&error),
        }
    }

    /// Ends everything in it at once, also what is being forked.
    pub(crate) fn kill(&self) {
        if let Err(error) = (&self.kill).write_all(b"1")
            && !is_removed(&error)
        {
            tracing::warn!(cgroup = %self.path.display(), %error, "a cgroup can't be killed");
        }
    }

    /// Asks everything in it to end.
    pub(super) fn terminate(&self) {
        for pid in self.pids() {
            let Some(raw) = rustix::process::Pid::from_raw(pid) else {
                continue;
            };
            // Behind a handle the number can't become somebody else's between
            // the look and the signal.
            if let Ok(handle) = pidfd_open(raw, PidfdFlags::empty())
                && self.pids().contains(&pid)
            {
                // One that has ended by now needs no signal.
                pidfd_send_signal(&handle, Signal::TERM).ok();
            }
        }
    }

    /// What lives in it, for a person.
    pub(crate) fn names(&self) -> String {
        let pids = self.pids();
        let processes: Vec<Process> = pids.into_iter().filter_map(Process::read).collect();
        if processes.is_empty() {
            return format!("what is in {}", self.path.display());
        }
        proc::names(&processes)
    }

    /// What it uses now and has used.
    pub(super) fn sample(&self, most: Option<u32>) -> Sample {
        let pids = self.pids();
        let processes = u32::try_from(pids.len()).unwrap_or(u32::MAX);
        if most.is_some_and(|most| processes > most) {
            // There is no time to lose.
            return Sample {
                processes,
                ..Sample::default()
            };
        }
        let memory = match self.number("memory.current") {
            Some(memory) => memory,
            None => pids
                .iter()
                .take(LOOKED_AT)
                .filter_map(|pid| Process::read(*pid))
                .map(|process| process.memory)
                .sum(),
        };
        let alone = match pids[..] {
            [only] => Process::read(only).map_or(0, |process| process.peak_memory),
            _ => 0,
        };
        Sample {
            cpu_time: self.cpu_time(),
            memory: memory.max(alone),
            processes,
            refused: self.refused(),
        }
    }

    /// What is left to be known once all of it has ended.
    pub(super) fn total(&self) -> Sample {
        Sample {
            cpu_time: self.cpu_time(),
            memory: self.number("memory.peak").unwrap_or(0),
            processes: self
                .number("pids.peak")
                .and_then(|peak| u32::try_from(peak).ok())
                .unwrap_or(0),
            refused: self.refused(),
        }
    }

    fn cpu_time(&self) -> Duration {
        let used = self.file("cpu.stat");
        let used = used.and_then(|stat| value(&stat, "usage_usec"));
        Duration::from_micros(used.unwrap_or(0))
    }

    /// Whether the kernel had to hold one of its bounds. A machine that runs
    /// out of memory, or a bound further up, is told by the same counters.
    fn refused(&self) -> Option<Cap> {
        let counted = |file: &str, key: &str| {
            let count = self.file(file).and_then(|text| value(&text, key));
            count.unwrap_or(0) > 0
        };
        let met = |key| counted("memory.events", key);
        if self.caps.memory.is_some() && met("oom") && met("oom_kill") {
            return Some(Cap::Memory);
        }
        let most = self.caps.processes?;
        let peak = self.number("pids.peak");
        let was_full = peak.is_none_or(|peak| peak >= u64::from(most));
        (was_full && counted("pids.events", "max")).then_some(Cap::Processes)
    }

    fn pids(&self) -> Vec<i32> {
        let mut pids = Vec::new();
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            if let Ok(text) = fs::read_to_string(folder.join("cgroup.procs")) {
                pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
            }
            folders.extend(below(&folder));
        }
        pids
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.file(name)?.trim().parse().ok()
    }

    fn file(&self, name: &str) -> Option<String> {
        if !self.counted.has(name) {
            return None;
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(&self.folder, name, flags, Mode::empty()).ok()?;
        // The files that are read here hold less.
        let mut text = [0; 2048];
        let length = rustix::io::read(&file, &mut text).ok()?;
        Some(String::from_utf8_lossy(&text[..length]).into_owned())
    }

    /// Ends it with all that is in it, without a wait of more than a moment.
    pub(super) fn end(&self) {
        self.kill();
        for _ in 0..100 {
            if self.is_empty() {
                return self.remove();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Removes it, once it is empty, with what its processes made below it.
    pub(crate) fn remove(&self) {
        if let Err(error) = remove_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(cgroup = %self.path.display(), %error, "a cgroup can't be removed");
        }
    }
}

fn remove_all(folder: &Path) -> io::Result<()> {
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            // Deepest last in this list, so that it is taken from its end.
            let mut all = vec![folder.to_owned()];
            let mut next = 0;
            while let Some(one) = all.get(next) {
                all.extend(below(one));
                next += 1;
            }
            all.iter().rev().try_for_each(fs::remove_dir)
        }
        done => done,
    }
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let folders = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}

/// The number behind a key in a file of such lines.
fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, number) = line.split_once(' ')?;
        (name == key).then(|| number.parse().ok())?
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
pub(super) mod tests;
