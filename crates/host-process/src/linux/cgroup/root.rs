//! Where cgroups of runs are made and found again: a folder in this process's own
//! cgroup, and what crashes left in it. Never says what a cgroup is used for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::dir::{self, Counted, Dir};
use super::pool::{Pool, Unused};
use super::{Cgroup, below, is_removed};
use crate::system::kernel;
use crate::system::proc;
use crate::system::stat::Stat;

/// Controllers that are asked for where the system has them to give.
const WANTED: [&str; 4] = ["cpu", "io", "memory", "pids"];
/// Says which of them there are for what lies below.
const CONTROLLERS: &str = "cgroup.subtree_control";
/// What the folders of all servers begin with.
pub(crate) const PREFIX: &str = "jobcell-";
/// How often a folder is tried to be made.
const ATTEMPTS: usize = 3;
/// Told apart by this, also where one process has several roots of one folder.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Where cgroups of runs are made. Removed when it is dropped, unless another
/// process has runs there.
#[derive(Debug)]
pub(crate) struct Root {
    folder: PathBuf,
    /// This process, as cgroups name their maker.
    owner: String,
    counted: Counted,
    /// None where the kernel bounds or counts anything by controllers: then each
    /// process has a cgroup that nobody had before, so that its figures are its
    /// own.
    pool: Option<Arc<Pool>>,
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
        let own = std::process::id();
        let seen = Stat::look(own.cast_signed()).ok().flatten();
        let start = seen.ok_or("this process can't be seen in /proc")?.start;
        let owner = format!("{own}-{start}");
        // Another server that tidies up may be between two of these steps.
        let ready = || {
            make(&folder)?;
            hand_down(&folder);
            probe(&folder, &owner)
        };
        let mut made = ready();
        for _ in 1..ATTEMPTS {
            if made.is_ok() {
                break;
            }
            made = ready();
        }
        made?;
        let controllers = read(&folder.join(CONTROLLERS));
        let none = controllers
            .as_ref()
            .is_ok_and(|given| given.trim().is_empty());
        Ok(Self {
            folder,
            owner,
            counted: controllers.map_or(Counted::ALL, |given| Counted::of(&given)),
            pool: none.then(Arc::default),
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

    /// An empty cgroup for a process of an execution.
    pub(crate) fn take(&self, execution: &str) -> io::Result<Cgroup> {
        let unused = self.pool.as_ref().and_then(|pool| pool.take());
        let unused = match unused {
            Some(unused) => unused,
            None => Unused::new(Arc::new(self.make()?), 0),
        };
        unused
            .dir
            .mark(execution)
            .inspect_err(|_| unused.dir.remove())?;
        let pool = self.pool.as_ref().map(Arc::downgrade);
        Ok(Cgroup::pooled(unused, pool.unwrap_or_default()))
    }

    /// Looks at the cgroup that waits for the next process.
    pub(crate) fn check_next(&self) {
        if let Some(pool) = &self.pool {
            pool.check_next();
        }
    }

    fn make(&self) -> io::Result<Dir> {
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("run-{number}@{}", self.owner));
        match Dir::make(path.clone(), self.counted) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Another process was the last one here, and tidied up.
                make(&self.folder).map_err(io::Error::other)?;
                hand_down(&self.folder);
                // What is counted now may be something else.
                Dir::make(path, Counted::ALL)
            }
            made => made,
        }
    }

    /// All cgroups that an earlier process left here.
    pub(crate) fn leftovers(&self) -> Vec<Cgroup> {
        let orphaned = |path: &Path| {
            let owner = owner_of(path);
            Ok(owner.is_some_and(|owner| owner != self.owner && !lives(owner)))
        };
        existing(&self.folder, orphaned).unwrap_or_else(|error| {
            tracing::warn!(%error, "cgroups that a crash left can't be looked for");
            Vec::new()
        })
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.clear();
        }
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
        let orphaned = |path: &Path| Ok(owner_of(path).is_some_and(|owner| !lives(owner)));
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
    let execution = execution.to_string_lossy();
    // Servers until 0.1 named a cgroup after its run.
    let prefix = format!("{execution}.");
    existing(folder, |path| {
        if owner_of(path).is_none() {
            return Ok(false);
        }
        let named = name_of(path).is_some_and(|name| name.starts_with(&prefix));
        Ok(named || dir::mark_of(path)?.is_some_and(|mark| mark == execution))
    })
}

fn existing(folder: &Path, wanted: impl Fn(&Path) -> io::Result<bool>) -> io::Result<Vec<Cgroup>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if proc::is_gone(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_dir() || !wanted(&entry.path())? {
            continue;
        }
        match Dir::open(entry.path(), Counted::ALL) {
            Err(error) if proc::is_gone(&error) || is_removed(&error) => {}
            dir => found.push(Cgroup::new(Arc::new(dir?))),
        }
    }
    Ok(found)
}

fn name_of(cgroup: &Path) -> Option<&str> {
    cgroup.file_name()?.to_str()
}

/// The process that made a cgroup, as its name ends.
fn owner_of(cgroup: &Path) -> Option<&str> {
    Some(name_of(cgroup)?.rsplit_once('@')?.1)
}

/// Whether the process that a name ends with still lives.
pub(super) fn lives(owner: &str) -> bool {
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
pub(super) fn own_folder(mounts: &str, own: &str) -> Option<PathBuf> {
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
        let give = || dir::write(&folder.join(CONTROLLERS), &format!("+{controller}"));
        if give().is_err() && read(&folder.join("cgroup.procs")).is_ok_and(|all| all.trim() == own)
        {
            let server = folder.join("jobcell-server");
            let moved =
                make(&server).is_ok() && dir::write(&server.join("cgroup.procs"), &own).is_ok();
            if moved && give().is_err() {
                tracing::debug!(controller, "a cgroup controller can't be handed down");
            }
        }
    }
}

/// Whether cgroups here can be made, used and ended.
fn probe(folder: &Path, owner: &str) -> Result<(), String> {
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let probe = folder.join(format!("probe-{number}@{owner}"));
    let named = |error: io::Error| format!("{}: {error}", probe.display());
    make(&probe)?;
    let dir = Dir::open(probe.clone(), Counted::ALL);
    let lives = dir.as_ref().map_or(Ok(true), |dir| {
        dir.mark("probe")?;
        kernel::lives_in(dir.handle())
    });
    // Who has ended may take a moment to leave.
    for _ in 0..100 {
        if dir.as_ref().is_ok_and(Dir::is_empty) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    fs::remove_dir(&probe).map_err(named)?;
    dir.map_err(named)?;
    if lives.map_err(named)? {
        return Ok(());
    }
    let probe = probe.display();
    Err(format!("{probe}: whatever is started in it is killed"))
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
