//! A program that was started, with all that descends from it. Never says
//! which program that is.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::sync::Arc;
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
pub(crate) struct Group(Kind);

enum Kind {
    Cgroup { leader: Leader, cgroup: Arc<Cgroup> },
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

/// Looks at a group without holding it.
#[derive(Debug, Clone)]
pub(crate) struct View(Seen);

#[derive(Debug, Clone)]
enum Seen {
    Cgroup(Arc<Cgroup>),
    /// By its number.
    Shim(i32),
}

impl Group {
    pub(super) const fn in_cgroup(leader: Leader, cgroup: Arc<Cgroup>) -> Self {
        Self(Kind::Cgroup { leader, cgroup })
    }

    pub(super) fn in_shim(shim: Shim) -> Self {
        Self(Kind::Shim(Box::new(shim)))
    }

    /// Who waits for [`Group::release`]: to be written down before.
    pub(crate) fn held(&self) -> Option<String> {
        match &self.0 {
            Kind::Cgroup { .. } => None,
            Kind::Shim(shim) => Some(super::trace_of(shim)),
        }
    }

    /// Lets the program start.
    pub(crate) async fn release(&mut self) -> Result<(), NotStarted> {
        match &mut self.0 {
            Kind::Cgroup { .. } => Ok(()),
            Kind::Shim(shim) => Ok(shim.release().await?),
        }
    }

    /// Is ready when the program has ended. It is not reaped yet.
    pub(crate) fn program_end(&self) -> impl Future<Output = ()> + use<> {
        let handle = match &self.0 {
            Kind::Cgroup { leader, .. } => Arc::clone(&leader.handle),
            Kind::Shim(shim) => Arc::clone(&shim.status),
        };
        async move { readable(&handle).await }
    }

    /// Waits until nothing of it lives, so that a descendant has as long to
    /// tidy up as the program.
    pub(crate) async fn emptied(&self) {
        match &self.0 {
            Kind::Cgroup { leader, cgroup } => {
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
        match &self.0 {
            Kind::Cgroup { cgroup, .. } => cgroup.terminate(),
            Kind::Shim(shim) => shim.terminate(),
        }
    }

    /// Ends what is left of it, once the program has ended.
    pub(crate) fn kill_rest(&self) {
        match &self.0 {
            Kind::Cgroup { leader, cgroup } => kill_others(cgroup, leader.pid),
            Kind::Shim(_) => self.kill(),
        }
    }

    /// Ends all of it.
    pub(crate) fn kill(&self) {
        match &self.0 {
            Kind::Cgroup { cgroup, .. } => cgroup.kill(),
            Kind::Shim(shim) => {
                shim.kill();
            }
        }
    }

    /// Takes the end of the program, ends what is left of its descendants, and
    /// returns when they are gone or can't be killed.
    pub(crate) async fn reap(&mut self) -> End {
        match &mut self.0 {
            Kind::Cgroup { leader, cgroup } => reap_cgroup(leader, cgroup).await,
            Kind::Shim(shim) => reap_shim(shim).await,
        }
    }
}

impl View {
    pub(super) fn of_cgroup(cgroup: &Arc<Cgroup>) -> Self {
        Self(Seen::Cgroup(Arc::clone(cgroup)))
    }

    pub(super) const fn of_shim(shim: &Shim) -> Self {
        Self(Seen::Shim(shim.pid))
    }

    /// What it uses now. Of more processes than may be, only their number.
    pub(crate) fn sample(&self, most: Option<u32>) -> Sample {
        match &self.0 {
            Seen::Cgroup(cgroup) => cgroup.sample(most),
            Seen::Shim(shim) => super::shim::sample(*shim, most),
        }
    }

    /// Processor time with that of all whose end was taken. It may take as long
    /// as some program needs to start.
    pub(crate) fn cpu_time_with_ended(&self, most: Option<u32>) -> Duration {
        match &self.0 {
            Seen::Cgroup(cgroup) => cgroup.sample(most).cpu_time,
            Seen::Shim(shim) => super::shim::cpu_time_with_ended(*shim, most),
        }
    }

    /// Looks at a process that never was.
    #[cfg(test)]
    pub(crate) fn of_nothing() -> Self {
        Self(Seen::Shim(i32::MAX))
    }

    pub(crate) fn kill(&self) {
        match &self.0 {
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
/// to leave.
fn kill_others(cgroup: &Cgroup, ended: i32) {
    if !cgroup.is_empty() && cgroup.holds_others(ended) {
        cgroup.kill();
    }
}

async fn reap_cgroup(leader: &mut Leader, cgroup: &Cgroup) -> End {
    // An unkillable program is not waited for: it could be for ever.
    let gone = async {
        if !cgroup.is_empty() {
            kill_others(cgroup, leader.pid);
            let mut pause = LOOK_AGAIN;
            while !cgroup.is_empty() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LOOK_SELDOM);
            }
        }
        // It leaves its cgroup before its end can be taken.
        readable(&leader.handle).await;
    };
    let gone = tokio::time::timeout(GONE_WITHIN, gone).await.is_ok();
    let ended = leader.take();
    let total = cgroup.total();
    let left = (!gone).then(|| cgroup.names());
    if gone {
        cgroup.leave(&total);
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
    if usage.peak_memory <= wait::own_peak_memory() {
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
        if let Kind::Cgroup { leader, cgroup } = &mut self.0
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
        (folder, Group::in_cgroup(leader, Arc::new(cgroup)))
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
