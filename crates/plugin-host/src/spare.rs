//! One instance of a plugin that is made before anybody needs it, after a run and
//! not at the start of the next: what a run waits for costs its client time. Never
//! one that was in a run, nor one that has asked the host for anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;

use crate::bindings::FullJobType;
use crate::call::bounded_store;
use crate::capability::RunState;
use crate::meter::Metered;
use crate::plugin::PluginParts;

/// So many plugins of a host may have one: beyond what runs hold, the pool has
/// room for these.
pub(crate) const MOST_SPARES: u32 = 16;

/// So long it may compute at most while it is made: most take some microseconds.
const MOST_COMPUTED: Duration = Duration::from_millis(50);

/// A plugin's spare instance, if it has one.
#[derive(Default)]
pub(crate) struct Shelf {
    spare: Mutex<Option<Spare>>,
    /// Whether one is being made, or this plugin can't have one.
    closed: AtomicBool,
}

struct Spare {
    store: Store<RunState>,
    plugin: FullJobType,
    _place: OwnedSemaphorePermit,
}

/// A store, with its instance where that was made before.
pub(crate) type Made = (Store<RunState>, Option<FullJobType>);

impl Shelf {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Spare>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PluginParts {
    /// A store for a run, under all limits.
    pub(crate) fn store(&self, state: RunState) -> Made {
        let spare = self.shelf.lock().take();
        let Some(mut spare) = spare else {
            return (bounded_store(self, state), None);
        };
        let before = std::mem::replace(spare.store.data_mut(), state);
        let used = before.limiter.peak();
        if !spare.store.data_mut().limiter.begins_with(used) {
            // It has to fail, as any instance of it would in this run.
            let state = std::mem::replace(spare.store.data_mut(), before);
            return (bounded_store(self, state), None);
        }
        spare.store.set_epoch_deadline(1);
        (spare.store, Some(spare.plugin))
    }

    /// Makes a spare instance, if there is none. A plugin that can't be made, or
    /// that asks for anything meanwhile, is not tried again: each run has to see
    /// to that itself.
    pub(crate) async fn make_spare(&self) {
        if self.shelf.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let is_full = self.shelf.lock().is_some();
        let place = Arc::clone(&self.instances.spares).try_acquire_owned();
        if let (false, Ok(place)) = (is_full, place) {
            let Some((store, plugin)) = self.made_ahead().await else {
                return;
            };
            *self.shelf.lock() = Some(Spare {
                store,
                plugin,
                _place: place,
            });
        }
        self.shelf.closed.store(false, Ordering::Release);
    }

    async fn made_ahead(&self) -> Option<(Store<RunState>, FullJobType)> {
        let wall = self.asking.wall();
        let state = RunState::new(self.asking_scope(wall), &self.capabilities, Vec::new());
        let mut store = bounded_store(self, state);
        let meter = Arc::clone(&store.data().meter);
        let used = Arc::clone(&meter);
        let made = self.ready.instantiate_async(&mut store);
        let made = Metered::new(made, meter, &self.instances.ticker);
        let plugin = tokio::time::timeout(wall, made).await.ok()?.ok()?;
        let state = store.data();
        // What it computes or is refused would be its run's to bear.
        let is_plain = state.asked_nothing() && !state.limiter.refused();
        (is_plain && used.used() <= MOST_COMPUTED).then_some((store, plugin))
    }
}
