//! A program that was started, with all that descends from it. Never says
//! which program that is.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::unix::AsyncFd;

use super::NotStarted;
use super::cgroup::Cgroup;
use super::proc;
use super::shim::{Shim, Words};
use super::wait::{self, Ended};
use crate::spawn::Exit;
use crate::usage::{Cap, Sample, Usage};

/// How long what was killed may take to be gone, and how often it is looked at.
pub(crate) const GONE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(1);
const LOOK_SELDOM: Duration = Duration::from_millis(50);
/// From such a pause on, what is left is killed whatever it seems to be.
const PATIENT: Duration = Duration::from_millis(8);
/// So many looks in a row a shim may hold nothing and not end.
const ALONE: u32 = 10;

/// What is known of a group that ended.
pub(crate) struct End {
    pub(crate) exit: Exit,
    pub(crate) usage: Usage,
    /// A bound that the kernel had to hold.
    pub(crate) refused: Option<Cap>,
    /// What is there all the same after it was killed.
    pub(crate) left: Option<String>,
}

/// A program and its descendants. Dropping it kills and reaps.
pub(crate) struct Group {
    kind: Kind,
    begun: Begun,
}

enum Kind {
    Cgroup {
        leader: Leader,
        cgroup: Arc<Cgroup>,
        /// Whether it was seen empty after the end of its leader: nobody comes into
        /// it after that.
        is_over: bool,
    },
    Shim(Box<Shim>),
}

/// The first process of a cgroup, a child of ours.
pub(super) struct Leader {
    pub(super) pid: i32,
    pub(super) handle: Arc<AsyncFd<OwnedFd>>,
    /// Whether we have its end, or have given up waiting for it.
    pub(super) reaped: bool,
}

impl Leader {
    /// Its end, where it has ended.
    fn take(&mut self) -> Option<Ended> {
        let ended = wait::take(self.pid, false);
        if ended.is_none() {
            // One that can't be killed is not waited for a second time, but is
            // no zombie for ever either.
            let handle = self.handle.get_ref().try_clone();
            if let Ok(handle) = handle.and_then(wait::watch) {
                tokio::spawn(reap_later(self.pid, handle));
            }
        }
        self.reaped = true;
        ended
    }
}

async fn reap_later(pid: i32, handle: AsyncFd<OwnedFd>) {
    readable(&handle).await;
    wait::take(pid, false);
}

/// Whether a new process is its program by now. Before, its memory is ours, and it
/// starts no other.
#[derive(Debug, Clone, Default)]
pub(super) struct Begun(Arc<AtomicBool>);

impl Begun {
    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Looks at a group without holding it.
#[derive(Debug, Clone)]
pub(crate) struct View {
    seen: Seen,
    begun: Begun,
}

#[derive(Debug, Clone)]
enum Seen {
    Cgroup(Arc<Cgroup>),
    /// By its number.
    Shim(i32),
}

impl Group {
    /// One that is its program already.
    pub(super) fn in_cgroup(leader: Leader, cgroup: Arc<Cgroup>, begun: Begun) -> Self {
        begun.set();
        let kind = Kind::Cgroup {
            leader,
            cgroup,
            is_over: false,
        };
        Self { kind, begun }
    }

    /// One that waits for [`Group::release`].
    pub(super) fn in_shim(shim: Shim, begun: Begun) -> Self {
        let kind = Kind::Shim(Box::new(shim));
        Self { kind, begun }
    }

    /// Who waits for [`Group::release`]: to be written down before.
    pub(crate) fn held(&self) -> Option<String> {
        match &self.kind {
            Kind::Cgroup { .. } => None,
            Kind::Shim(shim) => Some(super::trace_of(shim)),
        }
    }

    /// Lets the program start.
    pub(crate) async fn release(&mut self) -> Result<(), NotStarted> {
        match &mut self.kind {
            Kind::Cgroup { .. } => Ok(()),
            Kind::Shim(shim) => {
                shim.release().await?;
                self.begun.set();
                Ok(())
            }
        }
    }

    /// Is ready when the program has ended. It is not reaped yet.
    pub(crate) fn program_end(&self) -> impl Future<Output = ()> + use<> {
        let handle = match &self.kind {
            Kind::Cgroup { leader, .. } => Arc::clone(&leader.handle),
            Kind::Shim(shim) => Arc::clone(&shim.status),
        };
        async move { readable(&handle).await }
    }

    /// Waits until nothing of it lives, so that a descendant has as long to
    /// tidy up as the program.
    pub(crate) async fn emptied(&self) {
        match &self.kind {
            Kind::Cgroup { leader, cgroup, .. } => {
                readable(&leader.handle).await;
                let mut pause = LOOK_AGAIN;
                while !cgroup.is_empty() {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LOOK_SELDOM);
                }
            }
            Kind::Shim(shim) => readable(&shim.handle).await,
        }
    }

    /// Asks all of it to end.
    pub(crate) fn terminate(&self) {
        match &self.kind {
            Kind::Cgroup { cgroup, .. } => cgroup.terminate(),
            Kind::Shim(shim) => shim.terminate(),
        }
    }

    /// Ends what is left of it, once the program has ended.
    pub(crate) fn kill_rest(&mut self) {
        match &mut self.kind {
            Kind::Cgroup {
                leader,
                cgroup,
                is_over,
            } => *is_over = kill_others(cgroup, leader.pid),
            Kind::Shim(_) => self.kill(),
        }
    }

    /// Ends all of it.
    pub(crate) fn kill(&self) {
        match &self.kind {
            Kind::Cgroup { cgroup, .. } => cgroup.kill(),
            Kind::Shim(shim) => {
                shim.kill();
            }
        }
    }

    /// Takes the end of the program, ends what is left of its descendants, and
    /// returns when they are gone or can't be killed.
    pub(crate) async fn reap(&mut self) -> End {
        match &mut self.kind {
            Kind::Cgroup {
                leader,
                cgroup,
                is_over,
            } => reap_cgroup(leader, cgroup, *is_over).await,
            Kind::Shim(shim) => reap_shim(shim).await,
        }
    }
}

impl View {
    pub(super) fn of_cgroup(cgroup: &Arc<Cgroup>, begun: &Begun) -> Self {
        let seen = Seen::Cgroup(Arc::clone(cgroup));
        let begun = begun.clone();
        Self { seen, begun }
    }

    pub(super) fn of_shim(shim: &Shim, begun: &Begun) -> Self {
        let seen = Seen::Shim(shim.pid);
        let begun = begun.clone();
        Self { seen, begun }
    }

    /// What it uses now. Of more processes than may be, only their number.
    pub(crate) fn sample(&self, most: Option<u32>) -> Sample {
        let has_begun = self.begun.is_set();
        let sample = match &self.seen {
            Seen::Cgroup(cgroup) => cgroup.sample(most),
            Seen::Shim(shim) => super::shim::sample(*shim, most),
        };
        if has_begun || sample.processes > 1 {
            return sample;
        }
        Sample {
            memory: 0,
            ..sample
        }
    }

    /// Processor time with that of all whose end was taken. It may take as long
    /// as some program needs to start.
    pub(crate) fn cpu_time_with_ended(&self, most: Option<u32>) -> Duration {
        match &self.seen {
            Seen::Cgroup(cgroup) => cgroup.sample(most).cpu_time,
            Seen::Shim(shim) => super::shim::cpu_time_with_ended(*shim, most),
        }
    }

    /// Looks at a process that never was.
    #[cfg(test)]
    pub(crate) fn of_nothing() -> Self {
        let seen = Seen::Shim(i32::MAX);
        let begun = Begun::default();
        Self { seen, begun }
    }

    pub(crate) fn kill(&self) {
        match &self.seen {
            Seen::Cgroup(cgroup) => cgroup.kill(),
            Seen::Shim(shim) => {
                super::shim::kill_tree(*shim);
            }
        }
    }
}

async fn readable(handle: &AsyncFd<OwnedFd>) {
    // The runtime that could make this fail is the one that polls it.
    if handle.readable().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Ends what is in a cgroup but for a process that has ended: it may take a moment
/// to leave. Whether nobody is in it.
fn kill_others(cgroup: &Cgroup, ended: i32) -> bool {
    if cgroup.is_empty() {
        return true;
    }
    // Where it can't be looked, nobody takes it for empty.
    if cgroup.holds_others(ended).unwrap_or(true) {
        cgroup.kill();
    }
    cgroup.is_empty()
}

async fn reap_cgroup(leader: &mut Leader, cgroup: &Cgroup, is_over: bool) -> End {
    // An unkillable program is not waited for: it could be for ever.
    let gone = async {
        let mut is_empty = is_over || kill_others(cgroup, leader.pid);
        let mut pause = LOOK_AGAIN;
        while !is_empty {
            tokio::time::sleep(pause).await;
            is_empty = if pause < PATIENT {
                kill_others(cgroup, leader.pid)
            } else {
                cgroup.kill();
                cgroup.is_empty()
            };
            pause = (pause * 2).min(LOOK_SELDOM);
        }
        // Its end can be taken no sooner than this.
        readable(&leader.handle).await;
    };
    let gone = tokio::time::timeout(GONE_WITHIN, gone).await.is_ok();
    let ended = leader.take();
    let total = cgroup.total();
    let left = (!gone).then(|| cgroup.names());
    if gone {
        let killed = ended.is_none_or(|ended| ended.exit() == Exit::Signal(libc::SIGKILL));
        cgroup.leave(&total, killed);
    }
    end(ended, total, left)
}

async fn reap_shim(shim: &mut Shim) -> End {
    let gone = async {
        let mut alone = 0;
        while !shim.reap() {
            alone = if shim.kill() { alone + 1 } else { 0 };
            let next = tokio::time::timeout(LOOK_SELDOM, readable(&shim.handle));
            drop(next.await);
            // It ends by itself in the moment in which it holds nothing, unless
            // somebody keeps it from that.
            if alone == ALONE {
                shim.kill_itself();
            }
        }
    };
    let empty = tokio::time::timeout(GONE_WITHIN, gone).await.is_ok();
    let Words { program, all } = shim.words();
    let left = match (empty, all) {
        (true, Some(_)) => None,
        (true, None) if shim.holds_nothing => None,
        // It was killed, so that nobody knows what it held.
        (true, None) => Some("whatever it started: its shim was killed".to_owned()),
        (false, _) => Some(left_of(shim)),
    };
    let ended = all.map(|all| Ended {
        status: program.map_or(all.status, |program| program.status),
        ..all
    });
    end(ended.or(program), Sample::default(), left)
}

/// What a shim still holds, for a person.
fn left_of(shim: &Shim) -> String {
    match shim.members() {
        Ok(members) if members.is_empty() => format!("{} (its shim)", shim.pid),
        Ok(members) => proc::names(&members),
        Err(error) => format!("whatever it started: it can't be looked at: {error}"),
    }
}

fn end(ended: Option<Ended>, total: Sample, left: Option<String>) -> End {
    let exit = ended.map_or(Exit::Code(-1), |ended| ended.exit());
    let mut usage = ended.map(|ended| ended.usage).unwrap_or_default();
    // A child begins with the memory of its parent, and the kernel counts that
    // as its own: up to there it says nothing.
    if !wait::is_above_own_peak(usage.peak_memory) {
        usage.peak_memory = 0;
    }
    End {
        exit,
        usage: usage.with(total),
        refused: total.refused,
        left,
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if !self.reaped {
            // Killed, so this does not wait long.
            wait::take(self.pid, true);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Kind::Cgroup { leader, cgroup, .. } = &mut self.kind
            && !leader.reaped
        {
            cgroup.kill();
            leader.reaped = wait::take(leader.pid, true).is_some();
            cgroup.end();
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::process::{Command, Stdio};

    use super::super::cgroup::tests::ended;
    use super::*;
    use crate::usage::Caps;

    /// A process in what looks like a cgroup with these files.
    fn group(script: &str, files: &[(&str, &str)], caps: &Caps) -> (tempfile::TempDir, Group) {
        let mut command = Command::new("/bin/sh");
        let command = command.args(["-c", script]).stdin(Stdio::null());
        let pid = command.spawn().unwrap().id().cast_signed();
        let raw = rustix::process::Pid::from_raw(pid).unwrap();
        let flags = rustix::process::PidfdFlags::empty();
        let handle = rustix::process::pidfd_open(raw, flags).unwrap();
        let leader = Leader {
            pid,
            handle: Arc::new(wait::watch(handle).unwrap()),
            reaped: false,
        };
        let (folder, cgroup) = ended(files, caps);
        (
            folder,
            Group::in_cgroup(leader, Arc::new(cgroup), Begun::default()),
        )
    }

    #[tokio::test]
    async fn what_the_kernel_refused_is_known_at_the_end() {
        let caps = Caps {
            memory: Some(1 << 20),
            ..Caps::default()
        };
        let files = [
            ("cgroup.events", "populated 0\n"),
            ("memory.events", "oom 1\noom_kill 2\n"),
        ];
        let (_folder, mut group) = group("kill -9 $$", &files, &caps);
        group.program_end().await;
        let end = group.reap().await;
        assert_eq!(end.exit, Exit::Signal(9));
        assert_eq!(end.refused, Some(Cap::Memory));
        let meter = crate::meter::Meter::new(caps);
        let child = meter.add(View::of_nothing());
        meter.ended(child, end.usage, end.refused);
        assert_eq!(meter.passed(), Some(Cap::Memory));
    }

    #[test]
    fn memory_of_what_is_no_program_yet_is_not_counted() {
        let own = format!("{}\n", std::process::id());
        let (_folder, cgroup) = ended(&[("cgroup.procs", &own)], &Caps::default());
        let begun = Begun::default();
        let view = View::of_cgroup(&Arc::new(cgroup), &begun);
        let before = view.sample(None);
        assert_eq!((before.processes, before.memory), (1, 0));
        begun.set();
        assert!(view.sample(None).memory > 0);
    }

    #[tokio::test]
    async fn the_end_of_a_program_is_taken_even_if_it_comes_after_that_of_its_cgroup() {
        let files = [("cgroup.events", "populated 0\n")];
        let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 7";
        let (_folder, mut group) = group(script, &files, &Caps::default());
        let end = group.reap().await;
        assert_eq!(end.exit, Exit::Code(7));
        assert!(end.left.is_none() && end.usage.cpu_time > Duration::ZERO);
    }
}
