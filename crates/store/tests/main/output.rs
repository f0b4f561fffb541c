//! What runs wrote comes back as it was, and takes less room than it had.

use std::path::Path;

use jobcell_model::{ExecutionId, OutputChunk, OutputStream, RunOutput, RunState};
use jobcell_store::{JobTriggers, RedbStore, Store, StoreOptions};
use proptest::prelude::*;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::support::{admission, finish, job, run_of};

const OUTPUT: TableDefinition<'_, &[u8; 20], &[u8]> = TableDefinition::new("execution_output");

fn chunk(stream: OutputStream, at_ms: u64, bytes: Vec<u8>) -> OutputChunk {
    OutputChunk {
        stream,
        at_ms,
        dropped_before: at_ms / 3,
        bytes,
    }
}

/// Bytes that don't compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

fn text(length: usize) -> Vec<u8> {
    let line = b"2027-01-15 10:00:00 INFO copied one more file\n";
    line.iter().copied().cycle().take(length).collect()
}

async fn record(store: &RedbStore, output: RunOutput) -> ExecutionId {
    let job = job(&ExecutionId::generate().to_string());
    store
        .create_job(job.clone(), JobTriggers::default())
        .await
        .unwrap();
    let run = run_of(&job);
    store.admit_run(admission(&run, 1)).await.unwrap();
    let mut end = finish(&run, RunState::Success, b"");
    end.output = output;
    store.finish_run(end).await.unwrap();
    run.execution_id
}

fn outputs() -> Vec<(&'static str, RunOutput)> {
    let of = |chunks: Vec<OutputChunk>| RunOutput { chunks };
    let one = |bytes: Vec<u8>| of(vec![chunk(OutputStream::Stdout, 1, bytes)]);
    vec![
        ("no chunk", of(vec![])),
        ("one empty chunk", one(vec![])),
        ("one byte", one(vec![0])),
        ("invalid UTF-8", one(vec![0xff, 0xfe, 0x80, b'a', 0xc3])),
        ("below what is compressed", one(text(1000))),
        ("just a piece", one(text(256 * 1024))),
        ("several pieces of text", one(text(3 * 1024 * 1024))),
        ("several pieces of noise", one(noise(1_100_000))),
        (
            "many chunks of each stream",
            of((0..5000)
                .map(|number| {
                    let stream = match number % 3 {
                        0 => OutputStream::Stdout,
                        1 => OutputStream::Stderr,
                        _ => OutputStream::Log,
                    };
                    chunk(stream, number * number, format!("line {number}\n").into())
                })
                .collect()),
        ),
        (
            "the largest numbers",
            of(vec![OutputChunk {
                dropped_before: u64::MAX,
                ..chunk(OutputStream::Log, u64::MAX, vec![])
            }]),
        ),
    ]
}

#[tokio::test]
async fn output_comes_back_byte_for_byte() {
    let store = RedbStore::in_memory().unwrap();
    for (name, output) in outputs() {
        let run = record(&store, output.clone()).await;
        let got = store.output(run).await.unwrap();
        assert!(got == Some(output), "{name} differs");
    }
    assert_eq!(store.verify().unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_run_that_is_unknown_has_no_output() {
    let store = RedbStore::in_memory().unwrap();
    let got = store.output(ExecutionId::generate()).await.unwrap();
    assert_eq!(got, None);
}

fn stored_bytes(path: &Path) -> usize {
    let database = Database::open(path).unwrap();
    let table = database.begin_read().unwrap().open_table(OUTPUT).unwrap();
    let rows = table.iter().unwrap();
    rows.map(|row| row.unwrap().1.value().len()).sum()
}

#[tokio::test]
async fn text_is_compressed_and_noise_hardly_grows() {
    let folder = tempfile::tempdir().unwrap();
    let size = 1024 * 1024;
    for (name, bytes, most) in [
        ("text", text(size), size / 50),
        ("noise", noise(size), size + 200),
    ] {
        let path = folder.path().join(name);
        let store = RedbStore::open(&path, StoreOptions::default()).unwrap();
        let chunks = vec![chunk(OutputStream::Stdout, 1, bytes)];
        record(&store, RunOutput { chunks }).await;
        store.close().await;
        let stored = stored_bytes(&path);
        assert!(stored < most, "{name} takes {stored} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_chunks_come_back(
        chunks in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..3000), any::<u64>()),
            0..20,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let chunks = chunks
            .into_iter()
            .map(|(bytes, at_ms)| chunk(OutputStream::Stderr, at_ms, bytes))
            .collect();
        let output = RunOutput { chunks };
        let got = runtime.block_on(async {
            let store = RedbStore::in_memory().unwrap();
            let run = record(&store, output.clone()).await;
            store.output(run).await.unwrap()
        });
        prop_assert_eq!(got, Some(output));
    }
}

#[tokio::test]
async fn the_files_that_a_run_left_are_there_with_its_end() {
    use jobcell_model::Artifact;
    let artifact = |name: &str, length: usize, complete| Artifact {
        name: name.to_owned(),
        media_type: "text/csv".to_owned(),
        complete,
        // Not all alike, and more than one piece.
        bytes: (0..length).map(|at| (at / 7 % 251) as u8).collect(),
    };
    let left = vec![
        artifact("empty.csv", 0, true),
        artifact("large.csv", 3 << 20, false),
        artifact("small.csv", 10, true),
    ];
    let store = jobcell_store::RedbStore::in_memory().unwrap();
    let job = crate::support::job("files");
    store
        .create_job(job.clone(), jobcell_store::JobTriggers::default())
        .await
        .unwrap();
    let run = crate::support::run_of(&job);
    store
        .admit_run(crate::support::admission(&run, 1))
        .await
        .unwrap();
    let id = run.execution_id;
    assert!(store.artifacts(id).await.unwrap().is_empty());
    let finish = jobcell_store::Finish {
        artifacts: std::sync::Arc::new(left.clone()),
        ..crate::support::finish(&run, jobcell_model::RunState::Success, b"")
    };
    store.finish_run(finish).await.unwrap();
    let infos: Vec<_> = left.iter().map(Artifact::info).collect();
    assert_eq!(store.artifacts(id).await.unwrap(), infos);
    for artifact in left {
        let found = store.artifact(id, &artifact.name).await.unwrap();
        assert_eq!(found, Some(artifact));
    }
    assert_eq!(store.artifact(id, "other.csv").await.unwrap(), None);
}
