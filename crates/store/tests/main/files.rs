//! The store's file: opened once at a time, refused when it is something else,
//! and on disk as soon as a write was answered.

use std::fs;
use std::path::Path;

use jobcell_model::{JobRef, RunState};
use jobcell_store::{
    AdmitError, CreateJobError, FinishError, JobTriggers, OpenError, RedbStore, ReplaceJobError,
    StorageError, Store, StoreOptions,
};
use redb::{Database, MultimapTableDefinition, TableDefinition};

use crate::support::{admission, finish, job, run_of};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

fn open(path: &Path) -> Result<RedbStore, OpenError> {
    RedbStore::open(path, StoreOptions::default())
}

fn refusal(path: &Path) -> OpenError {
    let Err(error) = open(path) else {
        panic!("{} was opened", path.display());
    };
    error
}

#[tokio::test]
async fn what_was_acknowledged_is_there_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let (kept, gone) = (job("kept"), job("gone"));
    let (ended, open_run) = (run_of(&kept), run_of(&kept));
    let end = finish(&ended, RunState::Success, b"output");
    {
        let store = open(&path).unwrap();
        store
            .create_job(kept.clone(), JobTriggers::default())
            .await
            .unwrap();
        store
            .create_job(gone.clone(), JobTriggers::default())
            .await
            .unwrap();
        store.admit_run(admission(&ended, 2)).await.unwrap();
        store.admit_run(admission(&open_run, 2)).await.unwrap();
        store.finish_run(end.clone()).await.unwrap();
        store.delete_job(gone.job_id).await.unwrap();
    }
    let store = open(&path).unwrap();
    assert_eq!(store.job_counts().await.unwrap(), (1, 1));
    let stored = store.job(&JobRef::parse("kept")).await.unwrap().unwrap();
    assert_eq!(stored.record, kept);
    assert_eq!(stored.statistics.total_executions, 1);
    assert_eq!(store.open_executions().await.unwrap(), [open_run]);
    let row = store.execution(ended.execution_id).await.unwrap();
    assert_eq!(row, Some(end.execution));
    let output = store.output(ended.execution_id).await.unwrap();
    assert_eq!(output, Some(end.output));
    assert_eq!(store.verify().unwrap(), [""; 0]);
}

/// A copy of the file while it is open is what a killed process leaves behind.
#[tokio::test]
async fn what_was_acknowledged_is_in_the_file_before_it_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("store"), folder.path().join("copy"));
    let store = open(&path).unwrap();
    for number in 0..5 {
        let job = job(&format!("job-{number}"));
        store
            .create_job(job.clone(), JobTriggers::default())
            .await
            .unwrap();
        fs::copy(&path, &copy).unwrap();
        let copied = open(&copy).unwrap();
        let found = copied.job(&JobRef::Id(job.job_id)).await.unwrap();
        assert_eq!(found.map(|found| found.record), Some(job));
        assert_eq!(copied.verify().unwrap(), [""; 0]);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    drop(open(&path).unwrap());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_has_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let first = open(&path).unwrap();
    let error = refusal(&path);
    let shown = path.display().to_string();
    assert!(
        matches!(&error, OpenError::InUse { path } if *path == shown),
        "{error:?}"
    );
    first
        .create_job(job("unharmed"), JobTriggers::default())
        .await
        .unwrap();
    first.close().await;
    let second = open(&path).unwrap();
    assert_eq!(second.job_counts().await.unwrap(), (1, 1));
}

#[tokio::test]
async fn a_closed_store_refuses_everything() {
    let store = RedbStore::in_memory().unwrap();
    let backup = job("backup");
    let run = run_of(&backup);
    store
        .create_job(backup.clone(), JobTriggers::default())
        .await
        .unwrap();
    store.close().await;
    store.close().await;

    let closed = |error: &StorageError| matches!(error, StorageError::Closed);
    let reply = store.create_job(job("late"), JobTriggers::default()).await;
    assert!(matches!(&reply, Err(CreateJobError::Storage(error)) if closed(error)));
    let reply = store
        .replace_job(backup.clone(), 1, JobTriggers::default())
        .await;
    assert!(matches!(&reply, Err(ReplaceJobError::Storage(error)) if closed(error)));
    let reply = store.delete_job(backup.job_id).await;
    assert!(matches!(&reply, Err(error) if closed(error)));
    let reply = store.admit_run(admission(&run, 1)).await;
    assert!(matches!(&reply, Err(AdmitError::Storage(error)) if closed(error)));
    let end = finish(&run, RunState::Success, b"");
    let reply = store.finish_run(end).await;
    assert!(matches!(&reply, Err(FinishError::Storage(error)) if closed(error)));
    let reply = store.job_counts().await;
    assert!(matches!(&reply, Err(error) if closed(error)));
    assert!(matches!(&store.verify(), Err(error) if closed(error)));
}

#[tokio::test]
async fn a_store_of_a_later_format_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open(&path).unwrap();
    store
        .create_job(job("backup"), JobTriggers::default())
        .await
        .unwrap();
    store.close().await;
    set_format(&path, &2_u32.to_be_bytes());
    let error = refusal(&path);
    assert!(
        matches!(
            error,
            OpenError::NewerFormat {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error:?}"
    );
    set_format(&path, &1_u32.to_be_bytes());
    let store = open(&path).unwrap();
    assert_eq!(store.job_counts().await.unwrap(), (1, 1));
}

#[test]
fn a_format_that_is_no_number_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    drop(open(&path).unwrap());
    set_format(&path, b"one");
    let error = refusal(&path);
    assert!(
        matches!(error, OpenError::Storage(StorageError::Corrupt { .. })),
        "{error:?}"
    );
}

fn set_format(path: &Path, bytes: &[u8]) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut meta = transaction.open_table(META).unwrap();
    meta.insert("format", bytes).unwrap();
    drop(meta);
    transaction.commit().unwrap();
}

type Maker = fn(&Path);

#[test]
fn what_is_no_store_is_refused_with_its_path_and_left_as_it_is() {
    let cases: [(&str, Maker); 7] = [
        ("text", |path| fs::write(path, "id: not-a-store\n").unwrap()),
        ("one byte", |path| fs::write(path, [0]).unwrap()),
        ("garbage", |path| {
            fs::write(path, vec![0xa5; 2_000_000]).unwrap();
        }),
        ("a folder", |path| fs::create_dir(path).unwrap()),
        ("another program's table", |path| {
            let table = TableDefinition::<u32, u32>::new("numbers");
            let database = Database::create(path).unwrap();
            let transaction = database.begin_write().unwrap();
            transaction.open_table(table).unwrap().insert(1, 2).unwrap();
            transaction.commit().unwrap();
        }),
        ("another program's multimap", |path| {
            let table = MultimapTableDefinition::<u32, u32>::new("numbers");
            let database = Database::create(path).unwrap();
            let transaction = database.begin_write().unwrap();
            let mut numbers = transaction.open_multimap_table(table).unwrap();
            numbers.insert(1, 2).unwrap();
            drop(numbers);
            transaction.commit().unwrap();
        }),
        ("another program's meta", |path| {
            let table = TableDefinition::<u32, u32>::new("meta");
            let database = Database::create(path).unwrap();
            let transaction = database.begin_write().unwrap();
            transaction.open_table(table).unwrap().insert(1, 2).unwrap();
            transaction.commit().unwrap();
        }),
    ];
    for (name, make) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        make(&path);
        let before = fs::metadata(&path).unwrap().len();
        for _ in 0..2 {
            let error = refusal(&path);
            let shown = path.display().to_string();
            assert!(
                matches!(&error, OpenError::Unreadable { path, .. } if *path == shown),
                "{name}: {error:?}"
            );
        }
        let after = fs::metadata(&path).unwrap().len();
        assert_eq!(before, after, "{name} was changed");
    }
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("store.redb");
    let OpenError::Unreadable { source, .. } = refusal(&path) else {
        panic!("another error was expected");
    };
    let text = source.to_string();
    assert!(text.contains("missing does not exist"), "{text}");
    assert!(!path.parent().unwrap().exists());
}

/// redb writes its magic last, and takes a file without it for another
/// program's.
#[tokio::test]
async fn a_store_whose_making_was_cut_short_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    for header in [&[][..], &[0; 9], b"\0\0\0\0\0\0\0\0\0more of a header"] {
        let mut bytes = header.to_vec();
        bytes.resize(1_060_864, 0);
        fs::write(&path, bytes).unwrap();
        let store = open(&path).unwrap();
        store
            .create_job(job("backup"), JobTriggers::default())
            .await
            .unwrap();
        store.close().await;
        assert_eq!(open(&path).unwrap().job_counts().await.unwrap(), (1, 1));
    }
}

#[test]
fn a_file_that_lost_only_its_magic_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    drop(open(&path).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    bytes[..9].fill(0);
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(refusal(&path), OpenError::Unreadable { .. }));
    assert!(fs::read(&path).unwrap() == bytes, "it was changed");
}

#[cfg(unix)]
#[tokio::test]
async fn a_reserve_that_the_disk_has_not_refuses_new_work_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let (backup, run) = {
        let store = open(&path).unwrap();
        let backup = job("backup");
        let run = run_of(&backup);
        store
            .create_job(backup.clone(), JobTriggers::default())
            .await
            .unwrap();
        store.admit_run(admission(&run, 2)).await.unwrap();
        (backup, run)
    };
    let options = StoreOptions {
        reserve_bytes: u64::MAX,
        ..StoreOptions::default()
    };
    let store = RedbStore::open(&path, options).unwrap();
    let reply = store.create_job(job("late"), JobTriggers::default()).await;
    assert!(
        matches!(reply, Err(CreateJobError::Storage(StorageError::Full))),
        "{reply:?}"
    );
    let reply = store.admit_run(admission(&run_of(&backup), 2)).await;
    assert!(
        matches!(reply, Err(AdmitError::Storage(StorageError::Full))),
        "{reply:?}"
    );
    let end = finish(&run, RunState::Success, b"done");
    store.finish_run(end).await.unwrap();
}

/// Wherever a file was cut off, opening it says so; nothing panics, and no
/// empty store takes its place.
#[tokio::test]
async fn a_file_that_was_cut_off_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open(&path).unwrap();
    let backup = job("backup");
    store
        .create_job(backup.clone(), JobTriggers::default())
        .await
        .unwrap();
    for _ in 0..50 {
        let run = run_of(&backup);
        store.admit_run(admission(&run, 1)).await.unwrap();
        let end = finish(&run, RunState::Success, &[b'x'; 3000]);
        store.finish_run(end).await.unwrap();
    }
    store.close().await;
    let whole = fs::read(&path).unwrap();
    let cut = folder.path().join("cut");
    for length in [1, 9, 100, 320, 4096, 5000, 65_536, whole.len() / 2] {
        fs::write(&cut, &whole[..length]).unwrap();
        let error = refusal(&cut);
        assert!(
            matches!(
                error,
                OpenError::Unreadable { .. } | OpenError::Storage(StorageError::Corrupt { .. })
            ),
            "{length}: {error:?}"
        );
    }
}
