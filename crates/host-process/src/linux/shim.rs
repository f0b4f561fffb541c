//! Where cgroups can't be had: a small process between us and a program, which
//! all that the program starts belongs to, whatever sessions it makes and
//! however often it forks (a child subreaper). When it ends, nothing of the
//! program is left. Never runs anything but the one program.
#![expect(unsafe_code, reason = "the shim is this process, forked")]

use std::collections::BTreeSet;
use std::ffi::{c_int, c_void};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgrp};
use tokio::io::unix::AsyncFd;

use super::clone3::{self, Memory};
use super::entry::{self, Plan, Stage};
use super::precedence::Preferred;
use super::proc::{self, Process};
use super::stat::Stat;
use super::wait::{self, Ended};
use crate::spawn::Exit;
use crate::usage::{Sample, Usage};

/// How often a tree that grows is killed again before somebody else has a turn.
const ROUNDS: usize = 20;
/// So many children of a shim are looked at before all processes are.
const FIRST: usize = 64;

/// Everything that a shim needs in its own memory.
struct ShimPlan<'a> {
    program: Plan<'a>,
    gate: RawFd,
    status: RawFd,
    report: RawFd,
    /// What stays open until the program has it, in order.
    keep: [RawFd; 7],
}

/// A shim, on our side.
pub(super) struct Shim {
    pub(super) pid: i32,
    /// When it began: see [`Stat`].
    pub(super) start: u64,
    /// Becomes readable when all of it has ended.
    pub(super) handle: AsyncFd<OwnedFd>,
    /// Becomes readable when the program has ended.
    pub(super) status: Arc<AsyncFd<OwnedFd>>,
    gate: Option<io::PipeWriter>,
    report: Option<io::PipeReader>,
    words: Words,
    /// Whether nothing was left when we killed the shim itself.
    pub(super) holds_nothing: bool,
    /// How the shim itself ended.
    ended: Option<Ended>,
}

/// What the shim says of the program, and of all when that has ended.
#[repr(C)]
#[derive(Clone, Copy)]
struct Word {
    /// What it is about: [`PROGRAM`] or [`ALL`].
    about: i64,
    status: i64,
    cpu_us: u64,
    max_rss: u64,
    read_blocks: u64,
    written_blocks: u64,
}

const WORD: usize = size_of::<Word>();
const PROGRAM: i64 = 1;
const ALL: i64 = 2;

/// What a shim has said so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Words {
    /// Of the program, when that had ended.
    pub(super) program: Option<Ended>,
    /// Of all that it held, when nothing was left.
    pub(super) all: Option<Ended>,
}

impl Shim {
    /// Starts a shim that waits until it is released. `plan` makes the program's
    /// part, given where it says what failed.
    pub(super) fn start<'a>(
        streams: [RawFd; 3],
        file: Option<RawFd>,
        plan: impl FnOnce(RawFd) -> Plan<'a>,
    ) -> io::Result<Self> {
        let (gate, release) = io::pipe()?;
        let (status, say) = io::pipe()?;
        let (report, tell) = io::pipe()?;
        let mut keep = [
            streams[0],
            streams[1],
            streams[2],
            file.unwrap_or(tell.as_raw_fd()),
            gate.as_raw_fd(),
            say.as_raw_fd(),
            tell.as_raw_fd(),
        ];
        keep.sort_unstable();
        let mut plan = ShimPlan {
            program: plan(tell.as_raw_fd()),
            gate: gate.as_raw_fd(),
            status: say.as_raw_fd(),
            report: tell.as_raw_fd(),
            keep,
        };
        let plan = (&raw mut plan).cast::<c_void>();
        // Our memory is locked while it is copied, and the watcher needs it.
        let preferred = Preferred::begin();
        // SAFETY: `live` runs in a copy of this process, where the plan is as
        // it is here, and makes system calls only.
        let started = unsafe { clone3::start(live, plan, Memory::Copied, None)? };
        drop(preferred);
        let clone3::Started { newborn, handle } = started;
        let stat = Stat::look(newborn.pid())?;
        let shim = Self {
            pid: newborn.pid(),
            start: stat.ok_or_else(|| io::Error::other("it is gone"))?.start,
            handle: wait::watch(handle)?,
            status: Arc::new(wait::watch_pipe(status.into())?),
            gate: Some(release),
            report: Some(report),
            words: Words::default(),
            holds_nothing: false,
            ended: None,
        };
        newborn.adopted();
        Ok(shim)
    }

    /// Lets the program start, and says what became of that.
    pub(super) async fn release(&mut self) -> Result<(), (Stage, io::Error)> {
        let failed = |error| (Stage::Fork, error);
        if let Some(mut gate) = self.gate.take() {
            gate.write_all(&[1]).map_err(failed)?;
        }
        let Some(report) = self.report.take() else {
            return Ok(());
        };
        let mut report =
            tokio::net::unix::pipe::Receiver::from_owned_fd(report.into()).map_err(failed)?;
        let mut said = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut report, &mut said)
            .await
            .map_err(failed)?;
        entry::read_report(&said).map_or(Ok(()), Err)
    }

    /// All that it has said by now. That all has ended counts only from one that
    /// ended by itself: who was killed may have left anything behind.
    pub(super) fn words(&mut self) -> Words {
        while let Some(word) = self.next_word() {
            match word.about {
                PROGRAM => self.words.program = Some(word.ended()),
                ALL => self.words.all = Some(word.ended()),
                _ => {}
            }
        }
        let by_itself = self.ended.map(|ended| ended.exit()) == Some(Exit::Code(0));
        Words {
            all: self.words.all.filter(|_| by_itself),
            ..self.words
        }
    }

    fn next_word(&self) -> Option<Word> {
        let mut bytes = [0_u8; WORD];
        let mut pipe = wait::Reading(self.status.get_ref());
        pipe.read_exact(&mut bytes).ok()?;
        // SAFETY: plain numbers, for which all bytes are right.
        Some(unsafe { std::mem::transmute::<[u8; WORD], Word>(bytes) })
    }

    /// What it holds that is alive.
    pub(super) fn members(&self) -> io::Result<Vec<Process>> {
        members(self.pid)
    }

    pub(super) fn terminate(&self) {
        // Who can't be asked is killed after the grace period.
        for process in self.members().unwrap_or_default() {
            signal(self.pid, &process, libc::SIGTERM);
        }
    }

    /// Kills all that it holds, and has it take note of that: it may have been
    /// stopped. Gives whether nothing was left to be killed.
    pub(super) fn kill(&self) -> bool {
        let holds_nothing = kill_tree(self.pid);
        self.signal_itself(rustix::process::Signal::CONT);
        holds_nothing
    }

    /// Kills the shim itself, when it holds nothing any more.
    pub(super) fn kill_itself(&mut self) {
        self.holds_nothing = true;
        self.signal_itself(rustix::process::Signal::KILL);
    }

    fn signal_itself(&self, signal: rustix::process::Signal) {
        // One that has ended by now needs no signal.
        rustix::process::pidfd_send_signal(self.handle.get_ref(), signal).ok();
    }

    /// Takes note of its end.
    pub(super) fn reap(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = wait::take(self.pid, false);
        }
        self.ended.is_some()
    }
}

impl Word {
    fn ended(&self) -> Ended {
        Ended {
            status: c_int::try_from(self.status).unwrap_or(-1),
            usage: Usage {
                cpu_time: Duration::from_micros(self.cpu_us),
                peak_memory: self.max_rss << 10,
                read_bytes: self.read_blocks * wait::BLOCK,
                written_bytes: self.written_blocks * wait::BLOCK,
                ..Usage::default()
            },
        }
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        // Unreleased it ends by itself, at the end of its gate.
        self.gate = None;
        for _ in 0..ROUNDS * 50 {
            if self.reap() {
                return;
            }
            self.kill();
            std::thread::sleep(Duration::from_millis(1));
        }
        tracing::warn!(shim = self.pid, "processes of a run can't be killed");
    }
}

fn members(shim: i32) -> io::Result<Vec<Process>> {
    let mut members = proc::descendants(shim)?;
    members.retain(|process| process.alive);
    Ok(members)
}

/// What all that a shim holds uses now, but for processor time of those whose
/// end others of it have taken: see [`cpu_time_with_ended`].
pub(super) fn sample(shim: i32, most: Option<u32>) -> Sample {
    let most = most.and_then(|most| usize::try_from(most).ok());
    // A shim never becomes another program. From parent to child: one that ends
    // meanwhile is missed now rather than counted twice, as itself and by
    // whoever takes its end.
    let taken = Stat::look(shim).ok().flatten();
    // What can't be looked at now is looked at next time.
    let found = proc::descendants_up_to(shim, most.unwrap_or(usize::MAX));
    let mut members = found.unwrap_or_default();
    // Of the dead as well: nobody has taken their time yet.
    let used: Duration = members.iter().map(Process::cpu_time).sum();
    members.retain(|process| process.alive);
    let alone = match &members[..] {
        [only] => only.peak_memory,
        _ => 0,
    };
    let memory: u64 = members.iter().map(|process| process.memory).sum();
    Sample {
        cpu_time: used + taken.map_or(Duration::ZERO, |shim| shim.cpu_time_of_ended),
        memory: memory.max(alone),
        processes: u32::try_from(members.len()).unwrap_or(u32::MAX),
        refused: None,
    }
}

/// Processor time of all that a shim holds and held. It may take as long as
/// [`Stat::look`], so it is not for whoever has to end what is too much.
pub(super) fn cpu_time_with_ended(shim: i32, most: Option<u32>) -> Duration {
    let most = most.and_then(|most| usize::try_from(most).ok());
    let time_of = |pid| Stat::look(pid).ok().flatten();
    let taken = time_of(shim).map(|shim| shim.cpu_time_of_ended);
    let found = proc::descendants_up_to(shim, most.unwrap_or(usize::MAX));
    let members = found.unwrap_or_default();
    let stats = members.iter().filter_map(|process| time_of(process.pid));
    let used = stats.map(|stat| stat.cpu_time + stat.cpu_time_of_ended);
    used.sum::<Duration>() + taken.unwrap_or_default()
}

/// Kills all that descends from a process, but not itself. Whole groups at
/// once: while one process is killed after the other, a fork bomb makes more.
/// Gives whether nothing is left.
pub(super) fn kill_tree(root: i32) -> bool {
    // Looking at every process of the machine takes long enough for a bomb to
    // fill it, so what is known at once comes first.
    let first = proc::children(root, FIRST);
    kill_groups(root, first.into_iter().filter_map(proc::group));
    let mut killed = BTreeSet::new();
    for _ in 0..ROUNDS {
        // Where it can't be looked, nobody takes it for done: whoever waits for
        // the end comes back.
        let Ok(members) = members(root) else {
            return false;
        };
        if members.is_empty() {
            return true;
        }
        kill_groups(root, members.iter().filter_map(|process| process.group));
        let before = killed.len();
        for process in &members {
            if !killed.contains(&process.pid) && signal(root, process, libc::SIGKILL) {
                killed.insert(process.pid);
            }
        }
        if killed.len() == before {
            // What was killed makes no more, and needs the processor to end
            // more than we do.
            return false;
        }
    }
    false
}

/// Kills these groups. A session began with the program, so that no group of its
/// tree holds anybody else; a shim that has none yet is in ours.
fn kill_groups(root: i32, groups: impl Iterator<Item = i32>) {
    let own = getpgrp().as_raw();
    let groups: BTreeSet<i32> = groups.collect();
    for group in groups {
        if group > 1 && group != root && group != own {
            // One that is empty by now needs no signal.
            killpg(Pid::from_raw(group), Signal::SIGKILL).ok();
        }
    }
}

/// Signals a process below a root if it is still the one that was seen; gives
/// whether.
fn signal(root: i32, process: &Process, signal: c_int) -> bool {
    // Another one of this number would have to have the same parent, or the one
    // that gets those whose parent has ended.
    let parents = [process.parent, root];
    signal_if(process.pid, signal, || {
        Process::read(process.pid).is_some_and(|now| parents.contains(&now.parent))
    })
}

/// Signals a process if it is the one that is meant; gives whether.
pub(super) fn signal_if(pid: i32, signal: c_int, is_meant: impl FnOnce() -> bool) -> bool {
    let (Some(pid), Some(signal)) = (
        rustix::process::Pid::from_raw(pid),
        rustix::process::Signal::from_named_raw(signal),
    ) else {
        return false;
    };
    // Behind a handle its number can't become somebody else's meanwhile.
    let Ok(handle) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else {
        return false;
    };
    // One that has ended by now needs no signal.
    is_meant() && rustix::process::pidfd_send_signal(&handle, signal).is_ok()
}

/// The whole life of a shim.
unsafe extern "C" fn live(plan: *mut c_void) -> ! {
    // SAFETY: see `Shim::start`; everything below is a system call.
    unsafe {
        let plan = &mut *plan.cast::<ShimPlan<'_>>();
        libc::setsid();
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        libc::prctl(libc::PR_SET_NAME, c"jobcell-shim".as_ptr());
        close_between(&plan.keep);
        let mut go = 0_u8;
        if libc::read(plan.gate, (&raw mut go).cast(), 1) != 1 {
            // Whoever was to release it is gone.
            libc::_exit(0);
        }
        let program = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0);
        if program == 0 {
            entry::become_program((&raw mut plan.program).cast());
        }
        if program < 0 {
            entry::tell(plan.report, Stage::Fork, *libc::__errno_location());
            libc::_exit(127);
        }
        let status = plan.status;
        for open in plan.keep {
            if open != status {
                libc::close(open);
            }
        }
        for standard in 0..3 {
            if standard != status {
                libc::close(standard);
            }
        }
        see_through(program, status)
    }
}

/// Waits for all that comes to it, until nothing is left.
unsafe fn see_through(program: i64, status: RawFd) -> ! {
    let mut all = Word {
        about: PROGRAM,
        status: 0,
        cpu_us: 0,
        max_rss: 0,
        read_blocks: 0,
        written_blocks: 0,
    };
    // SAFETY: system calls on memory of its own.
    unsafe {
        loop {
            let mut ended: c_int = 0;
            let mut used = MaybeUninit::<libc::rusage>::zeroed().assume_init();
            let pid = libc::wait4(-1, &raw mut ended, 0, &raw mut used);
            if pid < 0 {
                if *libc::__errno_location() == libc::EINTR {
                    continue;
                }
                all.about = ALL;
                say(status, &all);
                libc::_exit(0);
            }
            all.cpu_us += microseconds(used.ru_utime) + microseconds(used.ru_stime);
            all.max_rss = all.max_rss.max(used.ru_maxrss.unsigned_abs());
            all.read_blocks += used.ru_inblock.unsigned_abs();
            all.written_blocks += used.ru_oublock.unsigned_abs();
            if i64::from(pid) == program {
                all.status = i64::from(ended);
                say(status, &all);
            }
        }
    }
}

unsafe fn say(status: RawFd, word: &Word) {
    // SAFETY: a pipe takes so few bytes at once; nobody may read it any more.
    unsafe {
        libc::write(status, std::ptr::from_ref(word).cast(), WORD);
    }
}

fn microseconds(time: libc::timeval) -> u64 {
    time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_usec.unsigned_abs()
}

/// Closes everything of the parent's but these, and its three streams, which
/// are closed when the program has them.
unsafe fn close_between(keep: &[RawFd]) {
    let mut from = 3;
    for &kept in keep {
        if kept > from {
            // SAFETY: descriptors of this process's own table.
            unsafe { libc::syscall(libc::SYS_close_range, from, kept - 1, 0) };
        }
        from = from.max(kept + 1);
    }
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_close_range, from, libc::c_uint::MAX, 0) };
}
