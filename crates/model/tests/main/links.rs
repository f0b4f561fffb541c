//! Concurrency, priority, and jobs that follow other jobs.

use std::time::Duration;

use jobcell_model::{After, AfterOutcome, ConcurrencyPolicy};

use crate::support::{read, refused, sql};

#[test]
fn jobs_may_share_a_limit_and_wait_in_a_bounded_queue() {
    let spec = read(&sql(
        "concurrency: {limit: 2, policy: queue, key: warehouse, queue: {max: 5, maxAge: 10m}}\n",
    ))
    .spec;
    assert_eq!(spec.concurrency.policy, ConcurrencyPolicy::Queue);
    assert_eq!(spec.concurrency.key.as_deref(), Some("warehouse"));
    assert_eq!(spec.concurrency.queue.max, 5);
    assert_eq!(spec.concurrency.queue.max_age, Duration::from_secs(600));
    let usual = read(&sql("concurrency: {policy: queue}\n"))
        .spec
        .concurrency;
    assert_eq!(
        (usual.queue.max, usual.queue.max_age),
        (100, Duration::from_secs(3600))
    );
    assert_eq!(usual.key, None);
}

#[test]
fn what_a_policy_does_not_use_is_warned_of() {
    let warned = |lines: &str| -> Vec<String> {
        let warnings = read(&sql(lines)).warnings;
        warnings
            .iter()
            .map(|one| format!("{} {}", one.code, one.pointer))
            .collect()
    };
    assert_eq!(
        warned("concurrency: {queue: {max: 5}}\n"),
        ["no_effect /concurrency/queue"]
    );
    assert_eq!(
        warned("concurrency: {policy: allow, key: a}\n"),
        ["no_effect /concurrency/key"]
    );
    assert_eq!(warned("concurrency: {policy: queue, key: a}\n"), [""; 0]);
}

#[test]
fn wrong_bounds_and_keys_are_refused() {
    let check = |inner: &str, code: &str, column, key: &str| {
        let job = sql(&format!("concurrency: {{{inner}}}\n"));
        refused(&job, code, (5, column), &format!("/concurrency/{key}"), &[]);
    };
    check("key: ' a'", "bad_name", 20, "key");
    check("key: 5", "wrong_type", 20, "key");
    check(
        "policy: queue, queue: {max: 0}",
        "out_of_range",
        43,
        "queue/max",
    );
    check(
        "policy: queue, queue: {size: 1}",
        "unknown_key",
        38,
        "queue/size",
    );
    check("policy: queue, queue: 5", "wrong_type", 37, "queue");
}

#[test]
fn a_priority_lies_within_a_hundred_of_nothing() {
    assert_eq!(read(&sql("priority: -100\n")).spec.priority, -100);
    assert_eq!(read(&sql("")).spec.priority, 0);
    refused(
        &sql("priority: 101\n"),
        "out_of_range",
        (5, 11),
        "/priority",
        &["from -100 to 100"],
    );
    refused(
        &sql("priority: 1.5\n"),
        "out_of_range",
        (5, 11),
        "/priority",
        &[],
    );
    refused(
        &sql("priority: high\n"),
        "wrong_type",
        (5, 11),
        "/priority",
        &["whole number"],
    );
}

#[test]
fn a_job_may_follow_others() {
    let spec = read(&sql(
        "after:\n  - {job: extract, on: always}\n  - job: load\n",
    ))
    .spec;
    let after = |job: &str, on| After {
        job: job.to_owned(),
        on,
    };
    let expected = [
        after("extract", AfterOutcome::Always),
        after("load", AfterOutcome::Success),
    ];
    assert_eq!(spec.after, expected);
}

#[test]
fn a_job_never_follows_itself_or_another_twice() {
    refused(
        &sql("after: [{job: a}]\n"),
        "own_job",
        (5, 15),
        "/after/0/job",
        &["itself", "schedule"],
    );
    let twice = sql("after: [{job: b}, {job: b, on: failure}]\n");
    refused(&twice, "duplicate_key", (5, 25), "/after/1/job", &["twice"]);
    refused(
        &sql("after: b\n"),
        "wrong_type",
        (5, 8),
        "/after",
        &["a list"],
    );
    refused(
        &sql("after: [b]\n"),
        "wrong_type",
        (5, 9),
        "/after/0",
        &["mapping"],
    );
    refused(
        &sql("after: [{on: always}]\n"),
        "missing_key",
        (5, 9),
        "/after/0/job",
        &[],
    );
    let never = sql("after: [{job: b, on: never}]\n");
    refused(
        &never,
        "not_allowed",
        (5, 22),
        "/after/0/on",
        &["success, failure, always"],
    );
    let many: String = (0..21).map(|job| format!("{{job: j{job}}},")).collect();
    refused(
        &sql(&format!("after: [{many}]\n")),
        "out_of_range",
        (5, 8),
        "/after",
        &["at most 20"],
    );
}
