//! Reports parts of a run as steps. A step that is begun here is always ended.

use serde_json::{Map, Value};

use crate::run_context::{Step, StepStatus};
use crate::types::Failure;

/// What is kept with a step.
pub type Details = Map<String, Value>;

/// Does a part of the run as a step of its own: a success when `work` returns a
/// value; failed, with the failure's sentence as `error` in its details, when it
/// does not. `kind` is a word of the job type: `select`.
///
/// # Errors
/// The failure of `work`, or of reporting the step.
pub fn step<T>(
    name: &str,
    kind: &str,
    work: impl FnOnce(&mut Details) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let step = Step::start(name, kind)?;
    let mut details = Details::new();
    let done = work(&mut details);
    let status = match &done {
        Ok(_) => StepStatus::Success,
        Err(failure) => {
            let sentence = Value::String(failure.sentence());
            details.entry("error").or_insert(sentence);
            StepStatus::Failed
        }
    };
    let reported = step.finish(status, &json(&Value::Object(details)));
    // Why the work failed says more than why its step could not be reported.
    let value = done?;
    reported.map(|()| value)
}

/// Reports a part that was left out, and why.
///
/// # Errors
/// When the step can't be reported.
pub fn skipped(name: &str, kind: &str, reason: &str) -> Result<(), Failure> {
    let details = serde_json::json!({ "reason": reason });
    Step::start(name, kind)?.finish(StepStatus::Skipped, &json(&details))
}

/// Details as a step takes them. The same as their `to_string`, and quicker: that makes
/// indirect calls, of which the first of each kind costs a fresh instance a look through
/// its functions.
#[must_use]
pub fn json(details: &Value) -> String {
    serde_json::to_string(details).unwrap_or_else(|_| details.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_the_same_text_either_way() {
        let details = serde_json::json!({ "tool": "/bin/sh \"ä\"", "exitCode": 1, "big": 1e300, "none": null });
        assert_eq!(json(&details), details.to_string());
    }
}
