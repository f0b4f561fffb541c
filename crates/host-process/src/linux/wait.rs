//! Takes note of the end of processes that are children of this one. Never
//! ends them.
#![expect(
    unsafe_code,
    reason = "no crate waits for a process by its number and tells its cost"
)]

use std::ffi::c_int;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::spawn::Exit;
use crate::usage::Usage;

/// The unit in which the kernel counts what goes to and from disks, in bytes.
pub(super) const BLOCK: u64 = 512;

/// How a process ended, and what it and what it waited for used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) status: c_int,
    pub(super) usage: Usage,
}

impl Ended {
    pub(super) fn exit(&self) -> Exit {
        let status = ExitStatus::from_raw(self.status);
        let signal = status.signal().map(Exit::Signal);
        let code = status.code().map(Exit::Code);
        code.or(signal).unwrap_or(Exit::Code(-1))
    }
}

/// The end of a child, which it then is no more; none while it goes on and
/// nobody wants to wait.
pub(super) fn take(pid: i32, wait: bool) -> Option<Ended> {
    let flags = if wait { 0 } else { libc::WNOHANG };
    let mut status: c_int = 0;
    let mut used = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both places are ours, and plain numbers.
        let ended = unsafe { libc::wait4(pid, &raw mut status, flags, used.as_mut_ptr()) };
        if ended == pid {
            break;
        }
        if ended < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            continue;
        }
        return None;
    }
    // SAFETY: zeroed, and written by the kernel.
    let used = unsafe { used.assume_init() };
    Some(Ended {
        status,
        usage: Usage {
            cpu_time: duration(used.ru_utime) + duration(used.ru_stime),
            peak_memory: used.ru_maxrss.unsigned_abs() << 10,
            read_bytes: used.ru_inblock.unsigned_abs() * BLOCK,
            written_bytes: used.ru_oublock.unsigned_abs() * BLOCK,
            ..Usage::default()
        },
    })
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = Duration::from_secs(time.tv_sec.unsigned_abs());
    seconds + Duration::from_micros(time.tv_usec.unsigned_abs())
}

/// Has the runtime watch a pipe until it is readable.
pub(super) fn watch_pipe(pipe: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    rustix::io::ioctl_fionbio(&pipe, true)?;
    watch(pipe)
}

/// The same of a process handle, which never blocks.
pub(super) fn watch(handle: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` keeps its one descriptor open until it is dropped,
    // and always gives that same one.
    let registered = unsafe { AsyncFd::register_with_interest(handle, Interest::READABLE) };
    registered.map_err(io::Error::from)
}

/// Whether so many bytes are more than this process itself has ever had.
pub(super) fn is_above_own_peak(bytes: u64) -> bool {
    // It only ever grows.
    static LAST_SEEN: AtomicU64 = AtomicU64::new(0);
    if bytes <= LAST_SEEN.load(Ordering::Relaxed) {
        return false;
    }
    let own = own_peak_memory();
    LAST_SEEN.fetch_max(own, Ordering::Relaxed);
    bytes > own
}

fn own_peak_memory() -> u64 {
    let mut used = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the place is ours; zeroed, it is right even if the call failed.
    let used = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, used.as_mut_ptr());
        used.assume_init()
    };
    used.ru_maxrss.unsigned_abs() << 10
}

/// Reads from a descriptor that is somebody else's.
pub(super) struct Reading<'a>(pub(super) &'a OwnedFd);

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self.0, buffer)?)
    }
}
