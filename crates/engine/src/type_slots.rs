//! How many runs of a job type may go on at once, where the admin says so.
//! Never decides who is next.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Shared;

/// The limits, by job type; a type without one has none.
#[derive(Default)]
pub(crate) struct TypeSlots(HashMap<String, Arc<Semaphore>>);

/// As many runs of the type go on as may.
#[derive(Debug)]
pub(crate) struct Taken;

/// A run's part of the limit of its job's type. Dropped, it lets another run
/// of that type have it.
pub(crate) struct TypeSlot {
    _held: Option<Held>,
}

struct Held {
    permit: Option<OwnedSemaphorePermit>,
    shared: Arc<Shared>,
    job_type: String,
}

impl TypeSlots {
    pub(crate) fn new(limits: &BTreeMap<String, usize>) -> Self {
        let limits = limits.iter();
        let slots = limits.map(|(job_type, limit)| {
            let most = Semaphore::MAX_PERMITS;
            (
                job_type.clone(),
                Arc::new(Semaphore::new((*limit).min(most))),
            )
        });
        Self(slots.collect())
    }

    /// Whether there is one left.
    pub(crate) fn any_left(&self, job_type: &str) -> bool {
        let slots = self.0.get(job_type);
        slots.is_none_or(|slots| slots.available_permits() > 0)
    }

    /// Takes one.
    ///
    /// # Errors
    /// When there is none left.
    pub(crate) fn take(shared: &Arc<Shared>, job_type: &str) -> Result<TypeSlot, Taken> {
        let Some(slots) = shared.type_slots.0.get(job_type) else {
            return Ok(TypeSlot { _held: None });
        };
        let permit = Arc::clone(slots).try_acquire_owned().map_err(|_| Taken)?;
        let held = Held {
            permit: Some(permit),
            shared: Arc::clone(shared),
            job_type: job_type.to_owned(),
        };
        Ok(TypeSlot { _held: Some(held) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // First, so that whoever is woken finds it.
        drop(self.permit.take());
        self.shared.queue.unpark(&self.job_type);
    }
}
