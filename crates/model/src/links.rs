//! What ties a job to other runs and other jobs: concurrency, priority, and
//! the jobs that it follows. Never knows whether another job exists.

use crate::fields::{Fields, Taken};
use crate::parts::{WEEK, duration, within};
use crate::spec::{After, AfterOutcome, Concurrency, ConcurrencyPolicy, QueueBounds};
use crate::wording::{is_plain, shown};

/// The most jobs that a job may follow.
const MOST_PREDECESSORS: usize = 20;
/// The longest key that jobs share a limit by, in characters.
const LONGEST_KEY: usize = 200;
/// Priorities lie between this and its negative.
const HIGHEST_PRIORITY: i32 = 100;

pub(crate) fn priority(fields: &mut Fields<'_>) -> i32 {
    let given = fields.take("priority", &[]);
    given
        .and_then(|taken| taken.integer(-HIGHEST_PRIORITY, HIGHEST_PRIORITY))
        .unwrap_or(0)
}

pub(crate) fn concurrency(fields: &mut Fields<'_>) -> Concurrency {
    let words = [
        ("skip", ConcurrencyPolicy::Skip),
        ("queue", ConcurrencyPolicy::Queue),
        ("replace", ConcurrencyPolicy::Replace),
        ("allow", ConcurrencyPolicy::Allow),
    ];
    let given = within(fields, "concurrency", |concurrency| {
        let limit = concurrency.take("limit", &[]);
        let key = concurrency.take("key", &[]);
        let queue = concurrency.take("queue", &[]);
        let policy = concurrency
            .take("policy", &[])
            .and_then(|taken| taken.word(&words))
            .unwrap_or(ConcurrencyPolicy::Skip);
        if policy == ConcurrencyPolicy::Allow {
            let why = "`policy: allow` sets no limit";
            limit
                .iter()
                .chain(&key)
                .for_each(|taken| no_effect(taken, why));
        }
        if let Some(queue) = queue
            .as_ref()
            .filter(|_| policy != ConcurrencyPolicy::Queue)
        {
            no_effect(queue, "runs wait by `policy: queue` only");
        }
        Concurrency {
            limit: limit.and_then(|taken| taken.count(1, 10_000)).unwrap_or(1),
            policy,
            key: key.and_then(|taken| shared_key(&taken)),
            queue: queue.map(|taken| queue_bounds(&taken)).unwrap_or_default(),
        }
    });
    given.unwrap_or_default()
}

fn no_effect(taken: &Taken<'_>, why: &str) {
    let message = format!("`{}` has no effect: {why}", taken.key);
    let place = taken.node.place;
    taken
        .notes
        .warning("no_effect", &taken.pointer, place, message, None);
}

fn shared_key(taken: &Taken<'_>) -> Option<String> {
    let key = taken.text()?;
    if key.chars().count() <= LONGEST_KEY && key.chars().all(is_plain) && key.trim() == key {
        return Some(key.to_owned());
    }
    let message = format!(
        "`{}` can't be a key: at most {LONGEST_KEY} characters on one line, no blanks around them",
        shown(key)
    );
    taken.wrong("bad_name", message, Some("for example `key: warehouse`"));
    None
}

fn queue_bounds(taken: &Taken<'_>) -> QueueBounds {
    let usual = QueueBounds::default();
    let Some(mut bounds) = Fields::of(taken) else {
        return usual;
    };
    let read = QueueBounds {
        max: bounds
            .take("max", &[])
            .and_then(|taken| taken.count(1, 10_000))
            .unwrap_or(usual.max),
        max_age: duration(&mut bounds, "maxAge", WEEK).unwrap_or(usual.max_age),
    };
    bounds.refuse_rest();
    read
}

/// The jobs after which this one, `own`, is started.
pub(crate) fn after(fields: &mut Fields<'_>, own: &str) -> Vec<After> {
    let Some(taken) = fields.take("after", &[]) else {
        return Vec::new();
    };
    let mut all: Vec<After> = Vec::new();
    for item in taken.list_of_at_most(MOST_PREDECESSORS) {
        let Some((after, job)) = predecessor(&item) else {
            continue;
        };
        if after.job == own {
            let message = "a job can't be started after itself";
            job.wrong("own_job", message, Some("use `schedule` to repeat it"));
        } else if all.iter().any(|other| other.job == after.job) {
            job.twice(&after.job);
        } else {
            all.push(after);
        }
    }
    all
}

fn predecessor<'a>(item: &Taken<'a>) -> Option<(After, Taken<'a>)> {
    let words = [
        ("success", AfterOutcome::Success),
        ("failure", AfterOutcome::Failure),
        ("always", AfterOutcome::Always),
    ];
    let mut fields = Fields::of(item)?;
    let job = fields.require("job", &[]);
    let on = fields.take("on", &[]);
    fields.refuse_rest();
    let job = job?;
    let after = After {
        job: job.text()?.to_owned(),
        on: match on {
            Some(on) => on.word(&words)?,
            None => AfterOutcome::Success,
        },
    };
    Some((after, job))
}
