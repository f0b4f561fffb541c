//! What those who watch a run are told, whenever they come.

use jobcell_engine::{Place, Seen, StartedRun, Watch, Watched};
use jobcell_model::{ExecutionId, RunOutput, RunState};
use jobcell_store::Store;

use crate::scene::{ENDLESS, Scene};
use crate::support::{PATIENCE, at, by_hand, create};

/// What a reader was told so far.
#[derive(Debug, Default, Clone, PartialEq)]
struct Told {
    text: String,
    place: Place,
    missed: u64,
    end: Option<RunState>,
}

async fn next(watch: &mut Watch) -> Option<Watched> {
    tokio::time::timeout(PATIENCE, watch.next())
        .await
        .unwrap()
        .unwrap()
}

/// Reads until it was told enough, or no more comes.
async fn read(watch: &mut Watch, told: &mut Told, enough: impl Fn(&Told) -> bool) {
    while !enough(told) {
        match next(watch).await {
            Some(Watched::Seen(Seen::Output(chunk))) => {
                told.place.bytes += chunk.bytes.len() as u64;
                told.text += std::str::from_utf8(&chunk.bytes).unwrap();
            }
            Some(Watched::Seen(Seen::Gap(bytes))) => {
                told.place.bytes += bytes;
                told.missed += bytes;
            }
            Some(Watched::Seen(Seen::Step(_))) => told.place.steps += 1,
            Some(Watched::Ended(execution, _)) => {
                assert_eq!(told.end.replace(execution.status), None);
            }
            None => return,
        }
    }
}

async fn start(scene: &Scene, query: &str) -> StartedRun {
    let job = create(&scene.engine, query, "").await;
    scene.engine.start_run(&job, by_hand()).await.unwrap()
}

async fn watch(scene: &Scene, id: ExecutionId) -> Watch {
    scene.engine.watch(id).await.unwrap().unwrap()
}

fn text(output: &RunOutput) -> String {
    output.text_of(|_| true)
}

#[tokio::test]
async fn readers_that_come_at_any_time_are_told_all_once_and_in_order() {
    let scene = Scene::new().await;
    let started = start(&scene, &format!("SELECT 'one';\nSELECT 'two';\n{ENDLESS}")).await;
    let id = started.execution_id;
    let mut early = watch(&scene, id).await;
    let mut told = Told::default();
    read(&mut early, &mut told, |told| told.place.steps == 2).await;
    assert!(
        told.text.contains("one") && told.text.contains("two"),
        "before its end: {told:?}"
    );
    let mut late = watch(&scene, id).await;
    let mut told_late = Told::default();
    read(&mut late, &mut told_late, |late| late.place == told.place).await;
    assert_eq!(told_late, told);

    scene.engine.cancel_run(id, "the test").await.unwrap();
    let outcome = started.finished().await.unwrap();
    let mut after = watch(&scene, id).await;
    let mut told_after = Told::default();
    read(&mut early, &mut told, |_| false).await;
    read(&mut late, &mut told_late, |_| false).await;
    read(&mut after, &mut told_after, |_| false).await;
    assert_eq!(told.text, text(&outcome.output));
    assert_eq!(told.end, Some(RunState::Cancelled));
    assert_eq!(told.place.steps, outcome.execution.step_results.len());
    assert_eq!((&told_late, &told_after), (&told, &told));
}

#[tokio::test]
async fn a_slow_reader_loses_its_place_and_not_the_runs_output() {
    let scene = Scene::with(|config| {
        config.limits.output_head = 512;
        config.limits.output_tail = 512;
    })
    .await;
    let rows = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 100) \
                SELECT x, 'a row' FROM c;";
    let started = start(&scene, &format!("SELECT 'one';\n{rows}\n{ENDLESS}")).await;
    let id = started.execution_id;
    let mut slow = watch(&scene, id).await;
    let mut told = Told::default();
    read(&mut slow, &mut told, |told| told.place.steps == 1).await;
    // Another sees that the run goes on, though the slow one does not read.
    let mut quick = watch(&scene, id).await;
    read(&mut quick, &mut Told::default(), |told| {
        told.place.steps == 2
    })
    .await;
    read(&mut slow, &mut told, |told| told.place.steps == 2).await;
    assert!(told.missed > 1000, "{}", told.missed);

    scene.engine.cancel_run(id, "the test").await.unwrap();
    let outcome = started.finished().await.unwrap();
    read(&mut slow, &mut told, |_| false).await;
    assert_eq!(told.end, Some(RunState::Cancelled));
    let kept: usize = outcome
        .output
        .chunks
        .iter()
        .map(|chunk| chunk.bytes.len())
        .sum();
    assert_eq!(kept, 1024, "what is kept does not depend on who reads");
    let dropped = outcome.execution.output.dropped_bytes;
    assert_eq!(told.place.bytes, 1024 + dropped);
    let end = outcome.output.chunks.last().unwrap();
    assert!(told.text.as_bytes().ends_with(&end.bytes), "{}", told.text);
}

#[tokio::test]
async fn a_run_ends_though_nobody_reads_what_those_who_watch_are_told() {
    let scene = Scene::new().await;
    let job = scene.job("job", "").await;
    let started = scene.engine.start_run(&job, by_hand()).await.unwrap();
    let mut readers = Vec::new();
    for _ in 0..100 {
        readers.push(watch(&scene, started.execution_id).await);
    }
    let outcome = started.finished().await.unwrap();
    assert_eq!(outcome.execution.status, RunState::Success);
    for reader in &mut readers {
        let mut told = Told::default();
        read(reader, &mut told, |_| false).await;
        assert_eq!(told.text, text(&outcome.output));
        assert_eq!(told.end, Some(RunState::Success));
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_leaves_nothing_behind() {
    let scene = Scene::new().await;
    let started = start(&scene, ENDLESS).await;
    let id = started.execution_id;
    let readers = [watch(&scene, id).await, watch(&scene, id).await];
    assert_eq!(scene.engine.watching(), 2);
    drop(readers);
    assert_eq!(scene.engine.watching(), 0);
    assert!(
        scene
            .engine
            .watch(ExecutionId::generate())
            .await
            .unwrap()
            .is_none(),
        "there is no such run"
    );
    scene.engine.cancel_run(id, "the test").await.unwrap();
    started.finished().await.unwrap();
}

#[tokio::test]
async fn a_run_that_waits_is_watched_from_its_start() {
    let scene = Scene::new().await;
    let keys = "retryPolicy: {maxRetries: 2, retryDelay: 60}\n";
    let job = create(&scene.engine, "SELECT 'one';\nSELECT nothing", keys).await;
    scene.run(&job).await;
    let waiting = |runs: Vec<jobcell_model::Execution>| runs.last().unwrap().execution_id;
    let runs = scene.when(&job, &[RunState::Failed, RunState::Pending]);
    let mut first = watch(&scene, waiting(runs.await)).await;
    let mut told = Told::default();
    let reading = async {
        read(&mut first, &mut told, |_| false).await;
    };
    let going_on = async {
        // It listens before the retry is due.
        tokio::task::yield_now().await;
        scene.clock.set(at("12:01:00"));
    };
    tokio::join!(reading, going_on);
    assert!(told.text.contains("one"), "{told:?}");
    assert_eq!(told.end, Some(RunState::Failed));

    let states = [RunState::Failed, RunState::Failed, RunState::Pending];
    let id = waiting(scene.when(&job, &states).await);
    let mut second = watch(&scene, id).await;
    let mut told = Told::default();
    let reading = async {
        read(&mut second, &mut told, |_| false).await;
    };
    let cancelling = async {
        tokio::task::yield_now().await;
        scene.engine.cancel_run(id, "the test").await.unwrap();
    };
    tokio::join!(reading, cancelling);
    let wanted = Told {
        end: Some(RunState::Cancelled),
        ..Told::default()
    };
    assert_eq!(told, wanted, "it never started");
}

#[tokio::test]
async fn a_shutdown_ends_readers_and_not_their_runs() {
    let scene = Scene::new().await;
    let started = start(&scene, ENDLESS).await;
    let id = started.execution_id;
    let mut reader = watch(&scene, id).await;
    scene.engine.close();
    assert_eq!(next(&mut reader).await, None);
    let run = scene.store.execution(id).await.unwrap().unwrap();
    assert_eq!(run.status, RunState::Running);
    scene.engine.drain(std::time::Duration::ZERO).await;
}
