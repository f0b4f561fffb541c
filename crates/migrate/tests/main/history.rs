//! V1's runs as V2's: how they ended, when they were, what they wrote.

use chrono_tz::Tz;
use jobcell_migrate::{HistoryError, RunOwner, V1History};
use jobcell_model::{Execution, RunState, Trigger};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{at, migrated, options, row, types};

fn owner() -> RunOwner {
    RunOwner::from(&migrated(&row(json!({})), &options(&types())))
}

fn run(columns: Value) -> Value {
    let mut run = json!({
        "execution_id": 17, "job_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "job_name": "P5", "status": "success", "start_time": "2025-09-02 10:00:00.000",
        "end_time": "2025-09-02 10:00:03.300", "duration_seconds": 3.3, "output": "done\r\n",
        "error_message": null, "return_code": 0, "retry_count": 0, "max_retries": 3,
        "metadata": "{\"host\": \"a\"}",
    });
    let columns = columns.as_object().unwrap().clone();
    run.as_object_mut().unwrap().extend(columns);
    run
}

/// A run of V1 as the history keeps it.
#[derive(Debug, PartialEq)]
struct Kept {
    execution: Execution,
    output: String,
    notes: Vec<String>,
}

fn convert(columns: Value) -> Result<Kept, HistoryError> {
    let (row, owner) = (run(columns), owner());
    let row = V1History::from_row(row.as_object().unwrap());
    let converted = row.convert(&owner, Tz::Europe__Paris)?;
    let (execution, output) = converted.run.into_history(owner.key, owner.job_type);
    Ok(Kept {
        execution,
        output: output.text(),
        notes: converted.notes,
    })
}

#[test]
fn a_run_keeps_all_that_v1_had_and_is_marked() {
    let run = convert(json!({})).unwrap();
    let execution = &run.execution;
    assert_eq!(execution.job_id, owner().job_id);
    assert_eq!(
        (execution.job_key.as_str(), execution.job_name.as_str()),
        ("NIGHTLY-REPORT", "P5")
    );
    assert_eq!(
        (execution.status, execution.trigger),
        (RunState::Success, Trigger::Manual)
    );
    assert_eq!(execution.start_time, at("2025-09-02T08:00:00Z"));
    assert_eq!(execution.end_time, Some(at("2025-09-02T08:00:03.300Z")));
    assert_eq!(
        (execution.duration_seconds, execution.return_code),
        (Some(3.3), Some(0))
    );
    assert_eq!(
        (
            execution.retry_count,
            execution.max_retries,
            execution.is_retry
        ),
        (0, 3, false)
    );
    assert_eq!(
        (execution.executed_by.as_str(), execution.plugin.as_str()),
        ("v1", "v1")
    );
    let details = &execution.step_results[0].details;
    assert_eq!(
        (&details["executionId"], &details["metadata"]["host"]),
        (&json!("17"), &json!("a"))
    );
    assert_eq!(
        (run.output.as_str(), execution.output.stdout_bytes),
        ("done\r\n", 6)
    );
    assert_eq!(convert(json!({})).unwrap(), run);
}

#[test]
fn every_word_of_v1_has_its_state() {
    for (word, state) in [
        ("SUCCESS", RunState::Success),
        ("Failed", RunState::Failed),
        ("timeout", RunState::Timeout),
        ("cancelled", RunState::Cancelled),
        ("PARTIAL_SUCCESS", RunState::Failed),
        ("retry", RunState::Failed),
        ("running", RunState::Interrupted),
        ("pending", RunState::Interrupted),
    ] {
        let run = convert(json!({ "status": word })).unwrap();
        assert_eq!(run.execution.status, state, "{word}");
        assert_eq!(run.execution.step_results[0].details["status"], word);
        assert!(run.execution.status.is_final());
    }
    let partial = convert(json!({ "status": "PARTIAL_SUCCESS" })).unwrap();
    assert_eq!(
        partial.execution.error_message.as_deref(),
        Some("some of its steps failed")
    );
    let own = convert(json!({ "status": "FAILED", "error_message": "No script" })).unwrap();
    assert_eq!(own.execution.error_message.as_deref(), Some("No script"));
}

#[test]
fn what_is_unknown_is_an_error_and_never_guessed() {
    let unknown = convert(json!({ "status": "odd" }));
    assert_eq!(
        unknown,
        Err(HistoryError::UnknownStatus {
            found: "odd".to_owned()
        })
    );
    assert_eq!(
        convert(json!({ "execution_id": null })),
        Err(HistoryError::NoId)
    );
    assert_eq!(
        convert(json!({ "start_time": "x", "end_time": null })),
        Err(HistoryError::NoDate)
    );
}

#[test]
fn dates_that_are_missing_or_mixed_up_are_told() {
    // Start in local time, end in UTC: one real row of V1 was so.
    let mixed = convert(
        json!({ "start_time": "2025-09-02T10:00:00", "end_time": "2025-09-02T04:30:00", "duration_seconds": 0.00004 }),
    );
    let mixed = mixed.unwrap();
    assert_eq!(mixed.execution.end_time, Some(mixed.execution.start_time));
    assert_eq!(mixed.notes.len(), 1);
    let far =
        convert(json!({ "end_time": "2025-09-02T15:30:00", "duration_seconds": 0.00004 })).unwrap();
    assert_eq!(far.execution.duration_seconds, Some(0.00004));
    assert!(far.notes[0].contains("does not fit"), "{:?}", far.notes);
    let endless = convert(json!({ "end_time": null, "duration_seconds": 2 })).unwrap();
    assert_eq!(endless.execution.end_time, Some(at("2025-09-02T08:00:02Z")));
    let only_end = convert(json!({ "start_time": null })).unwrap();
    assert_eq!(only_end.execution.start_time, at("2025-09-02T08:00:00Z"));
    let infinite = convert(json!({ "duration_seconds": "Infinity" })).unwrap();
    assert_eq!(infinite.execution.duration_seconds, Some(3.3));
    let nothing =
        convert(json!({ "end_time": null, "duration_seconds": null, "status": "running" }))
            .unwrap();
    assert_eq!(nothing.execution.duration_seconds, Some(0.0));
}

#[test]
fn windows_exit_codes_keep_their_sign() {
    for (given, expected) in [
        (json!(-1), Some(-1)),
        (json!("1"), Some(1)),
        (json!(3_221_225_786_u32), Some(-1_073_741_510)),
        (json!(1.5), None),
    ] {
        assert_eq!(
            convert(json!({ "return_code": given }))
                .unwrap()
                .execution
                .return_code,
            expected
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_run_makes_it_panic(
        seconds in any::<f64>(),
        dates in prop::collection::vec("[0-9]{1,4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:00(:00)?Z?", 2),
        number in any::<i64>(),
        text in any::<String>(),
    ) {
        let run = convert(json!({
            "start_time": dates[0], "end_time": dates[1], "duration_seconds": seconds,
            "return_code": number, "retry_count": number, "metadata": text, "output": text,
        }));
        if let Ok(run) = run {
            prop_assert!(run.execution.end_time >= Some(run.execution.start_time));
            prop_assert_eq!(run.output, text);
        }
    }
}
