//! Turns how a call of a plugin ended into how the run ended, with the name of
//! the limit, its value and the setting that changes it. Never acts.

use std::time::Duration;

use wasmtime::Trap;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi::I32Exit;

use crate::bindings::job_type::Completion;
use crate::bindings::types::Failure;
use crate::call::HOSTCALL_BYTES;
use crate::capability::Ended;
use crate::failure::codes;
use crate::report::{RunEnd, RunFailure};
use crate::scope::RunScope;
use crate::state::{Breach, HANDLES, RunState};
use crate::text;

/// The longest sentence of a plugin that is kept, in bytes.
const LONGEST_SENTENCE: usize = 8 << 10;
/// What wasmtime says when a call passes too many bytes. It has no type for it;
/// a test of a hostile plugin shows that the words are still these.
const FUEL: &str = "fuel allocated for hostcalls";
/// The same for handles.
const FULL_TABLE: &str = "store handle limit exceeded";

/// How the call ended; `None` when it had to be dropped.
pub(crate) type CallEnd = Option<wasmtime::Result<Result<Completion, Failure>>>;

/// How the run ended.
///
/// A stop counts when it cut something short or was told to the plugin. What a
/// plugin returns after a stop that nothing noticed stands: the run did, or
/// failed to do, all its work.
pub(crate) fn end(call: CallEnd, state: &RunState) -> RunEnd {
    let stopped = state.scope.stop_given();
    let returned = matches!(call, Some(Ok(_)));
    if let Some(reason) = stopped
        && (!returned || state.scope.stop_noticed())
    {
        return reason.into();
    }
    match call {
        Some(Ok(Ok(done))) if done.success => RunEnd::Succeeded {
            return_code: done.return_code,
        },
        Some(Ok(Ok(done))) => RunEnd::Failed {
            return_code: done.return_code,
            failure: failure("job_failed", said(done.message.as_deref().unwrap_or(""))),
        },
        Some(Ok(Err(reason))) => failed(plain(reason)),
        Some(Err(error)) => failed(crash(&error, state)),
        None => failed(failure("dropped", "the plugin did not end".to_owned())),
    }
}

/// The same once all that the run held was ended: what can't be ended, and what
/// used more than it may, is told whatever the plugin made of it.
pub(crate) fn after_all(end: RunEnd, ended: &Ended) -> RunEnd {
    if let Some(left) = &ended.left {
        let how = match &end {
            RunEnd::TimedOut => "the run's time was over",
            RunEnd::Cancelled => "the run was cancelled",
            RunEnd::Succeeded { .. } | RunEnd::Failed { .. } => "the run ended",
        };
        let message = format!(
            "{how}, and its processes were killed, but this is still there: {}; look for what holds it (a device or network file system that hangs, a debugger, a frozen cgroup)",
            said(left)
        );
        return failed(failure(codes::KILL_UNCONFIRMED, message));
    }
    match (&end, &ended.passed) {
        (RunEnd::Succeeded { .. } | RunEnd::Failed { .. }, Some(passed)) => {
            failed(plain(passed.clone()))
        }
        _ => end,
    }
}

fn failed(failure: RunFailure) -> RunEnd {
    RunEnd::Failed {
        return_code: None,
        failure,
    }
}

fn failure(code: &str, message: String) -> RunFailure {
    RunFailure {
        code: code.to_owned(),
        message,
    }
}

/// A plugin's own sentence: bounded, and without characters that move a cursor.
fn said(message: &str) -> String {
    if message.trim().is_empty() {
        return "the plugin gave no reason".to_owned();
    }
    text::sentence(message, LONGEST_SENTENCE)
}

/// A plugin's own code, if it is a word of the kind that the contract asks for.
fn code(code: &str) -> &str {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if (1..=64).contains(&code.len()) && code.bytes().all(word) {
        code
    } else {
        "plugin_failure"
    }
}

/// A failure of the contract in one sentence.
fn plain(reason: Failure) -> RunFailure {
    match reason {
        Failure::Invalid(detail)
        | Failure::Denied(detail)
        | Failure::NotFound(detail)
        | Failure::Unavailable(detail)
        | Failure::Other(detail) => failure(code(&detail.code), said(&detail.message)),
        Failure::Limit(reached) => limit(&reached.limit, &reached.value, &reached.setting),
        // A stop has been seen to before: these two are not true.
        Failure::Cancelled | Failure::TimedOut => failure(
            "plugin_failure",
            "the plugin says that it was stopped, but nobody stopped it".to_owned(),
        ),
    }
}

/// A limit that no setting changes.
fn fixed(name: &str, value: &str, why: &str) -> RunFailure {
    failure(
        &format!("limit_{name}"),
        format!(
            "the run reached its limit `{name}` of {value}: the plugin is at fault, {why}; this limit is fixed"
        ),
    )
}

fn limit(name: &str, value: &str, setting: &str) -> RunFailure {
    let word = name.replace(['.', '-'], "_");
    let (name, value) = (text::sentence(name, 64), text::sentence(value, 64));
    let setting = text::sentence(setting, 64);
    let place = match setting.strip_prefix("job.") {
        Some(setting) => format!("`{setting}` of the job"),
        None => format!("`{setting}` in the server's configuration"),
    };
    failure(
        code(&format!("limit_{word}")),
        format!("the run reached its limit `{name}` of {value}; {place} changes it"),
    )
}

/// A plugin that did not return.
fn crash(error: &wasmtime::Error, state: &RunState) -> RunFailure {
    let limits = state.scope.limits();
    if let Some(breach) = error.downcast_ref::<Breach>() {
        let time = seconds(limits.compute_time);
        let calls = format!("{} calls", limits.host_calls);
        return match breach {
            Breach::ComputeTime => limit("compute_time", &time, "limits.computeTime"),
            Breach::HostCalls => limit("host_calls", &calls, "limits.hostCalls"),
            Breach::IgnoredStop => failure("ignored_stop", breach.to_string()),
        };
    }
    let trap = error.downcast_ref::<Trap>();
    // A plugin that gets no memory aborts or exits, each language in its own way.
    if state.limiter.refused() && trap != Some(&Trap::StackOverflow) {
        let value = bytes(state.limiter.limit());
        return limit("guest_memory", &value, "limits.guestMemory");
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return failure(
            "plugin_exit",
            format!("the plugin ended itself with code {}", exit.0),
        );
    }
    match trap {
        Some(trap) => trapped(trap),
        None => refused(error),
    }
}

fn trapped(trap: &Trap) -> RunFailure {
    match trap {
        Trap::StackOverflow => fixed("stack", "512 KiB", "it called itself too deep"),
        Trap::MemoryOutOfBounds => failure(
            "trap",
            "the plugin crashed: out of bounds memory access (in a Rust plugin often a recursion too deep for the stack that it keeps in its memory)".to_owned(),
        ),
        trap => {
            let trap = trap.to_string();
            let trap = trap.strip_prefix("wasm trap: ").unwrap_or(&trap);
            failure("trap", format!("the plugin crashed: {trap}"))
        }
    }
}

/// What wasmtime itself did not let the plugin do.
fn refused(error: &wasmtime::Error) -> RunFailure {
    let reason = error.root_cause().to_string();
    if reason.contains(FUEL) {
        return fixed(
            "host_call_bytes",
            &bytes(HOSTCALL_BYTES as u64),
            "it passed too much in one call",
        );
    }
    let full = error.downcast_ref::<ResourceTableError>();
    if matches!(full, Some(ResourceTableError::Full)) || reason.contains(FULL_TABLE) {
        let value = format!("{HANDLES} handles");
        return fixed("handles", &value, "it held too many at a time");
    }
    failure(
        "plugin_error",
        format!(
            "the plugin broke the rules of its interface: {}",
            said(&reason)
        ),
    )
}

/// A plugin that did not say what it is, or whether a configuration is right.
pub(crate) fn no_answer(error: &wasmtime::Error, state: &RunState) -> RunFailure {
    match error.downcast_ref::<Breach>() {
        Some(Breach::ComputeTime) => failure(
            "limit_compute_time",
            format!(
                "the plugin computed for {} and did not answer; it may be broken",
                seconds(state.scope.limits().compute_time)
            ),
        ),
        _ => crash(error, state),
    }
}

/// A plugin that waited instead of answering.
pub(crate) fn late_answer(wall: Duration) -> RunFailure {
    failure(
        "no_answer",
        format!("the plugin did not answer within {}", seconds(wall)),
    )
}

/// Nothing is wrong with the plugin; the server is busy.
pub(crate) fn no_place(wall: Duration) -> RunFailure {
    failure(
        "no_answer",
        format!(
            "all plugin instances were in use for {}; try again later",
            seconds(wall)
        ),
    )
}

/// What a log should keep of a crash.
pub(crate) fn log_crash(plugin: &str, scope: &RunScope, error: &wasmtime::Error) {
    let execution = scope.attribute("execution-id").unwrap_or("-");
    tracing::debug!(
        plugin,
        execution,
        error = format!("{error:#}"),
        "a plugin did not return"
    );
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

fn bytes(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{bytes} bytes")
    }
}
