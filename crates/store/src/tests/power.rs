//! A power cut at any point: what was acknowledged is there, what was under
//! way is there as a whole or not at all.

use super::disk::{Change, Disk};
use super::script::{Picture, Script, take};
use crate::{Store, StoreOptions};

/// Whether the change of this number reached the disk.
type Arrived = fn(usize) -> bool;

/// What becomes of the changes that were not synced when the power went.
const FATES: [(&str, Arrived); 4] = [
    ("no write arrived", |_| false),
    ("all arrived", |_| true),
    ("the even ones arrived", |number| number % 2 == 0),
    ("the odd ones arrived", |number| number % 2 == 1),
];

/// The disk after a cut. File systems keep a file's length in a journal, in
/// order, so it never stays behind what was written after it.
fn survivor(journal: &[Change], arrived: Arrived) -> std::sync::Arc<Disk> {
    let synced = journal
        .iter()
        .rposition(|change| matches!(change, Change::Sync))
        .map_or(0, |last| last + 1);
    let (safe, rest) = journal.split_at(synced);
    let late = rest.iter().enumerate();
    let late =
        late.filter(|(number, change)| arrived(*number) || matches!(change, Change::Resize(_)));
    Disk::of(safe.iter().chain(late.map(|(_, change)| change)))
}

#[tokio::test]
async fn a_power_cut_at_any_point_loses_nothing_acknowledged_and_halves_nothing() {
    let script = Script::new(20_000);
    let disk = Disk::new();
    let store = disk.open(&StoreOptions::default());
    // What was seen, and after how many changes.
    let mut seen = vec![(0, Picture::default())];
    for step in &script.steps {
        take(&store, step).await.unwrap();
        seen.push((disk.changes(), script.picture(&store).await));
    }
    store.close().await;

    let journal = disk.journal();
    for point in 0..=journal.len() {
        let acknowledged = seen.iter().rposition(|(mark, _)| *mark <= point).unwrap();
        let allowed: Vec<&Picture> = seen[acknowledged..]
            .iter()
            .take(2)
            .map(|(_, picture)| picture)
            .collect();
        for (fate, arrived) in FATES {
            let case = format!("cut after {point} of {} changes, {fate}", journal.len());
            let store = survivor(&journal[..point], arrived).open(&StoreOptions::default());
            assert_eq!(store.verify().unwrap(), [""; 0], "{case}");
            let picture = script.picture(&store).await;
            assert!(allowed.contains(&&picture), "{case}: {picture:#?}");
        }
    }
}
