//! Process groups on Unix. A group is signalled only while its leader is not
//! reaped, so that its number can't belong to somebody else by then.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use wait4::Wait4;

use crate::spawn::{Exit, Launch, Sink, Usage};

/// How long a killed group may take to be gone, and how often it is looked at.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const LOOK_SELDOM: Duration = Duration::from_millis(50);

/// The streams of a child, on our side.
pub(crate) struct Pipes {
    pub(crate) stdin: Option<pipe::Sender>,
    pub(crate) stdout: Option<pipe::Receiver>,
    pub(crate) stderr: Option<pipe::Receiver>,
}

/// What is known of a group that ended.
pub(crate) struct End {
    pub(crate) exit: Exit,
    pub(crate) usage: Usage,
    pub(crate) group_gone: bool,
}

/// A process group and its leader. Dropping it kills and reaps.
pub(crate) struct Group {
    leader: std::process::Child,
    pid: Pid,
    handle: AsyncFd<OwnedFd>,
    reaped: bool,
}

/// Starts a process as the leader of a group of its own.
pub(crate) fn start(launch: &Launch) -> io::Result<(Group, Pipes)> {
    let output = |sink| {
        if sink == Sink::Discard {
            Stdio::null()
        } else {
            Stdio::piped()
        }
    };
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&launch.working_directory)
        .process_group(0)
        .stdin(if launch.stdin.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        })
        .stdout(output(launch.stdout))
        .stderr(output(launch.stderr));
    let mut leader = command.spawn()?;
    let pipes = pipes(&mut leader);
    let pid = Pid::from_raw(i32::try_from(leader.id()).map_err(io::Error::other)?);
    match (pipes, handle(pid)) {
        (Ok(pipes), Ok(handle)) => Ok((
            Group {
                leader,
                pid,
                handle,
                reaped: false,
            },
            pipes,
        )),
        (Err(error), _) | (_, Err(error)) => {
            // It runs, but can't be watched, so it must not go on. Nothing is
            // left to be said if it is gone already.
            signal_group(pid, Signal::SIGKILL);
            drop(leader.wait());
            Err(error)
        }
    }
}

fn pipes(leader: &mut std::process::Child) -> io::Result<Pipes> {
    let receiver = |fd: Option<OwnedFd>| fd.map(pipe::Receiver::from_owned_fd).transpose();
    Ok(Pipes {
        stdin: leader
            .stdin
            .take()
            .map(|fd| pipe::Sender::from_owned_fd(fd.into()))
            .transpose()?,
        stdout: receiver(leader.stdout.take().map(Into::into))?,
        stderr: receiver(leader.stderr.take().map(Into::into))?,
    })
}

/// Becomes readable when the process ends.
fn handle(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    let pid =
        rustix::process::Pid::from_raw(pid.as_raw()).ok_or_else(|| io::Error::other("no pid"))?;
    let fd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
    // SAFETY: an `OwnedFd` keeps its one descriptor open until it is dropped,
    // and always gives that same one.
    #[expect(unsafe_code, reason = "the descriptor outlives its registration")]
    let registered = unsafe { AsyncFd::register_with_interest(fd, tokio::io::Interest::READABLE) };
    registered.map_err(io::Error::from)
}

/// A group that emptied meanwhile is what was wanted.
fn signal_group(group: Pid, signal: Signal) {
    match killpg(group, signal) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
        Err(error) => tracing::warn!(%group, %signal, %error, "a process group can't be signalled"),
    }
}

impl Group {
    /// Waits until the leader has ended. It is not reaped yet.
    pub(crate) async fn ended(&self) {
        // The runtime that could make this fail is the one that polls it.
        if self.handle.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the leader has ended and nothing else of its group lives, so
    /// that a descendant has as long to tidy up as its leader.
    pub(crate) async fn emptied(&self) {
        self.ended().await;
        let mut pause = LOOK_AGAIN;
        while self.has_live_members() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK_SELDOM);
        }
    }

    /// Asks all of the group to end.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Ends all of the group.
    pub(crate) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    fn signal(&self, signal: Signal) {
        if !self.reaped {
            signal_group(self.pid, signal);
        }
    }

    /// Takes the end of the leader, which has ended, and ends what is left of
    /// its group.
    pub(crate) async fn reap(&mut self) -> End {
        self.kill();
        let (exit, usage) = self.take_end();
        let gone = async {
            while !self.is_empty() {
                self.reap_adopted();
                // A zombie holds nothing, and whoever adopted it may never
                // reap it: the first process of many containers does not.
                if !self.has_live_members() {
                    return;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let group_gone = tokio::time::timeout(GONE_WITHIN, gone).await.is_ok();
        End {
            exit,
            usage,
            group_gone,
        }
    }

    fn take_end(&mut self) -> (Exit, Usage) {
        self.reaped = true;
        match self.leader.try_wait4() {
            Ok(Some(end)) => {
                let usage = Usage {
                    wall_time: Duration::ZERO,
                    cpu_time: end.rusage.utime + end.rusage.stime,
                    peak_memory: end.rusage.maxrss,
                };
                let signal = end.status.signal().map(Exit::Signal);
                (
                    end.status
                        .code()
                        .map(Exit::Code)
                        .or(signal)
                        .unwrap_or(Exit::Code(-1)),
                    usage,
                )
            }
            // Its handle said that it ended, so this does not happen; a wrong
            // guess would be worse than an end that says nothing.
            Ok(None) | Err(_) => (Exit::Code(-1), Usage::default()),
        }
    }

    /// Orphans of the group come to this process where it is the first one of
    /// its container; nobody else reaps them then.
    fn reap_adopted(&self) {
        let group = Pid::from_raw(-self.pid.as_raw());
        while matches!(
            waitpid(group, Some(WaitPidFlag::WNOHANG)),
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..))
        ) {}
    }

    /// Whether a process of the group beside its leader lives. Without a
    /// readable `/proc` there is nothing to be known of it.
    fn has_live_members(&self) -> bool {
        let Ok(processes) = std::fs::read_dir("/proc") else {
            return false;
        };
        processes.flatten().any(|process| {
            let name = process.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
                return false;
            };
            pid != self.pid.as_raw()
                && std::fs::read(process.path().join("stat"))
                    .is_ok_and(|stat| lives_in(&stat, self.pid.as_raw()))
        })
    }

    /// Signal 0 only asks; it harms nobody even if the number is used again.
    fn is_empty(&self) -> bool {
        killpg(self.pid, None) == Err(nix::errno::Errno::ESRCH)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        self.kill();
        // Killed, so this does not wait long.
        drop(self.leader.wait());
    }
}

/// Whether the process of a `/proc/PID/stat` is of this group and no zombie.
fn lives_in(stat: &[u8], group: i32) -> bool {
    // The name in parentheses may hold anything, parentheses too.
    let end = stat.iter().rposition(|&byte| byte == b')');
    let rest = end.map_or(&[][..], |end| &stat[end + 1..]);
    let rest = String::from_utf8_lossy(rest);
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next();
    let member = fields.nth(1).and_then(|field| field.parse().ok()) == Some(group);
    member && !matches!(state, Some("Z" | "X") | None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_told_from_strangers_and_zombies_whatever_their_name() {
        assert!(lives_in(b"12 (sleep) S 1 77 77 0", 77));
        assert!(lives_in(b"12 (a) Z 1 5 (b) D 1 77 77 0", 77));
        assert!(!lives_in(b"12 (sleep) S 77 1 77 0", 77));
        assert!(!lives_in(b"12 (sleep) Z 1 77 77 0", 77));
        assert!(!lives_in(b"", 77));
    }
}
