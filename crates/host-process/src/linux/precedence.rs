//! Which threads the system prefers. Whoever holds a lock of the kernel's that the
//! watcher needs must not wait for its turn while a fork bomb takes all of them.
//! Never prefers a program, and changes nothing where the system does not let us.
#![expect(unsafe_code, reason = "no crate sets the class of a thread")]

use std::marker::PhantomData;

use rustix::process::getpriority_process;

/// Has the system prefer this thread to all that do not ask for the same: it works
/// for moments, and rarely.
pub(crate) fn prefer_this_thread() {
    if !set(libc::SCHED_RR, 1) {
        tracing::debug!("the thread that looks at processes has no precedence");
    }
}

/// As long as this lives, this thread is preferred. What it starts meanwhile is not.
pub(super) struct Preferred {
    raised: bool,
    /// It is about the thread that began it.
    _thread: PhantomData<*const ()>,
}

impl Preferred {
    pub(super) fn begin() -> Self {
        // What somebody gave another class or weight is to have that again, and so
        // is what it starts.
        let is_plain =
            class() == libc::SCHED_OTHER && getpriority_process(None).is_ok_and(|nice| nice == 0);
        Self {
            raised: is_plain && set(libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, 1),
            _thread: PhantomData,
        }
    }
}

impl Drop for Preferred {
    fn drop(&mut self) {
        if self.raised && !set(libc::SCHED_OTHER, 0) {
            // Who may raise itself by a limit and not by a capability keeps the
            // mark, which means nothing for a plain thread.
            set(libc::SCHED_OTHER | libc::SCHED_RESET_ON_FORK, 0);
        }
    }
}

/// The class of this thread, whatever that of its children is.
fn class() -> libc::c_int {
    // SAFETY: a number; zero is this thread.
    let class = unsafe { libc::sched_getscheduler(0) };
    class & !libc::SCHED_RESET_ON_FORK
}

fn set(class: libc::c_int, priority: libc::c_int) -> bool {
    let least = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: the parameters live; zero is this thread.
    unsafe { libc::sched_setscheduler(0, class, &raw const least) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_preferred_for_a_while_and_plain_again_after_that() {
        let before = class();
        let preferred = Preferred::begin();
        assert_eq!(preferred.raised, class() != before);
        let inner = Preferred::begin();
        assert!(!inner.raised, "it is already");
        drop(inner);
        assert_eq!(preferred.raised, class() != before);
        drop(preferred);
        assert_eq!(class(), before);
    }

    #[test]
    fn what_a_preferred_thread_starts_is_plain() {
        let before = class();
        let preferred = Preferred::begin();
        let started = std::thread::spawn(class).join();
        drop(preferred);
        assert_eq!(started.ok(), Some(before));
    }
}
