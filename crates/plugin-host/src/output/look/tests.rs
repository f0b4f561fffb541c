//! What readers of a run that goes on are given.

use std::time::{Duration, Instant};

use chrono::Utc;
use jobcell_model::{OutputStream, StepStatus};

use super::*;
use crate::limits::RunLimits;

const PATIENCE: Duration = Duration::from_secs(60);

fn buffer(head: usize, tail: usize) -> OutputBuffer {
    let limits = RunLimits {
        output_head: head,
        output_tail: tail,
        ..RunLimits::default()
    };
    OutputBuffer::new(&limits, Instant::now(), None)
}

fn step() -> Arc<StepResult> {
    Arc::new(StepResult {
        name: "s".to_owned(),
        kind: "k".to_owned(),
        status: StepStatus::Success,
        start_time: Utc::now(),
        duration_seconds: 0.0,
        details: serde_json::json!({}),
    })
}

async fn next(buffer: &OutputBuffer, place: &mut Place) -> Option<Seen> {
    tokio::time::timeout(PATIENCE, buffer.next(place))
        .await
        .expect("something comes in time")
}

/// Reads up to a place, and tells it as text.
async fn read(buffer: &OutputBuffer, place: &mut Place, until: u64) -> String {
    let mut told = String::new();
    while place.bytes < until {
        match next(buffer, place).await.expect("not taken yet") {
            Seen::Output(chunk) => told += std::str::from_utf8(&chunk.bytes).expect("text"),
            Seen::Gap(missed) => told += &format!("<{missed}>"),
            Seen::Step(_) => told += "|",
        }
    }
    told
}

#[tokio::test]
async fn a_reader_that_falls_behind_finds_a_gap_and_then_the_end() {
    let buffer = buffer(4, 4);
    let (mut slow, mut late) = (Place::default(), Place::default());
    buffer.write(OutputStream::Stdout, b"ab");
    assert_eq!(read(&buffer, &mut slow, 2).await, "ab");
    buffer.write(OutputStream::Stdout, b"cdefgh");
    assert_eq!(read(&buffer, &mut slow, 6).await, "cdefgh");
    buffer.write(OutputStream::Stdout, b"ijklmn");
    buffer.write(OutputStream::Stderr, b"o");
    assert_eq!(read(&buffer, &mut slow, 15).await, "<3>lmno");
    assert_eq!(read(&buffer, &mut late, 15).await, "abcd<7>lmno");
}

#[tokio::test]
async fn what_is_dropped_whole_is_a_gap_of_its_own() {
    let buffer = buffer(2, 0);
    buffer.write(OutputStream::Stdout, b"abcde");
    let mut place = Place::default();
    assert_eq!(read(&buffer, &mut place, 5).await, "ab<3>");
}

#[tokio::test]
async fn a_step_stands_between_what_was_written_before_and_after_it() {
    let buffer = buffer(100, 100);
    let (one, two) = (step(), step());
    buffer.write(OutputStream::Stdout, b"a");
    buffer.step(&one);
    buffer.write(OutputStream::Stdout, b"b");
    buffer.step(&two);
    buffer.write(OutputStream::Log, b"c");
    let mut place = Place::default();
    assert_eq!(read(&buffer, &mut place, 4).await, "a|b|c\n");
    let mut after_first = Place { bytes: 1, steps: 1 };
    assert_eq!(read(&buffer, &mut after_first, 4).await, "b|c\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_come_at_any_time_get_each_byte_once_and_in_order() {
    const BYTES: usize = 200_000;
    let byte = |number: usize| b'a' + (number % 23) as u8;
    let buffer = Arc::new(buffer(100_000, 150_000));
    let mut readers = Vec::new();
    let mut written = 0;
    for length in (1..).map(|number| number % 37) {
        if length == 1 {
            let buffer = Arc::clone(&buffer);
            readers.push(tokio::spawn(async move {
                read(&buffer, &mut Place::default(), BYTES as u64).await
            }));
        }
        let piece: Vec<u8> = (written..BYTES.min(written + length)).map(byte).collect();
        let stream = [OutputStream::Stdout, OutputStream::Stderr][length % 2];
        buffer.write(stream, &piece);
        written += piece.len();
        if written == BYTES {
            break;
        }
        if length == 36 {
            tokio::task::yield_now().await;
        }
    }
    let wanted: String = (0..BYTES).map(|number| char::from(byte(number))).collect();
    assert!(readers.len() > 100);
    for reader in readers {
        assert_eq!(reader.await.expect("it reads"), wanted);
    }
}

#[tokio::test]
async fn a_reader_that_waits_is_told_when_all_is_taken() {
    let buffer = Arc::new(buffer(4, 4));
    let reader = tokio::spawn({
        let buffer = Arc::clone(&buffer);
        async move { next(&buffer, &mut Place::default()).await }
    });
    tokio::task::yield_now().await;
    drop(buffer.take());
    assert_eq!(reader.await.expect("it reads"), None);
}
