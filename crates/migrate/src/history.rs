//! Rows of V1's `job_execution_history` as runs of V2, marked as V1's. Never
//! decides which job a run belongs to.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value, json};

use jobcell_model::{ForeignRun, JobId, RunState};

use crate::date;
use crate::draft::fitting;
use crate::report::Converted;
use crate::row::{Columns, number_of, shown, text_of};
use crate::{run_id, status};

/// How far a duration may lie from its dates before that is told, in seconds.
const TOLERANCE: f64 = 60.0;

/// A row of V1's `job_execution_history`, as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct V1History {
    /// Its number.
    pub execution_id: Option<String>,
    /// The job's id; V1 kept runs of jobs that were deleted.
    pub job_id: Option<String>,
    /// The job's name at that time.
    pub job_name: Option<String>,
    /// How it stood, in any casing.
    pub status: Option<String>,
    /// When it started: naive.
    pub start_time: Option<String>,
    /// When it ended: naive.
    pub end_time: Option<String>,
    /// How long it took.
    pub duration_seconds: Option<f64>,
    /// What it wrote.
    pub output: Option<String>,
    /// Why it failed.
    pub error_message: Option<String>,
    /// The exit code.
    pub return_code: Option<i32>,
    /// Which retry it was.
    pub retry_count: Option<u32>,
    /// How many there could have been.
    pub max_retries: Option<u32>,
    /// What V1 noted besides.
    pub metadata: Option<Value>,
    /// The row, without its output.
    pub raw: Value,
}

/// The job that a run belongs to, as far as a run keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOwner {
    /// The server's id of the job.
    pub job_id: JobId,
    /// The job's own `id`.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its type, spelled as V2 does.
    pub job_type: String,
    /// The zone of its schedule.
    pub timezone: Tz,
}

impl From<&Converted> for RunOwner {
    fn from(job: &Converted) -> Self {
        Self {
            job_id: job.job_id,
            key: job.key.clone(),
            name: job.name.clone(),
            job_type: job.job_type.to_owned(),
            timezone: job.timezone,
        }
    }
}

/// A run of V1 as one of V2.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvertedRun {
    /// The run, with what it wrote as far as V1 kept it.
    pub run: ForeignRun,
    /// What was decided.
    pub notes: Vec<String>,
}

/// A run of V1 that can't be migrated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// It has no status that V1 had.
    #[error("the status `{found}` is not known")]
    UnknownStatus {
        /// What it has.
        found: String,
    },
    /// It does not say when it was.
    #[error("neither start nor end of the run is a date")]
    NoDate,
    /// It has nothing to tell it from others.
    #[error("the run has no execution_id")]
    NoId,
}

impl V1History {
    /// Takes a row apart, as [`V1Job::from_row`](crate::V1Job::from_row) does.
    #[must_use]
    pub fn from_row(row: &Map<String, Value>) -> Self {
        let columns = Columns(row);
        let whole = |name: &str| columns.find(&[name]).and_then(whole_of);
        let unsigned = |name: &str| whole(name).and_then(|number| u32::try_from(number).ok());
        let mut raw = row.clone();
        raw.retain(|name, _| !name.eq_ignore_ascii_case("output"));
        Self {
            execution_id: columns.filled(&["execution_id"]),
            job_id: columns.filled(&["job_id"]),
            job_name: columns.filled(&["job_name"]),
            status: columns.filled(&["status"]),
            start_time: columns.filled(&["start_time"]),
            end_time: columns.filled(&["end_time"]),
            duration_seconds: columns.find(&["duration_seconds"]).and_then(number_of),
            output: columns.text(&["output"]),
            error_message: columns.filled(&["error_message"]),
            return_code: whole("return_code"),
            retry_count: unsigned("retry_count"),
            max_retries: unsigned("max_retries"),
            metadata: columns.find(&["metadata"]).and_then(metadata_of),
            raw: Value::Object(raw),
        }
    }

    /// The run of V2, with naive dates read in `zone`.
    ///
    /// # Errors
    /// When it can't be told what the run was: it is never guessed.
    pub fn convert(&self, owner: &RunOwner, zone: Tz) -> Result<ConvertedRun, HistoryError> {
        let number = self.execution_id.as_deref().ok_or(HistoryError::NoId)?;
        let word = self.status.as_deref().unwrap_or_default();
        let (state, remark) = status::read(word).ok_or_else(|| HistoryError::UnknownStatus {
            found: shown(word, 60),
        })?;
        let mut notes: Vec<String> = remark.map(str::to_owned).into_iter().collect();
        let span = self.span(zone, &mut notes)?;
        let execution_id = run_id::derived(owner.job_id, number.trim(), span.start);
        let run = ForeignRun {
            execution_id,
            job_id: owner.job_id,
            job_name: self.job_name.clone().unwrap_or_else(|| owner.name.clone()),
            status: state,
            start_time: span.start,
            end_time: span.end,
            duration_seconds: span.seconds,
            error_message: self.error(state, remark),
            return_code: self.return_code,
            retry_count: self.retry_count.unwrap_or(0),
            max_retries: self.max_retries.unwrap_or(0),
            execution_timezone: owner.timezone.name().to_owned(),
            noted: self.noted(),
            output: self.output.clone().unwrap_or_default(),
        };
        Ok(ConvertedRun { run, notes })
    }

    /// V1's message; for a run that did not end as V1 says, what is known.
    fn error(&self, state: RunState, remark: Option<&str>) -> Option<String> {
        let own = self.error_message.clone();
        own.or_else(|| {
            remark
                .filter(|_| state != RunState::Success)
                .map(str::to_owned)
        })
    }

    /// What V1 noted of the run: nothing of it is lost.
    fn noted(&self) -> Value {
        json!({
            "migratedFrom": "v1",
            "executionId": self.execution_id,
            "status": self.status,
            "startTime": self.start_time,
            "endTime": self.end_time,
            "metadata": self.metadata,
        })
    }

    /// When the run was, out of three columns of which any may be missing or
    /// wrong: V1 mixed local time and UTC.
    fn span(&self, zone: Tz, notes: &mut Vec<String>) -> Result<Span, HistoryError> {
        let read = |text: &Option<String>| {
            let date = date::read(text.as_deref()?)?;
            date.within(zone).map(|(at, _)| at)
        };
        let (start, end) = (read(&self.start_time), read(&self.end_time));
        let seconds = self.duration_seconds.filter(|seconds| *seconds >= 0.0);
        let length = seconds.and_then(length);
        let start = start.or_else(|| {
            notes.push("V1 has no start; it follows from the end".to_owned());
            end?.checked_sub_signed(length.unwrap_or_default())
        });
        let start = start.ok_or(HistoryError::NoDate)?;
        let counted = length.and_then(|length| start.checked_add_signed(length));
        let end = match (end.filter(|end| *end >= start), counted) {
            (Some(end), _) => end,
            (None, counted) => {
                if end.is_some() || counted.is_none() {
                    let note = "V1 has no end after the start; it follows from the duration";
                    notes.push(note.to_owned());
                }
                counted.unwrap_or(start)
            }
        };
        let between = seconds_of(end - start);
        let seconds = seconds.unwrap_or(between);
        if (seconds - between).abs() > TOLERANCE {
            notes.push(format!(
                "V1's duration of {seconds} s does not fit its dates"
            ));
        }
        Ok(Span {
            start,
            end,
            seconds,
        })
    }
}

struct Span {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    seconds: f64,
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds of a hundred years stay far below 2^53"
)]
fn length(seconds: f64) -> Option<TimeDelta> {
    (0.0..3e9)
        .contains(&seconds)
        .then(|| TimeDelta::try_milliseconds((seconds * 1e3).round() as i64))
        .flatten()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds between two dates of V1 stay far below 2^53"
)]
fn seconds_of(length: TimeDelta) -> f64 {
    length.num_milliseconds() as f64 / 1e3
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "whole and within the bounds of an i32"
)]
fn whole_of(value: &Value) -> Option<i32> {
    let number = number_of(value)?;
    // Exit codes of Windows may be written without their sign.
    let number = if (2_147_483_648.0..4_294_967_296.0).contains(&number) {
        number - 4_294_967_296.0
    } else {
        number
    };
    let fits = number.fract() == 0.0 && (-2_147_483_648.0..2_147_483_648.0).contains(&number);
    fits.then_some(number as i32)
}

/// Metadata is JSON text; what is none is kept as text.
fn metadata_of(value: &Value) -> Option<Value> {
    let text = text_of(value).filter(|text| !text.trim().is_empty())?;
    Some(match value {
        Value::String(_) => {
            let read = serde_json::from_str::<Value>(&text);
            fitting(&read.unwrap_or(Value::String(text)))
        }
        other => fitting(other),
    })
}
