//! `verify` finds each kind of damage to rows and indexes.

use std::path::Path;

use jobcell_model::{Execution, JobRecord, JobRef, RunState};
use jobcell_store::{JobTriggers, RedbStore, Store, StoreOptions};
use redb::{Database, TableDefinition, WriteTransaction};

use crate::support::{admission, finish, job, run_of};

type Rows = TableDefinition<'static, &'static [u8; 16], &'static [u8]>;
type Marks = TableDefinition<'static, &'static [u8; 32], ()>;

const JOBS: Rows = TableDefinition::new("job_configurations_v2");
const STATISTICS: Rows = TableDefinition::new("job_statistics_v2");
const HISTORY: Rows = TableDefinition::new("job_execution_history_v2");
const ENABLED: TableDefinition<'_, &[u8; 16], ()> = TableDefinition::new("enabled_jobs");
const KEYS: TableDefinition<'_, &str, &[u8; 16]> = TableDefinition::new("job_keys");
const BY_JOB: Marks = TableDefinition::new("job_executions_by_job");
const OPEN: Marks = TableDefinition::new("open_executions");
const OUTPUT: TableDefinition<'_, &[u8; 20], &[u8]> = TableDefinition::new("execution_output");

/// What every damaged store held before: a job, a run that ended, one that
/// goes on.
struct Sound {
    job: JobRecord,
    ended: Execution,
    open: Execution,
}

impl Sound {
    async fn make(path: &Path) -> Self {
        let store = RedbStore::open(path, StoreOptions::default()).unwrap();
        let job = job("backup");
        let (ended, open) = (run_of(&job), run_of(&job));
        store
            .create_job(job.clone(), JobTriggers::default())
            .await
            .unwrap();
        store.admit_run(admission(&ended, 2)).await.unwrap();
        store.admit_run(admission(&open, 2)).await.unwrap();
        let end = finish(&ended, RunState::Success, &[b'x'; 5000]);
        store.finish_run(end).await.unwrap();
        assert_eq!(store.verify().unwrap(), [""; 0]);
        store.close().await;
        Self { job, ended, open }
    }

    fn id(&self) -> &[u8; 16] {
        self.job.job_id.as_bytes()
    }

    fn key_of(&self, run: &Execution) -> [u8; 32] {
        let bytes = [*self.id(), *run.execution_id.as_bytes()].concat();
        bytes.try_into().unwrap()
    }

    fn piece(&self, run: &Execution, number: u8) -> [u8; 20] {
        let number = [0, 0, 0, number];
        let bytes = [run.execution_id.as_bytes().as_slice(), &number].concat();
        bytes.try_into().unwrap()
    }
}

fn change_row(transaction: &WriteTransaction, rows: Rows, id: &[u8; 16], row: Option<&[u8]>) {
    let mut table = transaction.open_table(rows).unwrap();
    match row {
        Some(row) => drop(table.insert(id, row).unwrap()),
        None => drop(table.remove(id).unwrap()),
    }
}

fn set_mark(transaction: &WriteTransaction, marks: Marks, key: &[u8; 32], there: bool) {
    let mut table = transaction.open_table(marks).unwrap();
    if there {
        table.insert(key, ()).unwrap();
    } else {
        table.remove(key).unwrap();
    }
}

fn change_output(transaction: &WriteTransaction, key: &[u8; 20], row: &[u8]) {
    let mut table = transaction.open_table(OUTPUT).unwrap();
    table.insert(key, row).unwrap();
}

type Damage = fn(&WriteTransaction, &Sound);

const JOB_DAMAGE: [(&str, Damage, &str); 7] = [
    (
        "a job that can't be decoded",
        |t, sound| change_row(t, JOBS, sound.id(), Some(&[1, 0, 0])),
        "a stored job can't be read",
    ),
    (
        "a job of a later edition",
        |t, sound| change_row(t, JOBS, sound.id(), Some(&[9])),
        "it has edition 9",
    ),
    (
        "a job whose key is lost",
        |t, _| drop(t.open_table(KEYS).unwrap().remove("backup").unwrap()),
        "its key `backup` does not lead to it",
    ),
    (
        "a key without a job",
        |t, _| {
            let mut keys = t.open_table(KEYS).unwrap();
            keys.insert("ghost", &[7; 16]).unwrap();
        },
        "there are 2 job keys, but there should be 1",
    ),
    (
        "an enabled job that is not listed",
        |t, sound| drop(t.open_table(ENABLED).unwrap().remove(sound.id()).unwrap()),
        "the list of enabled jobs is wrong about it",
    ),
    (
        "a job without statistics",
        |t, sound| change_row(t, STATISTICS, sound.id(), None),
        "its statistics are missing",
    ),
    (
        "statistics that can't be decoded",
        |t, sound| change_row(t, STATISTICS, sound.id(), Some(&[])),
        "a stored statistics row can't be read: it is empty",
    ),
];

const RUN_DAMAGE: [(&str, Damage, &str); 8] = [
    (
        "a run that can't be decoded",
        |t, sound| {
            change_row(
                t,
                HISTORY,
                sound.ended.execution_id.as_bytes(),
                Some(b"\x01zz"),
            )
        },
        "a stored run can't be read",
    ),
    (
        "a run without a row",
        |t, sound| change_row(t, HISTORY, sound.open.execution_id.as_bytes(), None),
        "an index names it, it has no row",
    ),
    (
        "a run that its job does not list",
        |t, sound| set_mark(t, BY_JOB, &sound.key_of(&sound.ended), false),
        "it is missing among the runs of its job",
    ),
    (
        "an ended run that is listed as open",
        |t, sound| set_mark(t, OPEN, &sound.key_of(&sound.ended), true),
        "the list of running runs is wrong, it is success",
    ),
    (
        "an open run that is not listed",
        |t, sound| set_mark(t, OPEN, &sound.key_of(&sound.open), false),
        "the list of running runs is wrong, it is running",
    ),
    (
        "output that does not decompress",
        |t, sound| change_output(t, &sound.piece(&sound.ended, 0), &[1, 1, 0, 0, 0, 9, 5, 5]),
        "its output can't be read",
    ),
    (
        "output with a piece that is missing",
        |t, sound| change_output(t, &sound.piece(&sound.ended, 2), &[1, 0, 0, 0, 0, 0]),
        "piece 1 is missing",
    ),
    (
        "output of a run that goes on",
        |t, sound| {
            change_output(
                t,
                &sound.piece(&sound.open, 0),
                b"\x01\x00\x00\x00\x00\x01\x90",
            )
        },
        "there is output of it, but it goes on",
    ),
];

#[tokio::test]
async fn every_kind_of_damage_is_found() {
    for (name, damage, expected) in JOB_DAMAGE.into_iter().chain(RUN_DAMAGE) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        let sound = Sound::make(&path).await;
        {
            let database = Database::open(&path).unwrap();
            let transaction = database.begin_write().unwrap();
            damage(&transaction, &sound);
            transaction.commit().unwrap();
        }
        let store = RedbStore::open(&path, StoreOptions::default()).unwrap();
        let found = store.verify().unwrap();
        let all = found.join("\n");
        assert!(all.contains(expected), "{name}: {found:?}");
    }
}

#[tokio::test]
async fn a_run_ends_though_its_jobs_figures_are_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let sound = Sound::make(&path).await;
    {
        let database = Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        change_row(&transaction, STATISTICS, sound.id(), Some(b"\x01?"));
        transaction.commit().unwrap();
    }
    let store = RedbStore::open(&path, StoreOptions::default()).unwrap();
    let end = finish(&sound.open, RunState::Success, b"");
    store.finish_run(end.clone()).await.unwrap();
    assert_eq!(store.open_executions().await.unwrap(), []);
    let row = store.execution(sound.open.execution_id).await.unwrap();
    assert_eq!(row, Some(end.execution));
}

/// A store with enough in it that its tables have more than one page.
async fn grown(path: &Path) -> Sound {
    let sound = Sound::make(path).await;
    let store = RedbStore::open(path, StoreOptions::default()).unwrap();
    for _ in 0..40 {
        let run = run_of(&sound.job);
        store.admit_run(admission(&run, 9)).await.unwrap();
        let end = finish(&run, RunState::Success, b"1 row");
        store.finish_run(end).await.unwrap();
    }
    store.close().await;
    sound
}

/// Asks for everything, and writes. Whatever comes back will do.
async fn use_all(store: &RedbStore, sound: &Sound) {
    drop(store.verify());
    drop(store.job(&JobRef::parse("backup")).await);
    drop(store.jobs(None, 10, true).await);
    drop(store.history(sound.job.job_id, None, 100).await);
    drop(store.output(sound.ended.execution_id).await);
    drop(store.open_executions().await);
    let end = finish(&sound.open, RunState::Success, b"");
    drop(store.finish_run(end).await);
    drop(store.create_job(job("late"), JobTriggers::default()).await);
    store.close().await;
}

/// redb trusts a file that was closed in order. Whatever something else wrote
/// into it since: an answer or an error, never a panic, never a hang.
#[tokio::test]
async fn a_page_overwritten_by_something_else_is_an_error_at_most() {
    const PAGE: usize = 4096;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let sound = grown(&path).await;
    let whole = std::fs::read(&path).unwrap();
    let page = |number: usize| &whole[number * PAGE..][..PAGE];
    let used: Vec<usize> = (0..whole.len() / PAGE)
        .filter(|number| page(*number).iter().any(|byte| *byte != 0))
        .collect();
    let mut opened = 0;
    for (index, number) in used.iter().enumerate() {
        let neighbour = page(used[(index + 1) % used.len()]);
        for content in [&[0; PAGE], &[0xa5; PAGE], neighbour] {
            let mut bytes = whole.clone();
            bytes[number * PAGE..][..PAGE].copy_from_slice(content);
            std::fs::write(&path, bytes).unwrap();
            if let Ok(store) = RedbStore::open(&path, StoreOptions::default()) {
                opened += 1;
                use_all(&store, &sound).await;
            }
        }
    }
    assert!(opened > used.len() / 2, "{opened} of {}", used.len());
}
