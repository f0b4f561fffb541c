//! What `/proc` knows of processes. Never signals any.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

/// Kernel ticks a second, as `/proc` counts processor time on every Linux.
const TICKS: u64 = 100;

/// One process, as its `stat` line tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Default))]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) name: String,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// A zombie is dead: it only waits for its parent to take note.
    pub(super) alive: bool,
    pub(super) cpu_time: Duration,
    /// Processor time of all those whose end it has taken, and of theirs.
    pub(super) cpu_time_of_ended: Duration,
    /// In ticks since the machine started: with its pid, who it is.
    pub(super) start: u64,
    /// Resident memory in bytes.
    pub(super) memory: u64,
}

impl Process {
    /// A process by its id.
    pub(super) fn read(pid: i32) -> Option<Self> {
        Self::look(pid).ok()?
    }

    /// The same for whom "it can't be seen" is not "it is not there".
    pub(super) fn look(pid: i32) -> io::Result<Option<Self>> {
        match fs::read(format!("/proc/{pid}/stat")) {
            Ok(stat) => Ok(Self::parse(&stat)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(stat: &[u8]) -> Option<Self> {
        let stat = String::from_utf8_lossy(stat);
        let (pid, rest) = stat.split_once(" (")?;
        // The name may hold anything, parentheses too.
        let (name, rest) = rest.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            pid: pid.parse().ok()?,
            name: name.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            alive: !matches!(fields.first(), Some(&("Z" | "X")) | None),
            cpu_time: ticks(number(11)? + number(12)?),
            cpu_time_of_ended: ticks(number(13)? + number(14)?),
            start: number(19)?,
            memory: number(21)? * page_size(),
        })
    }
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1000 / TICKS)
}

fn page_size() -> u64 {
    rustix::param::page_size() as u64
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

/// The first children of a process, without a look at any other.
pub(super) fn children(parent: i32, most: usize) -> Vec<Process> {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let list = list.unwrap_or_default();
    let pids = list.split_ascii_whitespace().take(most);
    pids.filter_map(|pid| Process::read(pid.parse().ok()?))
        .collect()
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

/// The largest resident memory that a process has had, in bytes.
pub(super) fn peak_memory(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
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
        let rest = "S 7 9 9 0 -1 0 0 0 0 0 150 50 70 30 20 0 1 0 4711 0 3";
        let stat = format!("12 (a) Z 1 (b)) {rest}");
        let process = Process::parse(stat.as_bytes()).unwrap();
        assert_eq!((process.pid, process.parent, process.start), (12, 7, 4711));
        assert_eq!(process.name, "a) Z 1 (b)");
        assert_eq!(process.cpu_time, Duration::from_secs(2));
        assert_eq!(process.cpu_time_of_ended, Duration::from_secs(1));
        assert!(process.alive && process.group == 9);
        let dead = stat.replace(") S", ") Z");
        assert!(!Process::parse(dead.as_bytes()).unwrap().alive);
        assert!(Process::parse(b"").is_none());
    }

    #[test]
    fn this_process_is_there_with_its_memory() {
        let own = Process::read(std::process::id().cast_signed()).unwrap();
        assert!(own.alive && own.memory > 100_000);
        assert!(peak_memory(own.pid).unwrap() >= own.memory / 2);
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
