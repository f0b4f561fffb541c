//! The steps that a plugin reports, with times taken by the host.
//! Never trusts a plugin to end what it began.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use jobcell_model::{StepResult, StepStatus};
use serde_json::{Value, json};

use crate::limits::RunLimits;
use crate::text;

/// A step's name is cut to this many bytes.
const NAME: usize = 400;
/// The details of all steps may be so many times as long as those of one:
/// parsed, they take many times the room of their text.
const IN_SUM: usize = 64;

struct Begun {
    place: usize,
    start: Instant,
}

/// The steps of one run, in the order in which they started.
pub(crate) struct Steps {
    most: usize,
    detail_bytes: usize,
    details_left: usize,
    /// Shared with those who look at the run, once they have ended.
    results: Vec<Arc<StepResult>>,
    open: Vec<Option<Begun>>,
}

/// Why a step was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StepError {
    /// There are too many.
    TooMany,
    /// The details are no JSON object of a fair size.
    Details(String),
    /// The details of all steps have more than so many bytes.
    DetailsInSum(usize),
    /// It was ended already.
    Ended,
}

impl Steps {
    pub(crate) fn new(limits: &RunLimits) -> Self {
        Self {
            most: limits.steps,
            detail_bytes: limits.step_details,
            details_left: limits.step_details.saturating_mul(IN_SUM),
            results: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Starts a step and gives its handle.
    pub(crate) fn start(
        &mut self,
        name: &str,
        kind: &str,
        now: DateTime<Utc>,
    ) -> Result<u32, StepError> {
        if self.results.len() >= self.most {
            return Err(StepError::TooMany);
        }
        let handle = u32::try_from(self.open.len()).map_err(|_| StepError::TooMany)?;
        self.open.push(Some(Begun {
            place: self.results.len(),
            start: Instant::now(),
        }));
        self.results.push(Arc::new(StepResult {
            name: text::sentence(name, NAME),
            kind: text::sentence(kind, NAME),
            // Stands unless the plugin ends the step.
            status: StepStatus::Failed,
            start_time: now,
            duration_seconds: 0.0,
            details: json!({}),
        }));
        Ok(handle)
    }

    /// Ends a step and gives what is recorded of it.
    pub(crate) fn finish(
        &mut self,
        handle: u32,
        status: StepStatus,
        details: &str,
    ) -> Result<&Arc<StepResult>, StepError> {
        let length = details.len();
        let details = self.details(details)?;
        let begun = self.take(handle).ok_or(StepError::Ended)?;
        self.details_left -= length;
        let ended = &mut self.results[begun.place];
        // Nobody else has it yet: it is made once and changed in place.
        let result = Arc::make_mut(ended);
        result.status = status;
        result.duration_seconds = begun.start.elapsed().as_secs_f64();
        result.details = details;
        Ok(ended)
    }

    /// Ends a step that the plugin dropped; none if it was ended already.
    pub(crate) fn abandon(&mut self, handle: u32) -> Option<&Arc<StepResult>> {
        let begun = self.take(handle)?;
        let ended = &mut self.results[begun.place];
        let result = Arc::make_mut(ended);
        result.duration_seconds = begun.start.elapsed().as_secs_f64();
        result.details = json!({ "error": "the plugin did not finish this step" });
        Some(ended)
    }

    /// Ends all, tells of those that were still open, and takes what was reported.
    pub(crate) fn conclude(&mut self, mut tell: impl FnMut(&Arc<StepResult>)) -> Vec<StepResult> {
        for handle in 0..self.open.len() {
            if let Ok(handle) = u32::try_from(handle)
                && let Some(step) = self.abandon(handle)
            {
                tell(step);
            }
        }
        let results = std::mem::take(&mut self.results).into_iter();
        results.map(Arc::unwrap_or_clone).collect()
    }

    fn take(&mut self, handle: u32) -> Option<Begun> {
        self.open.get_mut(usize::try_from(handle).ok()?)?.take()
    }

    fn details(&self, text: &str) -> Result<Value, StepError> {
        if text.len() > self.detail_bytes {
            return Err(StepError::Details(format!(
                "the details of a step have {} bytes; `limits.stepDetails` allows {}",
                text.len(),
                self.detail_bytes
            )));
        }
        if text.len() > self.details_left {
            let most = self.detail_bytes.saturating_mul(IN_SUM);
            return Err(StepError::DetailsInSum(most));
        }
        match serde_json::from_str(text) {
            Ok(details @ Value::Object(_)) => Ok(details),
            Ok(_) => Err(StepError::Details(
                "the details of a step are no JSON object".to_owned(),
            )),
            Err(error) => Err(StepError::Details(format!(
                "the details of a step are no JSON: {error}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> Steps {
        Steps::new(&RunLimits {
            steps: 2,
            step_details: 16,
            ..RunLimits::default()
        })
    }

    #[test]
    fn a_step_that_is_never_finished_counts_as_failed() {
        let mut steps = steps();
        let one = steps.start("one", "k", Utc::now());
        steps.start("two", "k", Utc::now()).ok();
        assert!(
            steps
                .finish(one.unwrap_or(9), StepStatus::Success, "{}")
                .is_ok()
        );
        let mut told = Vec::new();
        let results = steps.conclude(|step| told.push(step.name.clone()));
        assert_eq!(told, ["two"]);
        assert_eq!(results[0].status, StepStatus::Success);
        assert_eq!(results[1].status, StepStatus::Failed);
    }

    #[test]
    fn steps_and_details_are_bounded() {
        let mut steps = steps();
        assert_eq!(steps.start("a", "k", Utc::now()), Ok(0));
        assert_eq!(steps.start("b", "k", Utc::now()), Ok(1));
        assert_eq!(steps.start("c", "k", Utc::now()), Err(StepError::TooMany));
        for wrong in ["[]", "{", "{\"a\": \"0123456789\"}"] {
            let result = steps.finish(0, StepStatus::Success, wrong);
            assert!(matches!(result, Err(StepError::Details(_))), "{wrong}");
        }
        assert!(steps.finish(0, StepStatus::Success, "{}").is_ok());
        assert_eq!(
            steps.finish(0, StepStatus::Success, "{}"),
            Err(StepError::Ended)
        );
    }

    #[test]
    fn details_are_bounded_in_sum() {
        let mut steps = Steps::new(&RunLimits {
            steps: 1000,
            step_details: 20,
            ..RunLimits::default()
        });
        let details = "{\"a\": \"012345678\"}";
        let mut taken = 0;
        while let Ok(handle) = steps.start("s", "k", Utc::now()) {
            match steps.finish(handle, StepStatus::Success, details) {
                Ok(_) => taken += details.len(),
                Err(error) => {
                    assert_eq!(error, StepError::DetailsInSum(20 * IN_SUM));
                    break;
                }
            }
        }
        assert!(taken > 20 * (IN_SUM - 1) && taken <= 20 * IN_SUM, "{taken}");
    }
}
