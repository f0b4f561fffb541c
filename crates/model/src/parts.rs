//! The composite keys of a job, one function each. Never knows of schedules,
//! parameters and what ties jobs together, which have files of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::fields::{Fields, Taken};
use crate::spec::{Backoff, CatchUp, CatchUpPolicy, JobLimits, Notifications, RetryPolicy};
use crate::tree::Kind;
use crate::wording::shown;

pub(crate) const WEEK: Duration = Duration::from_secs(7 * 86_400);
const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// Reads a mapping below a key with `read`, and refuses what it leaves.
pub(crate) fn within<'a, T>(
    fields: &mut Fields<'a>,
    key: &'static str,
    read: impl FnOnce(&mut Fields<'a>) -> T,
) -> Option<T> {
    let taken = fields.take(key, &[])?;
    let mut inner = Fields::of(&taken)?;
    let value = read(&mut inner);
    inner.refuse_rest();
    Some(value)
}

pub(crate) fn duration(
    fields: &mut Fields<'_>,
    key: &'static str,
    most: Duration,
) -> Option<Duration> {
    fields.take(key, &[])?.duration(most)
}

pub(crate) fn retry_policy(fields: &mut Fields<'_>) -> Option<RetryPolicy> {
    let words = [
        ("fixed", Backoff::Fixed),
        ("exponential", Backoff::Exponential),
    ];
    within(fields, "retryPolicy", |policy| {
        let retries = policy
            .take("maxRetries", &[])
            .and_then(|taken| taken.count(0, 100));
        let delay = duration(policy, "retryDelay", WEEK);
        let backoff = policy
            .take("backoff", &[])
            .and_then(|taken| taken.word(&words));
        let max_delay = policy.take("maxDelay", &[]);
        if let Some(taken) = &max_delay
            && backoff != Some(Backoff::Exponential)
        {
            let message =
                "`maxDelay` has no effect: the delay grows with `backoff: exponential` only";
            policy
                .notes
                .warning("no_effect", &taken.pointer, taken.node.place, message, None);
        }
        RetryPolicy {
            max_retries: retries.unwrap_or(0),
            retry_delay: delay.unwrap_or(Duration::from_secs(30)),
            backoff: backoff.unwrap_or(Backoff::Fixed),
            max_delay: max_delay.and_then(|taken| taken.duration(WEEK)),
            jitter: duration(policy, "jitter", WEEK).unwrap_or_default(),
            retry_on: policy
                .take("retryOn", &[])
                .map(|taken| words_of(&taken))
                .unwrap_or_default(),
        }
    })
}

fn words_of(taken: &Taken<'_>) -> Vec<String> {
    let items = taken.items().unwrap_or_default();
    items
        .iter()
        .filter_map(|item| item.text().map(str::to_owned))
        .collect()
}

pub(crate) fn catch_up(fields: &mut Fields<'_>) -> CatchUp {
    let words = [
        ("none", CatchUpPolicy::None),
        ("latest", CatchUpPolicy::Latest),
        ("all", CatchUpPolicy::All),
    ];
    let usual = CatchUp::default();
    let given = within(fields, "catchUp", |catch_up| CatchUp {
        policy: catch_up
            .take("policy", &[])
            .and_then(|taken| taken.word(&words))
            .unwrap_or(usual.policy),
        window: duration(catch_up, "window", YEAR).unwrap_or(usual.window),
        max: catch_up
            .take("max", &[])
            .and_then(|taken| taken.count(1, 10_000))
            .unwrap_or(usual.max),
    });
    given.unwrap_or(usual)
}

pub(crate) fn limits(fields: &mut Fields<'_>) -> JobLimits {
    let given = within(fields, "limits", |limits| JobLimits {
        memory: limits.take("memory", &[]).and_then(|taken| taken.size()),
        cpu_time: limits
            .take("cpuTime", &[])
            .and_then(|taken| taken.positive_duration(YEAR)),
        processes: limits
            .take("processes", &[])
            .and_then(|taken| taken.count(1, 100_000)),
        open_files: limits
            .take("openFiles", &[])
            .and_then(|taken| taken.count(1, 1_000_000)),
        output: limits.take("output", &[]).and_then(|taken| taken.size()),
    });
    given.unwrap_or_default()
}

pub(crate) fn metadata(fields: &mut Fields<'_>) -> Map<String, Value> {
    let Some(taken) = fields.take("metadata", &[]) else {
        return Map::new();
    };
    match taken.node.to_json() {
        Value::Object(metadata) => metadata,
        _ => {
            taken.wrong_type("a mapping", None);
            Map::new()
        }
    }
}

pub(crate) fn environment(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let Some(taken) = fields.take("environment", &[]) else {
        return BTreeMap::new();
    };
    let Kind::Map(entries) = &taken.node.kind else {
        taken.wrong_type("a mapping of names and texts", None);
        return BTreeMap::new();
    };
    let mut variables = BTreeMap::new();
    for entry in entries {
        let variable = taken.inner(&entry.key, &entry.value);
        let name = &entry.key;
        if name.trim().is_empty() || name.contains('=') || name.chars().any(char::is_control) {
            let message = format!("a variable can't have the name `{}`", shown(name));
            let hint = Some("use letters, digits and `_`".to_owned());
            taken.notes.error(
                "bad_name",
                &variable.pointer,
                entry.key_place,
                message,
                hint,
            );
        }
        if let Some(value) = variable.any_text() {
            variables.insert(name.clone(), value.to_owned());
        }
    }
    variables
}

pub(crate) fn notifications(fields: &mut Fields<'_>) -> Option<Notifications> {
    within(fields, "notifications", |notifications| Notifications {
        on_success: targets(notifications.take("onSuccess", &[])),
        on_failure: targets(notifications.take("onFailure", &[])),
    })
}

/// Whom to tell: each an address, or a mapping that says more.
fn targets(taken: Option<Taken<'_>>) -> Vec<Value> {
    let items = taken.and_then(|taken| taken.items()).unwrap_or_default();
    let mut targets = Vec::new();
    for item in items {
        match &item.node.kind {
            Kind::Map(entries) if !entries.is_empty() => targets.push(item.node.to_json()),
            Kind::Map(_) => item.empty(),
            _ => targets.extend(item.text().map(Value::from)),
        }
    }
    targets
}
