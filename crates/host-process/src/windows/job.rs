//! A job object: a process with all that it starts, held and bounded by the
//! system itself. When its last handle closes, even by a crash of this process,
//! the system ends all of it.
#![expect(unsafe_code, reason = "calls of the Windows API")]

use std::io;
use std::mem::MaybeUninit;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, RawHandle};
use std::time::Duration;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_ACTIVE_PROCESS,
    JOB_OBJECT_LIMIT_JOB_MEMORY, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_BASIC_AND_IO_ACCOUNTING_INFORMATION, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectBasicAndIoAccountingInformation, JobObjectExtendedLimitInformation,
    QueryInformationJobObject, SetInformationJobObject, TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{
    OpenThread, ResumeThread, THREAD_SUSPEND_RESUME, WaitForSingleObject,
};

use crate::usage::{Cap, Caps, Sample, Usage};

/// A job object.
#[derive(Debug)]
pub(super) struct Job {
    handle: OwnedHandle,
    caps: Caps,
}

impl Job {
    /// An empty one with these bounds.
    pub(super) fn new(caps: Caps) -> io::Result<Self> {
        // SAFETY: without a name and with the usual security.
        let handle = unsafe { CreateJobObjectW(std::ptr::null(), std::ptr::null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was made for us just now.
        let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
        let job = Self { handle, caps };
        job.bound()?;
        Ok(job)
    }

    fn bound(&self) -> io::Result<()> {
        // SAFETY: plain numbers, for which zero means "not asked for".
        let mut limits: JOBOBJECT_EXTENDED_LIMIT_INFORMATION =
            unsafe { MaybeUninit::zeroed().assume_init() };
        let basic = &mut limits.BasicLimitInformation;
        basic.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        if let Some(most) = self.caps.processes {
            basic.LimitFlags |= JOB_OBJECT_LIMIT_ACTIVE_PROCESS;
            basic.ActiveProcessLimit = most;
        }
        if let Some(most) = self.caps.memory {
            basic.LimitFlags |= JOB_OBJECT_LIMIT_JOB_MEMORY;
            limits.JobMemoryLimit = usize::try_from(most).unwrap_or(usize::MAX);
        }
        let size = u32::try_from(size_of_val(&limits)).map_err(io::Error::other)?;
        // SAFETY: the size is that of what the pointer leads to.
        let set = unsafe {
            SetInformationJobObject(
                self.raw(),
                JobObjectExtendedLimitInformation,
                (&raw const limits).cast(),
                size,
            )
        };
        succeeded(set)
    }

    fn raw(&self) -> HANDLE {
        self.handle.as_raw_handle()
    }

    /// Takes a process in that has not run yet, and lets it run.
    pub(super) fn take_in(&self, process: RawHandle, pid: u32) -> io::Result<()> {
        // SAFETY: both handles are open.
        succeeded(unsafe { AssignProcessToJobObject(self.raw(), process) })?;
        resume(pid)
    }

    /// Ends all of it.
    pub(super) fn kill(&self) {
        // SAFETY: the handle is open. A job without processes is ended already.
        if let Err(error) = succeeded(unsafe { TerminateJobObject(self.raw(), 1) }) {
            tracing::warn!(%error, "a job object can't be ended");
        }
    }

    fn accounting(&self) -> Option<JOBOBJECT_BASIC_AND_IO_ACCOUNTING_INFORMATION> {
        // SAFETY: as below.
        unsafe { self.query(JobObjectBasicAndIoAccountingInformation) }
    }

    /// # Safety
    /// `T` is what the system gives for `class`: plain numbers.
    unsafe fn query<T>(&self, class: i32) -> Option<T> {
        let mut found = MaybeUninit::<T>::zeroed();
        let size = u32::try_from(size_of::<T>()).ok()?;
        // SAFETY: the size is that of what the pointer leads to.
        unsafe {
            let asked = QueryInformationJobObject(
                self.raw(),
                class,
                found.as_mut_ptr().cast(),
                size,
                std::ptr::null_mut(),
            );
            (asked != 0).then(|| found.assume_init())
        }
    }

    /// How many processes live in it.
    pub(super) fn live(&self) -> u32 {
        self.accounting()
            .map_or(0, |facts| facts.BasicInfo.ActiveProcesses)
    }

    /// What it uses now, and has used.
    pub(super) fn sample(&self) -> Sample {
        let Some(facts) = self.accounting() else {
            return Sample::default();
        };
        let memory = self.peak_memory();
        // At its bound the system refuses more memory, and the program goes on
        // as it can: here that ends the run.
        let full = self.caps.memory.is_some_and(|most| memory >= most);
        Sample {
            cpu_time: cpu_time(&facts),
            memory,
            processes: facts.BasicInfo.ActiveProcesses,
            refused: full.then_some(Cap::Memory),
        }
    }

    /// What it used in the end.
    pub(super) fn usage(&self) -> Usage {
        let facts = self.accounting();
        Usage {
            cpu_time: facts.as_ref().map(cpu_time).unwrap_or_default(),
            peak_memory: self.peak_memory(),
            read_bytes: facts.as_ref().map_or(0, |all| all.IoInfo.ReadTransferCount),
            written_bytes: facts
                .as_ref()
                .map_or(0, |all| all.IoInfo.WriteTransferCount),
            ..Usage::default()
        }
    }

    fn peak_memory(&self) -> u64 {
        // SAFETY: this class gives this type.
        let limits: Option<JOBOBJECT_EXTENDED_LIMIT_INFORMATION> =
            unsafe { self.query(JobObjectExtendedLimitInformation) };
        limits.map_or(0, |limits| limits.PeakJobMemoryUsed as u64)
    }
}

fn cpu_time(facts: &JOBOBJECT_BASIC_AND_IO_ACCOUNTING_INFORMATION) -> Duration {
    // In steps of 100 ns.
    let steps = facts.BasicInfo.TotalUserTime + facts.BasicInfo.TotalKernelTime;
    Duration::from_nanos(u64::try_from(steps).unwrap_or(0).saturating_mul(100))
}

/// Lets all threads of a process that was started suspended run: it has one.
fn resume(pid: u32) -> io::Result<()> {
    // SAFETY: no pointers.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was made for us just now.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    // SAFETY: plain numbers.
    let mut thread: THREADENTRY32 = unsafe { MaybeUninit::zeroed().assume_init() };
    thread.dwSize = u32::try_from(size_of::<THREADENTRY32>()).map_err(io::Error::other)?;
    let mut resumed = false;
    // SAFETY: the entry says its own size.
    let mut more = unsafe { Thread32First(snapshot.as_raw_handle(), &raw mut thread) };
    while more != 0 {
        if thread.th32OwnerProcessID == pid {
            resume_thread(thread.th32ThreadID)?;
            resumed = true;
        }
        // SAFETY: as above.
        more = unsafe { Thread32Next(snapshot.as_raw_handle(), &raw mut thread) };
    }
    if resumed {
        Ok(())
    } else {
        Err(io::Error::other("the process has no thread to run"))
    }
}

fn resume_thread(id: u32) -> io::Result<()> {
    // SAFETY: no pointers.
    let thread = unsafe { OpenThread(THREAD_SUSPEND_RESUME, 0, id) };
    if thread.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was opened for us just now.
    let thread = unsafe { OwnedHandle::from_raw_handle(thread) };
    // SAFETY: the handle is open.
    match unsafe { ResumeThread(thread.as_raw_handle()) } {
        u32::MAX => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Waits, on a thread that may stand still, until a process has ended.
pub(super) fn wait(process: &OwnedHandle) {
    const FOR_EVER: u32 = u32::MAX;
    // SAFETY: the handle is open.
    unsafe { WaitForSingleObject(process.as_raw_handle(), FOR_EVER) };
}

fn succeeded(result: i32) -> io::Result<()> {
    if result == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
