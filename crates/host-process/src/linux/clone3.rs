//! The system call `clone3`: starts a process that is in its cgroup, and has a
//! handle, before its first instruction. Never decides what the process does.
#![expect(unsafe_code, reason = "no crate offers this call with shared memory")]

use std::ffi::{c_int, c_long, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::stack::{self, Stack};
use super::wait;

/// Where the new process begins. It may only do what a signal handler may.
pub(super) type Entry = unsafe extern "C" fn(*mut c_void) -> !;

/// What a new process has of its parent's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// The same, and the parent's thread stands still until the child has
    /// another program: as quick as `posix_spawn`, whatever the parent's size.
    Shared,
    /// A copy of its own, so that it may take its time or change who it is.
    Copied,
}

/// A process that was started.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) newborn: Newborn,
    /// Becomes readable when it ends.
    pub(super) handle: OwnedFd,
}

/// A child that nobody looks after yet. Dropped it is killed and reaped, so that
/// whatever fails after its start leaves nothing that runs unseen.
#[derive(Debug)]
pub(super) struct Newborn(i32);

impl Newborn {
    pub(super) const fn pid(&self) -> i32 {
        self.0
    }

    /// From now on somebody else looks after it.
    pub(super) fn adopted(self) -> i32 {
        let pid = self.0;
        std::mem::forget(self);
        pid
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        // Nobody has reaped it, so its number is its own.
        kill(Pid::from_raw(self.0), Signal::SIGKILL).ok();
        wait::take(self.0, true);
    }
}

/// Handlers of the parent are not the child's (`linux/sched.h`, since 5.5).
const CLEAR_HANDLERS: u64 = 0x1_0000_0000;
/// Born in the cgroup that is given (since 5.7).
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// Starts a process at `entry`.
///
/// # Safety
/// `entry` must be sound to run with `argument` in a copy of this process (or,
/// with shared memory, beside its other threads), take no lock, allocate
/// nothing, and never return.
pub(super) unsafe fn start(
    entry: Entry,
    argument: *mut c_void,
    memory: Memory,
    cgroup: Option<BorrowedFd<'_>>,
) -> io::Result<Started> {
    let mut handle: c_int = -1;
    // SAFETY: plain numbers, for which zero means "not asked for".
    let mut args: libc::clone_args = unsafe { MaybeUninit::zeroed().assume_init() };
    args.flags = libc::CLONE_PIDFD as u64 | CLEAR_HANDLERS;
    args.pidfd = std::ptr::from_mut(&mut handle) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        args.flags |= INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    let quiet = Quiet::begin();
    // SAFETY: the caller vouches for `entry`; all that `args` points to
    // outlives the call.
    let pid = unsafe {
        match memory {
            Memory::Shared => shared(&mut args, entry, argument),
            Memory::Copied => copied(&args, entry, argument),
        }
    };
    drop(quiet);
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    if pid < 0 {
        return Err(io::Error::from_raw_os_error(-pid));
    }
    // SAFETY: the kernel has made this descriptor for us alone.
    let handle = unsafe { OwnedFd::from_raw_fd(handle) };
    let newborn = Newborn(pid);
    Ok(Started { newborn, handle })
}

/// The child goes on here, in a copy of all memory, and then at `entry`.
unsafe fn copied(args: &libc::clone_args, entry: Entry, argument: *mut c_void) -> c_long {
    // SAFETY: without a stack of its own the child goes on as after `fork`.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, args, size_of_val(args)) };
    match pid {
        // SAFETY: the caller vouches for it.
        0 => unsafe { entry(argument) },
        -1 => -c_long::from(last_error()),
        pid => pid,
    }
}

/// The child begins at `entry` on a stack of its own, while this thread waits
/// until it has another program or has ended.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
unsafe fn shared(args: &mut libc::clone_args, entry: Entry, argument: *mut c_void) -> c_long {
    let mut stack = Stack::take();
    args.flags |= (libc::CLONE_VM | libc::CLONE_VFORK) as u64;
    args.stack = stack.begin() as u64;
    args.stack_size = stack::SIZE as u64;
    // SAFETY: the stack is aligned to 16 bytes, the child's alone, and dropped no
    // sooner than the kernel lets this thread go on.
    unsafe { call_on_stack(args, entry, argument) }
}

/// Elsewhere it is a copy: slower, and as right.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn shared(args: &mut libc::clone_args, entry: Entry, argument: *mut c_void) -> c_long {
    // SAFETY: the caller's vow holds for a copy all the more.
    unsafe { copied(args, entry, argument) }
}

#[cfg(target_arch = "x86_64")]
unsafe fn call_on_stack(args: &libc::clone_args, entry: Entry, argument: *mut c_void) -> c_long {
    let result: c_long;
    // SAFETY: the parent leaves at `2:` with its registers as the kernel keeps
    // them (all but rax, rcx and r11). The child has an empty, aligned stack
    // and calls a function that does not return.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") std::ptr::from_ref(args),
            in("rsi") size_of::<libc::clone_args>(),
            in("r12") entry,
            in("r13") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

#[cfg(target_arch = "aarch64")]
unsafe fn call_on_stack(args: &libc::clone_args, entry: Entry, argument: *mut c_void) -> c_long {
    let result: c_long;
    // SAFETY: as on x86_64; here the kernel keeps every register but x0.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x20",
            "blr x21",
            "brk #1",
            "2:",
            inlateout("x0") std::ptr::from_ref(args) => result,
            in("x1") size_of::<libc::clone_args>(),
            in("x8") libc::SYS_clone3,
            in("x20") argument,
            in("x21") entry,
        );
    }
    result
}

fn last_error() -> c_int {
    io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EINVAL)
}

/// Holds all signals of this thread back: one that came while the child shares
/// its memory would be handled in both.
struct Quiet(libc::sigset_t);

impl Quiet {
    fn begin() -> Self {
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: both sets are written before they are read; these calls can
        // only fail for sets that are none.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Self(before.assume_init())
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // SAFETY: the set is the one that this thread had.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut());
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    unsafe extern "C" fn wait_for_ever(_: *mut c_void) -> ! {
        loop {
            // SAFETY: a system call without arguments.
            unsafe { libc::pause() };
        }
    }

    #[test]
    fn what_nobody_looks_after_is_killed_and_reaped() {
        // SAFETY: `wait_for_ever` makes one system call, again and again.
        let started =
            unsafe { start(wait_for_ever, std::ptr::null_mut(), Memory::Copied, None).unwrap() };
        let process = std::path::PathBuf::from(format!("/proc/{}", started.newborn.pid()));
        assert!(process.exists());
        drop(started);
        assert!(!process.exists(), "it goes on, or is a zombie");
    }
}
