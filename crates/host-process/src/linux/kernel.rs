//! Whether this kernel, and whatever filters its calls, lets processes be
//! started as they must be. Never starts a program.
#![expect(unsafe_code, reason = "system calls are tried")]

use std::ffi::{c_long, c_void};
use std::io;
use std::os::fd::BorrowedFd;

use super::clone3::{self, Memory};
use super::wait;
use crate::spawn::Exit;

/// What keeps processes from being started here, in one sentence.
#[must_use]
pub fn system_lacks() -> Option<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let lacks = |what: &str, error: io::Error| format!("Linux {release} has no {what}: {error}");
    if let Err(error) = try_clone() {
        let what = "`clone3` with CLONE_CLEAR_SIGHAND (since 5.5)";
        return Some(lacks(what, error));
    }
    try_close()
        .err()
        .map(|error| lacks("`close_range` (since 5.9)", error))
}

/// Whether a process that is started in this cgroup lives. Since 6.14 Linux
/// compares how often a cgroup was killed with how often the starter's own was,
/// and kills who is born where that differs.
pub(super) fn lives_in(cgroup: BorrowedFd<'_>) -> io::Result<bool> {
    let nothing = std::ptr::null_mut();
    // SAFETY: `leave` makes one system call.
    let started = unsafe { clone3::start(leave, nothing, Memory::Copied, Some(cgroup))? };
    let ended = wait::take(started.newborn.adopted(), true);
    Ok(ended.is_some_and(|ended| ended.exit() == Exit::Code(0)))
}

fn try_clone() -> io::Result<()> {
    // SAFETY: `leave` makes one system call. The child is reaped when what is
    // given back is dropped.
    unsafe { clone3::start(leave, std::ptr::null_mut(), Memory::Copied, None) }.map(drop)
}

unsafe extern "C" fn leave(_: *mut c_void) -> ! {
    // SAFETY: ends this process without anything of the parent's being run.
    unsafe { libc::_exit(0) }
}

fn try_close() -> io::Result<()> {
    const NONE: libc::c_uint = libc::c_uint::MAX;
    // SAFETY: no descriptor has this number.
    let closed: c_long = unsafe { libc::syscall(libc::SYS_close_range, NONE, NONE, 0) };
    if closed == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_processes_are_started_nothing_is_lacking() {
        assert_eq!(system_lacks(), None);
    }
}
