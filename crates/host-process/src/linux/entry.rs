//! What a new process does before it becomes its program. Runs where nothing
//! may be allocated or locked: only system calls, and memory that was made
//! ready before. Never returns.
#![expect(unsafe_code, reason = "system calls between two programs")]

use std::ffi::{CStr, CString, OsString, c_char, c_int, c_void};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::identity::Identity;

/// What becomes the program.
#[derive(Debug, Clone, Copy)]
pub(super) enum Image<'a> {
    /// The file behind this descriptor, whatever its path leads to by now.
    File(RawFd),
    /// The same of a script: its interpreter is given the descriptor.
    Script(RawFd),
    /// Whatever lies at this path.
    Path(&'a CStr),
}

/// How far a new process came that did not become its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Stage {
    Streams = 1,
    Limits,
    Identity,
    Folder,
    Program,
    /// Not the process failed, but whoever was to start it.
    Fork,
}

impl Stage {
    pub(super) fn of(number: i32) -> Self {
        match number {
            1 => Self::Streams,
            2 => Self::Limits,
            3 => Self::Identity,
            4 => Self::Folder,
            6 => Self::Fork,
            _ => Self::Program,
        }
    }
}

/// A limit of the new process.
pub(super) type Limit = (libc::__rlimit_resource_t, libc::rlimit);

/// Everything that the new process needs, ready to be read there.
pub(super) struct Plan<'a> {
    image: Image<'a>,
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    streams: [RawFd; 3],
    folder: &'a CStr,
    limits: &'a [Limit],
    identity: Option<&'a Identity>,
    /// Where a process with memory of its own says what failed; else -1.
    report: RawFd,
    /// The same for one that shares our memory: stage and error number.
    failed: [AtomicI32; 2],
}

/// Texts with their ends, as the kernel wants them.
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a OsString>) -> io::Result<Vec<CString>> {
    texts
        .map(|text| CString::new(text.as_bytes()).map_err(io::Error::from))
        .collect()
}

/// A path with its end.
pub(super) fn path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from)
}

/// The parts of a [`Plan`].
pub(super) struct Parts<'a> {
    pub(super) image: Image<'a>,
    pub(super) arguments: &'a [CString],
    pub(super) environment: &'a [CString],
    pub(super) streams: [RawFd; 3],
    pub(super) folder: &'a CStr,
    pub(super) limits: &'a [Limit],
    pub(super) identity: Option<&'a Identity>,
    pub(super) report: RawFd,
}

impl<'a> Plan<'a> {
    pub(super) fn new(parts: Parts<'a>) -> Self {
        Self {
            image: parts.image,
            arguments: pointers(parts.arguments),
            environment: pointers(parts.environment),
            streams: parts.streams,
            folder: parts.folder,
            limits: parts.limits,
            identity: parts.identity,
            report: parts.report,
            failed: [AtomicI32::new(0), AtomicI32::new(0)],
        }
    }

    /// What a process that shared our memory left word of.
    pub(super) fn failure(&self) -> Option<(Stage, io::Error)> {
        let stage = self.failed[0].load(Ordering::Acquire);
        let error = self.failed[1].load(Ordering::Acquire);
        (stage != 0).then(|| (Stage::of(stage), io::Error::from_raw_os_error(error)))
    }
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    let ended = std::iter::once(std::ptr::null());
    texts
        .iter()
        .map(|text| text.as_ptr())
        .chain(ended)
        .collect()
}

/// The whole life of a new process until it is its program.
///
/// # Safety
/// `plan` points to a [`Plan`] that lives until then.
pub(super) unsafe extern "C" fn become_program(plan: *mut c_void) -> ! {
    // SAFETY: the caller's vow.
    let plan = unsafe { &*plan.cast::<Plan<'_>>() };
    // SAFETY: as is asked for, this is a new process.
    let stage = unsafe { prepare_and_exec(plan) };
    // SAFETY: reads this thread's error number.
    let error = unsafe { *libc::__errno_location() };
    plan.failed[1].store(error, Ordering::Release);
    plan.failed[0].store(stage as i32, Ordering::Release);
    if plan.report >= 0 {
        // SAFETY: a descriptor of ours.
        unsafe { tell(plan.report, stage, error) };
    }
    // SAFETY: ends this process without anything of the parent's being run.
    unsafe { libc::_exit(127) }
}

/// Says what failed to whoever reads the pipe. Nobody may be there any more.
pub(super) unsafe fn tell(report: RawFd, stage: Stage, error: c_int) {
    let words = [stage as i32, error];
    // SAFETY: eight bytes of our own; a pipe takes so few at once.
    unsafe {
        libc::write(report, words.as_ptr().cast(), size_of_val(&words));
    }
}

/// What was said there; nothing where all went well.
pub(super) fn read_report(said: &[u8]) -> Option<(Stage, io::Error)> {
    let (stage, error) = said.split_first_chunk::<4>()?;
    let error = i32::from_ne_bytes(*error.first_chunk::<4>()?);
    let stage = Stage::of(i32::from_ne_bytes(*stage));
    Some((stage, io::Error::from_raw_os_error(error)))
}

/// Gives back where it failed; on success it does not come back.
unsafe fn prepare_and_exec(plan: &Plan<'_>) -> Stage {
    // SAFETY: system calls with arguments that live; none of them locks.
    unsafe {
        // A session of its own: no terminal can be asked or stop it.
        libc::setsid();
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        for (target, source) in (0..).zip(plan.streams) {
            if !take_stream(source, target) {
                return Stage::Streams;
            }
        }
        keep_nothing_else(plan);
        for (resource, limit) in plan.limits {
            if libc::setrlimit(*resource, limit) != 0 {
                return Stage::Limits;
            }
        }
        if let Some(identity) = plan.identity
            && !become_user(identity)
        {
            return Stage::Identity;
        }
        if libc::chdir(plan.folder.as_ptr()) != 0 {
            return Stage::Folder;
        }
        let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
        exec(plan);
    }
    Stage::Program
}

unsafe fn exec(plan: &Plan<'_>) {
    let (arguments, environment) = (plan.arguments.as_ptr(), plan.environment.as_ptr());
    // SAFETY: both lists end with a null pointer, and their texts live.
    unsafe {
        match plan.image {
            Image::File(file) | Image::Script(file) => {
                libc::syscall(
                    libc::SYS_execveat,
                    file,
                    c"".as_ptr(),
                    arguments,
                    environment,
                    libc::AT_EMPTY_PATH,
                );
            }
            Image::Path(path) => {
                libc::execve(path.as_ptr(), arguments, environment);
            }
        }
    }
}

unsafe fn take_stream(source: RawFd, target: RawFd) -> bool {
    // SAFETY: descriptors of this process's own table.
    unsafe {
        if source == target {
            return libc::fcntl(source, libc::F_SETFD, 0) == 0;
        }
        libc::dup2(source, target) == target
    }
}

/// All that is open beyond the three streams is closed at once, even what some
/// library opened without asking for that: among it are the streams of other
/// programs, whose end nobody would see while this one waits for a folder or a file.
unsafe fn keep_nothing_else(plan: &Plan<'_>) {
    let image = match plan.image {
        Image::File(file) | Image::Script(file) => file,
        Image::Path(_) => -1,
    };
    let kept = [image.min(plan.report), image.max(plan.report)];
    let mut from = 3;
    // SAFETY: descriptors of this process's own table. A kernel without the call
    // (before 5.9) leaves those that close on exec by themselves: all of ours.
    unsafe {
        for keep in kept {
            if keep < from {
                continue;
            }
            if keep > from {
                libc::syscall(libc::SYS_close_range, from, keep - 1, 0);
            }
            from = keep + 1;
        }
        libc::syscall(libc::SYS_close_range, from, libc::c_uint::MAX, 0);
        if let Image::Script(file) = plan.image {
            libc::fcntl(file, libc::F_SETFD, 0);
        }
    }
}

/// Raw calls: those of the C library would ask all threads of the parent.
unsafe fn become_user(identity: &Identity) -> bool {
    let Identity { uid, gid, groups } = identity;
    // SAFETY: numbers, and a list that lives.
    unsafe {
        libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) == 0
            && libc::syscall(libc::SYS_setresgid, *gid, *gid, *gid) == 0
            && libc::syscall(libc::SYS_setresuid, *uid, *uid, *uid) == 0
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsRawFd;

    use super::super::clone3::{self, Memory};
    use super::*;

    /// Says which of these are open once all others are closed.
    unsafe extern "C" fn tell_what_is_open(argument: *mut c_void) -> ! {
        // SAFETY: a copy of what the test holds; only system calls.
        unsafe {
            let (plan, asked) = &*argument.cast::<(Plan<'_>, [RawFd; 3])>();
            keep_nothing_else(plan);
            let told = asked.map(|one| u8::from(libc::fcntl(one, libc::F_GETFD) >= 0));
            libc::write(plan.report, told.as_ptr().cast(), told.len());
            libc::_exit(0)
        }
    }

    #[test]
    fn nothing_of_ours_is_open_beside_what_the_program_needs() {
        let [before, image, after] = [(); 3].map(|()| File::open("/dev/null").unwrap());
        let (mut report, tell) = io::pipe().unwrap();
        let plan = Plan::new(Parts {
            image: Image::File(image.as_raw_fd()),
            arguments: &[],
            environment: &[],
            streams: [0, 1, 2],
            folder: c"/",
            limits: &[],
            identity: None,
            report: tell.as_raw_fd(),
        });
        let asked = [&before, &image, &after].map(AsRawFd::as_raw_fd);
        let mut argument = (plan, asked);
        let argument = (&raw mut argument).cast();
        // SAFETY: system calls alone, in a copy of this process.
        let started = unsafe { clone3::start(tell_what_is_open, argument, Memory::Copied, None) };
        drop(tell);
        let mut told = Vec::new();
        report.read_to_end(&mut told).unwrap();
        drop(started.unwrap());
        assert_eq!(told, [0, 1, 0]);
    }
}
