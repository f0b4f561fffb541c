//! The folder of one cgroup, by descriptors that are open from the start: what
//! must end has to end even where this process has none to spare. Never says
//! whose processes are in it.

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, XattrFlags, fsetxattr, getxattr, openat};
use rustix::io::Errno;

use super::{below, is_removed};
use crate::system::precedence::Preferred;
use crate::system::proc;

/// Says in the kernel whose run is in a cgroup, for whoever looks after a crash.
const MARK: &CStr = c"user.jobcell.execution";
/// The files that are read at once hold less.
const LONGEST: usize = 2048;

/// What the kernel counts and bounds in a cgroup: there are no files of what it
/// does not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    memory: bool,
    pids: bool,
}

impl Counted {
    /// As far as is known, all of it.
    pub(super) const ALL: Self = Self {
        memory: true,
        pids: true,
    };

    pub(super) fn of(controllers: &str) -> Self {
        let has = |wanted| controllers.split_whitespace().any(|one| one == wanted);
        Self {
            memory: has("memory"),
            pids: has("pids"),
        }
    }

    pub(super) fn has(self, file: &str) -> bool {
        match file.split_once('.') {
            Some(("memory", _)) => self.memory,
            Some(("pids", _)) => self.pids,
            _ => true,
        }
    }
}

/// A cgroup's folder.
#[derive(Debug)]
pub(super) struct Dir {
    path: PathBuf,
    folder: File,
    kill: File,
    events: File,
    processes: File,
    cpu: Option<File>,
    counted: Counted,
}

impl Dir {
    pub(super) fn make(path: PathBuf, counted: Counted) -> io::Result<Self> {
        let preferred = Preferred::begin();
        fs::create_dir(&path)?;
        drop(preferred);
        Self::open(path, counted)
    }

    pub(super) fn open(path: PathBuf, counted: Counted) -> io::Result<Self> {
        let folder = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .open(&path)?;
        let inside = |file, flags| -> io::Result<File> {
            let flags = flags | OFlags::CLOEXEC;
            Ok(openat(&folder, file, flags, Mode::empty())?.into())
        };
        Ok(Self {
            kill: inside("cgroup.kill", OFlags::WRONLY)?,
            events: inside("cgroup.events", OFlags::RDONLY)?,
            processes: inside("cgroup.procs", OFlags::RDONLY)?,
            cpu: match inside("cpu.stat", OFlags::RDONLY) {
                Err(error) if proc::is_gone(&error) => None,
                stat => Some(stat?),
            },
            counted,
            path,
            folder,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn handle(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Writes down whose run it is for.
    pub(super) fn mark(&self, execution: &str) -> io::Result<()> {
        let flags = XattrFlags::empty();
        Ok(fsetxattr(&self.folder, MARK, execution.as_bytes(), flags)?)
    }

    /// Whether any process in it or below it is left. A zombie does not count.
    pub(super) fn is_empty(&self) -> bool {
        match read_at_once(&self.events) {
            Ok(events) => value(&events, "populated") == Some(0),
            Err(error) => is_removed(&error),
        }
    }

    /// Whether the kernel keeps nothing in it that a later run would be told.
    pub(super) const fn counts_nothing(&self) -> bool {
        !self.counted.memory && !self.counted.pids
    }

    /// Whether it is as it was made: there, empty, and neither frozen nor with
    /// cgroups of a run's own in it.
    pub(super) fn is_like_new(&self) -> bool {
        let events = read_at_once(&self.events).unwrap_or_default();
        let none = |key| value(&events, key) == Some(0);
        // Each folder in it is a link more, where links are counted.
        none("populated")
            && none("frozen")
            && self.folder.metadata().is_ok_and(|facts| facts.nlink() <= 2)
    }

    pub(super) fn kill(&self) {
        if let Err(error) = (&self.kill).write_all(b"1")
            && !is_removed(&error)
        {
            tracing::warn!(cgroup = %self.path.display(), %error, "a cgroup can't be killed");
        }
    }

    /// Removes it, once it is empty, with what its processes made below it.
    pub(super) fn remove(&self) {
        if let Err(error) = remove_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(cgroup = %self.path.display(), %error, "a cgroup can't be removed");
        }
    }

    /// Sets a bound, where the kernel has it here.
    pub(super) fn bound(&self, file: &str, most: u64) {
        let file = self.path.join(file);
        if self.counted.has(name_of(&file))
            && file.exists()
            && let Err(error) = write(&file, &most.to_string())
        {
            tracing::warn!(file = %file.display(), %error, "a bound can't be set");
        }
    }

    /// What is in it and below it, as far as that can be seen, for the one thread that
    /// looks now and then. It looks at no path: whoever makes or removes a cgroup
    /// holds those up, and may have no turn.
    pub(super) fn watched_pids(&self) -> Vec<i32> {
        let mut pids = Vec::new();
        // It sees the rest later.
        self.add_pids(&self.processes, &mut pids).ok();
        pids
    }

    /// The same for others, of whom none may read a file beside another one. What can't
    /// be seen is not asked to end, or not named; the kill that follows needs no list.
    pub(super) fn pids(&self) -> Vec<i32> {
        self.all_pids().unwrap_or_default()
    }

    /// The same for whom "it can't be seen" is not "it is empty".
    pub(super) fn all_pids(&self) -> io::Result<Vec<i32>> {
        let mut pids = Vec::new();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        match openat(&self.folder, "cgroup.procs", flags, Mode::empty()).map_err(io::Error::from) {
            Err(error) if proc::is_gone(&error) || is_removed(&error) => {}
            file => self.add_pids(&file?.into(), &mut pids)?,
        }
        Ok(pids)
    }

    fn add_pids(&self, own: &File, pids: &mut Vec<i32>) -> io::Result<()> {
        if !add_those_of(own, pids)? || !self.may_have_others_below()? {
            return Ok(());
        }
        let mut folders = below_of(&self.path)?;
        while let Some(folder) = folders.pop() {
            match File::open(folder.join("cgroup.procs")) {
                Err(error) if proc::is_gone(&error) => continue,
                file => {
                    add_those_of(&file?, pids)?;
                }
            }
            folders.extend(below_of(&folder)?);
        }
        Ok(())
    }

    /// Each folder in it is a link more, where links are counted.
    fn may_have_others_below(&self) -> io::Result<bool> {
        Ok(self.folder.metadata()?.nlink() != 2)
    }

    /// Processor time of all that were ever in it, in microseconds.
    pub(super) fn cpu_us(&self) -> u64 {
        let stat = self.cpu.as_ref().map(read_at_once);
        let stat = stat.and_then(Result::ok).unwrap_or_default();
        value(&stat, "usage_usec").unwrap_or(0)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.file(name)?.trim().parse().ok()
    }

    /// The number behind a key in one of its files.
    pub(super) fn value(&self, file: &str, key: &str) -> Option<u64> {
        value(&self.file(file)?, key)
    }

    fn file(&self, name: &str) -> Option<String> {
        if !self.counted.has(name) {
            return None;
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(&self.folder, name, flags, Mode::empty()).ok()?;
        read_at_once(&file.into()).ok()
    }
}

/// The run that a cgroup is marked with.
///
/// # Errors
/// When it can't be looked.
pub(super) fn mark_of(path: &Path) -> io::Result<Option<String>> {
    let mut mark = [0_u8; 256];
    match getxattr(path, MARK, &mut mark[..]) {
        Ok(length) => Ok(Some(String::from_utf8_lossy(&mark[..length]).into_owned())),
        // One that is too long is not ours.
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(None),
        Err(error) if proc::is_gone(&error.into()) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn write(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(file)?
        .write_all(text.as_bytes())
}

fn name_of(file: &Path) -> &str {
    let name = file.file_name().and_then(|name| name.to_str());
    name.unwrap_or_default()
}

fn read_at_once(file: &File) -> io::Result<String> {
    let mut text = [0; LONGEST];
    let length = file.read_at(&mut text, 0)?;
    Ok(String::from_utf8_lossy(&text[..length]).into_owned())
}

/// Adds the processes that a file lists; false where its cgroup is gone.
fn add_those_of(file: &File, pids: &mut Vec<i32>) -> io::Result<bool> {
    let mut text = Vec::new();
    let mut piece = [0; LONGEST];
    loop {
        match file.read_at(&mut piece, text.len() as u64) {
            Ok(0) => break,
            Ok(length) => text.extend_from_slice(&piece[..length]),
            Err(error) if is_removed(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    let text = String::from_utf8_lossy(&text);
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    Ok(true)
}

/// The cgroups in a folder; none where it is gone.
fn below_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if proc::is_gone(&error) || is_removed(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

fn remove_all(folder: &Path) -> io::Result<()> {
    let preferred = Preferred::begin();
    let removed = fs::remove_dir(folder);
    drop(preferred);
    match removed {
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

/// The number behind a key in a file of such lines.
pub(super) fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, number) = line.split_once(' ')?;
        (name == key).then(|| number.parse().ok())?
    })
}
