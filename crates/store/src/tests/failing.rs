//! A disk that fails at any one request: the caller is told, nothing is
//! halved, no run that was refused goes on, and work resumes.

use std::io::ErrorKind;
use std::sync::Arc;

use super::disk::{Disk, Fault};
use super::script::{Picture, Script, Step, take};
use crate::{RedbStore, StorageError, Store, StoreOptions};

fn told_as(error: &StorageError, kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::StorageFull => matches!(error, StorageError::Full),
        _ => matches!(error, StorageError::Database { .. }),
    }
}

/// What is seen after each step when nothing fails.
async fn undisturbed(script: &Script) -> Vec<Picture> {
    let store = Disk::new().open(&StoreOptions::default());
    let mut seen = vec![Picture::default()];
    for step in &script.steps {
        take(&store, step).await.unwrap();
        seen.push(script.picture(&store).await);
    }
    seen
}

struct Case<'a> {
    script: &'a Script,
    seen: &'a [Picture],
    fault: Fault,
}

impl Case<'_> {
    /// Takes all steps. Returns false when the fault was too late to be met.
    async fn run(&self) -> bool {
        let disk = Disk::new();
        let store = disk.open(&StoreOptions::default());
        disk.fail(self.fault);
        let mut met = false;
        for number in 0..self.script.steps.len() {
            if let Err(error) = take(&store, &self.script.steps[number]).await {
                assert!(
                    told_as(&error, self.fault.kind),
                    "{:?}: {error:?}",
                    self.fault
                );
                met = true;
                self.failed(&disk, &store, number).await;
            }
        }
        disk.mend();
        assert_eq!(store.verify().unwrap(), [""; 0], "{:?}", self.fault);
        store.close().await;
        let store = disk.open(&StoreOptions::default());
        let last = script_end(self.seen);
        assert_eq!(self.script.picture(&store).await, *last, "{:?}", self.fault);
        assert_eq!(store.verify().unwrap(), [""; 0], "{:?}", self.fault);
        met
    }

    /// After a step failed: what is seen lies before or after it. Takes it
    /// again where it left nothing.
    async fn failed(&self, disk: &Arc<Disk>, store: &RedbStore, number: usize) {
        let (fault, step) = (self.fault, &self.script.steps[number]);
        if fault.lasting
            && let Err(error) = take(store, step).await
        {
            assert!(told_as(&error, fault.kind), "{fault:?}, again: {error:?}");
        }
        disk.mend();
        let now = self.script.picture(store).await;
        assert_eq!(store.verify().unwrap(), [""; 0], "{fault:?}");
        if now == self.seen[number] {
            take(store, step).await.unwrap();
            return;
        }
        assert_eq!(now, self.seen[number + 1], "{fault:?} in step {number}");
        match step {
            Step::Admit(_) => panic!("{fault:?}: a run that was refused goes on"),
            // Giving an end again is how the engine makes sure of it.
            Step::Finish(_) => take(store, step).await.unwrap(),
            Step::Create(_) | Step::Replace(_) | Step::Delete(_) => {}
        }
    }
}

#[tokio::test]
async fn a_failure_at_any_write_or_sync_is_told_and_survived() {
    let script = Script::new(2000);
    let seen = undisturbed(&script).await;
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        for lasting in [false, true] {
            let mut met = 0;
            for after in 0.. {
                let fault = Fault {
                    after,
                    reads: false,
                    kind,
                    lasting,
                };
                let (script, seen) = (&script, &seen[..]);
                if !(Case {
                    script,
                    seen,
                    fault,
                })
                .run()
                .await
                {
                    break;
                }
                met += 1;
            }
            assert!(met > script.steps.len(), "each step writes and syncs");
        }
    }
}

#[tokio::test]
async fn a_read_that_failed_once_is_tried_again() {
    let script = Script::new(100_000);
    let seen = undisturbed(&script).await;
    let disk = Disk::new();
    let uncached = StoreOptions {
        cache_bytes: 0,
        ..StoreOptions::default()
    };
    let store = disk.open(&uncached);
    for step in &script.steps {
        take(&store, step).await.unwrap();
    }
    let mut met = 0;
    for after in 0.. {
        disk.fail(Fault {
            after,
            reads: true,
            kind: ErrorKind::Other,
            lasting: false,
        });
        assert_eq!(script.picture(&store).await, *script_end(&seen), "{after}");
        if disk.mend() {
            break;
        }
        met += 1;
    }
    assert!(met > 5, "the disk was read {met} times");
}

#[tokio::test]
async fn a_disk_that_can_not_be_read_is_told_until_it_can() {
    let script = Script::new(100);
    let disk = Disk::new();
    let store = disk.open(&StoreOptions {
        cache_bytes: 0,
        ..StoreOptions::default()
    });
    for step in &script.steps {
        take(&store, step).await.unwrap();
    }
    let before = script.picture(&store).await;
    disk.fail(Fault {
        after: 0,
        reads: true,
        kind: ErrorKind::Other,
        lasting: true,
    });
    for _ in 0..3 {
        let reply = store.job_counts().await;
        assert!(
            matches!(reply, Err(StorageError::Database { .. })),
            "{reply:?}"
        );
    }
    disk.mend();
    assert_eq!(script.picture(&store).await, before);
}

fn script_end(seen: &[Picture]) -> &Picture {
    seen.last().unwrap()
}
