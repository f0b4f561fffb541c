//! Stacks of children that share their parent's memory. A few are kept for the next
//! ones: whoever asks the allocator for so much has it tidy up first. Never says who
//! stands on one.

use std::mem::MaybeUninit;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How large one is, in bytes.
pub(super) const SIZE: usize = 64 << 10;
/// So many are kept.
const MOST: usize = 4;

/// Aligned to 16 bytes, as functions want it.
type Memory = Vec<MaybeUninit<u128>>;
static UNUSED: Mutex<Vec<Memory>> = Mutex::new(Vec::new());

/// The stack of one child: to be dropped once that is done with it.
#[derive(Debug)]
pub(super) struct Stack(Memory);

impl Stack {
    pub(super) fn take() -> Self {
        let kept = unused().pop();
        Self(kept.unwrap_or_else(|| Memory::with_capacity(SIZE / size_of::<u128>())))
    }

    /// Where it begins: it grows towards that.
    pub(super) fn begin(&mut self) -> *mut MaybeUninit<u128> {
        self.0.as_mut_ptr()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.0);
        let mut unused = unused();
        if unused.len() < MOST {
            unused.push(memory);
        }
    }
}

fn unused() -> MutexGuard<'static, Vec<Memory>> {
    UNUSED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_child_has_its_own_and_few_are_kept() {
        let mut all: Vec<Stack> = (0..2 * MOST).map(|_| Stack::take()).collect();
        let mut begins: Vec<_> = all.iter_mut().map(Stack::begin).collect();
        begins.sort_unstable();
        begins.dedup();
        assert_eq!(begins.len(), 2 * MOST);
        drop(all);
        assert!(unused().len() <= MOST);
    }
}
