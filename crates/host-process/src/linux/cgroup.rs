//! One cgroup (version 2) for each process that a run starts, with all that
//! descends from it, wherever that goes. Never starts a process.

mod dir;
mod pool;
mod root;

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use self::dir::Dir;
use self::pool::{Pool, Unused};
pub(crate) use self::root::{Root, of_trace};
use super::proc::{self, Process};
use crate::usage::{Cap, Caps, Sample};

/// The most processes whose memory is looked at in one sample.
const LOOKED_AT: usize = 2_000;

/// A cgroup that holds a process and all that descends from it.
#[derive(Debug)]
pub(crate) struct Cgroup {
    dir: Arc<Dir>,
    /// What it was bounded to: what the kernel refuses beyond that is not ours
    /// to name.
    caps: Caps,
    /// Processor time of those that were in it before, in microseconds.
    before_us: u64,
    /// Where it goes once it is empty; removed where there is none.
    pool: Weak<Pool>,
    state: Mutex<Use>,
}

/// What became of a cgroup.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    killed: bool,
    /// Whether others may be in it by now: then nothing in it is ours to kill, or
    /// to tell of.
    over: bool,
}

impl Cgroup {
    /// The one of that folder, which is removed in the end.
    fn new(dir: Arc<Dir>) -> Self {
        Self {
            dir,
            caps: Caps::default(),
            before_us: 0,
            pool: Weak::new(),
            state: Mutex::default(),
        }
    }

    /// One that was used before, or may be after this.
    fn pooled(unused: Unused, pool: Weak<Pool>) -> Self {
        Self {
            before_us: unused.cpu_us,
            pool,
            ..Self::new(unused.dir)
        }
    }

    pub(super) fn handle(&self) -> BorrowedFd<'_> {
        self.dir.handle()
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
            if let Some(most) = most {
                self.dir.bound(file, most);
            }
        }
    }

    /// Whether any process in it or below it is left. A zombie does not count.
    pub(crate) fn is_empty(&self) -> bool {
        self.dir.is_empty()
    }

    /// Ends everything in it at once, also what is being forked.
    pub(crate) fn kill(&self) {
        // Held until it is done, so that it is nobody else's before.
        let mut state = self.state();
        if !state.over {
            state.killed = true;
            self.dir.kill();
        }
    }

    /// Asks everything in it to end.
    pub(super) fn terminate(&self) {
        for pid in self.dir.pids() {
            let Some(raw) = rustix::process::Pid::from_raw(pid) else {
                continue;
            };
            // Behind a handle the number can't become somebody else's between
            // the look and the signal.
            if let Ok(handle) = pidfd_open(raw, PidfdFlags::empty())
                && self.dir.pids().contains(&pid)
            {
                // One that has ended by now needs no signal.
                pidfd_send_signal(&handle, Signal::TERM).ok();
            }
        }
    }

    /// What lives in it, for a person.
    pub(crate) fn names(&self) -> String {
        let pids = self.dir.pids();
        let processes: Vec<Process> = pids.into_iter().filter_map(Process::read).collect();
        if processes.is_empty() {
            return format!("what is in {}", self.dir.path().display());
        }
        proc::names(&processes)
    }

    /// What it uses now and has used.
    pub(super) fn sample(&self, most: Option<u32>) -> Sample {
        let sample = self.look(most);
        // Others came into it no earlier than that, so what was seen is ours.
        if self.state().over {
            return Sample::default();
        }
        sample
    }

    fn look(&self, most: Option<u32>) -> Sample {
        let pids = self.dir.watched_pids();
        let processes = u32::try_from(pids.len()).unwrap_or(u32::MAX);
        if most.is_some_and(|most| processes > most) {
            // There is no time to lose.
            return Sample {
                processes,
                ..Sample::default()
            };
        }
        let memory = match self.dir.number("memory.current") {
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
            memory: self.dir.number("memory.peak").unwrap_or(0),
            processes: self
                .dir
                .number("pids.peak")
                .and_then(|peak| u32::try_from(peak).ok())
                .unwrap_or(0),
            refused: self.refused(),
        }
    }

    fn cpu_time(&self) -> Duration {
        Duration::from_micros(self.dir.cpu_us().saturating_sub(self.before_us))
    }

    /// Whether the kernel had to hold one of its bounds. A machine that runs
    /// out of memory, or a bound further up, is told by the same counters.
    fn refused(&self) -> Option<Cap> {
        let counted = |file: &str, key: &str| self.dir.value(file, key).unwrap_or(0) > 0;
        let met = |key| counted("memory.events", key);
        if self.caps.memory.is_some() && met("oom") && met("oom_kill") {
            return Some(Cap::Memory);
        }
        let most = self.caps.processes?;
        let peak = self.dir.number("pids.peak");
        let was_full = peak.is_none_or(|peak| peak >= u64::from(most));
        (was_full && counted("pids.events", "max")).then_some(Cap::Processes)
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

    /// Whether there is anybody in it but this process, which has ended.
    pub(super) fn holds_others(&self, ended: i32) -> io::Result<bool> {
        Ok(self.dir.all_pids()?.iter().any(|pid| *pid != ended))
    }

    /// Lets others have it, once it is empty, this is all that was used, and its
    /// program was `killed` or not.
    pub(super) fn leave(&self, total: &Sample, killed: bool) {
        let before = {
            let mut state = self.state();
            let before = *state;
            state.over = true;
            before
        };
        if before.over {
            return;
        }
        // What was ever killed takes in nobody: since 6.14 Linux compares how often
        // it was with how often ours was, and kills whom we start in there.
        match self.pool.upgrade() {
            Some(pool) if !before.killed && !killed && self.dir.counts_nothing() => {
                let used_us = u64::try_from(total.cpu_time.as_micros()).unwrap_or(0);
                let cpu_us = self.before_us + used_us;
                pool.give(Unused::new(Arc::clone(&self.dir), cpu_us));
            }
            pool => {
                // Whoever killed it without us may have killed all of them.
                if let Some(pool) = pool.filter(|_| killed && !before.killed) {
                    pool.clear();
                }
                self.dir.remove();
            }
        }
    }

    /// Removes it, once it is empty, with what its processes made below it.
    pub(crate) fn remove(&self) {
        let over = std::mem::replace(&mut self.state().over, true);
        if !over {
            self.dir.remove();
        }
    }

    fn state(&self) -> MutexGuard<'_, Use> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a file could not be used because its cgroup is there no more.
fn is_removed(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENODEV)
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

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may panic, and says what it leaves out"
)]
pub(super) mod tests;
