//! What `/proc` knows of processes, read from files that never make us wait for
//! the process that they tell of, but for [`has_variable`]. Never signals any.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use nix::time::clock_getcpuclockid;
use nix::unistd::{Pid, getpgid};

/// One process, as its `status` file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) name: String,
    pub(super) parent: i32,
    pub(super) group: Option<i32>,
    /// A zombie is dead: it only waits for its parent to take note.
    pub(super) alive: bool,
    /// Resident memory in bytes, and the most of it that there was.
    pub(super) memory: u64,
    pub(super) peak_memory: u64,
}

impl Process {
    /// A process by its id.
    pub(super) fn read(pid: i32) -> Option<Self> {
        Self::look(pid).ok()?
    }

    /// The same for whom "it can't be seen" is not "it is not there".
    pub(super) fn look(pid: i32) -> io::Result<Option<Self>> {
        match fs::read(format!("/proc/{pid}/status")) {
            Ok(status) => Ok(Self::parse(pid, &status)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(pid: i32, status: &[u8]) -> Option<Self> {
        let status = String::from_utf8_lossy(status);
        let lines = status.lines().filter_map(|line| line.split_once(':'));
        let mut name = None;
        let mut state = None;
        let mut parent = None;
        let mut group = None;
        let (mut memory, mut peak_memory) = (0, 0);
        for (key, value) in lines {
            let value = value.trim();
            match key {
                "Name" => name = Some(value.to_owned()),
                "State" => state = value.chars().next(),
                "PPid" => parent = value.parse().ok(),
                // As we number it, then as containers in ours do.
                "NSpgid" => group = first_number(value),
                // The dead have none.
                "VmHWM" => peak_memory = bytes(value)?,
                "VmRSS" => memory = bytes(value)?,
                _ => {}
            }
        }
        Some(Self {
            pid,
            name: name?,
            parent: parent?,
            group,
            alive: !matches!(state?, 'Z' | 'X'),
            memory,
            peak_memory,
        })
    }

    /// Processor time that it has used itself, also once it is dead.
    pub(super) fn cpu_time(&self) -> Duration {
        let clock = clock_getcpuclockid(Pid::from_raw(self.pid));
        let now = clock.and_then(nix::time::ClockId::now);
        now.map(Duration::from).unwrap_or_default()
    }
}

/// As `status` gives it: `12 kB`.
fn bytes(value: &str) -> Option<u64> {
    let kibibytes: u64 = first_number(value)?;
    Some(kibibytes << 10)
}

fn first_number<T: std::str::FromStr>(value: &str) -> Option<T> {
    value.split_ascii_whitespace().next()?.parse().ok()
}

/// The process group of a process, without a look at the rest.
pub(super) fn group(pid: i32) -> Option<i32> {
    getpgid(Some(Pid::from_raw(pid))).ok().map(Pid::as_raw)
}

/// Whether what could not be read is there no more. Anything else, such as too
/// many open files, says nothing about it.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

/// All processes of this machine that are to be seen, in the order of their ids.
///
/// # Errors
/// When it can't be looked at them.
pub(super) fn all() -> io::Result<Vec<Process>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) {
            all.extend(Process::look(pid)?);
        }
    }
    Ok(all)
}

/// The first children of a process with one thread, without a look at any.
pub(super) fn children(parent: i32, most: usize) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let list = list.unwrap_or_default();
    let pids = list.split_ascii_whitespace().take(most);
    pids.filter_map(|pid| pid.parse().ok()).collect()
}

/// All that descend from a process, without itself. One that is born or dies
/// meanwhile may be missing: whoever needs all of them looks again.
///
/// # Errors
/// When it can't be looked at them.
pub(super) fn descendants(root: i32) -> io::Result<Vec<Process>> {
    descendants_up_to(root, usize::MAX)
}

/// The same, but no more than a few beyond so many.
///
/// # Errors
/// When it can't be looked at them.
pub(super) fn descendants_up_to(root: i32, most: usize) -> io::Result<Vec<Process>> {
    if fs::exists(format!("/proc/{root}/task/{root}/children"))? {
        return by_walking(root, most);
    }
    by_looking_at_all(root)
}

/// From parent to child, so that it costs as much as there are descendants.
fn by_walking(root: i32, most: usize) -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([root]);
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        // Each thread has children of its own.
        for child in children_of_threads(pid)? {
            let Some(child) = Process::look(child)? else {
                continue;
            };
            if seen.insert(child.pid) {
                next.push(child.pid);
                found.push(child);
            }
            if found.len() > most.saturating_mul(2) {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

fn children_of_threads(pid: i32) -> io::Result<Vec<i32>> {
    let mut children = Vec::new();
    let threads = match fs::read_dir(format!("/proc/{pid}/task")) {
        Err(error) if is_gone(&error) => return Ok(children),
        threads => threads?,
    };
    for thread in threads {
        let list = thread.and_then(|thread| fs::read_to_string(thread.path().join("children")));
        match list {
            Err(error) if is_gone(&error) => {}
            list => {
                let list = list?;
                let pids = list.split_ascii_whitespace();
                children.extend(pids.filter_map(|pid| pid.parse::<i32>().ok()));
            }
        }
    }
    Ok(children)
}

/// For kernels without lists of children.
fn by_looking_at_all(root: i32) -> io::Result<Vec<Process>> {
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for process in all()? {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([root]);
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            if seen.insert(child.pid) {
                next.push(child.pid);
                found.push(child);
            }
        }
    }
    Ok(found)
}

/// Whether a process was given a variable of this value.
///
/// # Errors
/// When we have nothing to look with. One that is not ours to look at was not
/// given it by us.
pub(super) fn has_variable(pid: i32, variable: &str) -> io::Result<bool> {
    match fs::read(format!("/proc/{pid}/environ")) {
        Ok(all) => Ok(all
            .split(|&byte| byte == 0)
            .any(|one| one == variable.as_bytes())),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied || is_gone(&error) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Tells one start of the machine from another.
///
/// # Errors
/// When the system does not say it.
pub(super) fn boot() -> io::Result<String> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(boot.clone());
    }
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(BOOT.get_or_init(|| id.trim().to_owned()).clone())
}

/// A few processes by name, for a person.
pub(super) fn names(processes: &[Process]) -> String {
    const MOST: usize = 5;
    let some = processes.iter().take(MOST);
    let some: Vec<String> = some
        .map(|process| format!("{} ({})", process.pid, process.name))
        .collect();
    let more = processes.len().saturating_sub(MOST);
    match more {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let status = "Name:\tState: Z\nUmask:\t0022\nState:\tS (sleeping)\nPPid:\t7\nNSpgid:\t9\t2\n\
            VmHWM:\t     300 kB\nVmRSS:\t     200 kB\nThreads:\t1\n";
        let process = Process::parse(12, status.as_bytes()).unwrap();
        assert_eq!((process.pid, process.parent), (12, 7));
        assert_eq!(process.group, Some(9));
        assert_eq!(process.name, "State: Z");
        assert_eq!(
            (process.memory, process.peak_memory),
            (200 << 10, 300 << 10)
        );
        assert!(process.alive);
        let dead = "Name:\tx\nState:\tZ (zombie)\nPPid:\t7\n";
        let dead = Process::parse(12, dead.as_bytes()).unwrap();
        assert!(!dead.alive && dead.memory == 0);
        assert!(Process::parse(12, b"").is_none());
    }

    #[test]
    fn this_process_is_there_with_its_memory() {
        let own = Process::read(std::process::id().cast_signed()).unwrap();
        assert!(own.alive && own.memory > 100_000);
        assert!(own.peak_memory >= own.memory / 2);
        assert_eq!(own.group, group(own.pid));
        assert_eq!(own.group, Some(nix::unistd::getpgrp().as_raw()));
        assert!(own.cpu_time() > Duration::ZERO);
        for look in [descendants, by_looking_at_all] {
            let found: Vec<i32> = look(own.parent)
                .unwrap()
                .iter()
                .map(|one| one.pid)
                .collect();
            assert!(found.contains(&own.pid));
        }
    }
}
