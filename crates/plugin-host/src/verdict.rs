//! Turns how a call of a plugin ended into how the run ended, with the name of
//! the limit, its value and the setting that changes it. Never acts.

use std::time::Duration;

use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use crate::bindings::job_type::Completion;
use crate::bindings::types::{Detail, Failure};
use crate::report::{RunEnd, RunFailure};
use crate::scope::{RunScope, StopReason};
use crate::state::{Breach, RunState};

/// How the call ended; `None` when it had to be dropped.
pub(crate) type CallEnd = Option<wasmtime::Result<Result<Completion, Failure>>>;

/// How the run ended.
pub(crate) fn end(call: CallEnd, state: &RunState) -> RunEnd {
    let stopped = state.scope.stop_reason();
    let failed = |failure| RunEnd::Failed {
        return_code: None,
        failure,
    };
    match call {
        // It did its work, even if a stop came in the last moment.
        Some(Ok(Ok(done))) if done.success => RunEnd::Succeeded {
            return_code: done.return_code,
        },
        _ if stopped.is_some() => stop(stopped),
        None => failed(failure("dropped", "the plugin did not end".to_owned())),
        Some(Ok(Ok(done))) => RunEnd::Failed {
            return_code: done.return_code,
            failure: failure(
                "job_failed",
                done.message
                    .unwrap_or_else(|| "the plugin gave no reason".to_owned()),
            ),
        },
        Some(Ok(Err(Failure::Cancelled))) => RunEnd::Cancelled,
        Some(Ok(Err(Failure::TimedOut))) => RunEnd::TimedOut,
        Some(Ok(Err(reason))) => failed(plain(reason)),
        Some(Err(error)) => failed(crash(&error, state)),
    }
}

fn stop(reason: Option<StopReason>) -> RunEnd {
    match reason {
        Some(StopReason::TimedOut) => RunEnd::TimedOut,
        Some(StopReason::Cancelled) | None => RunEnd::Cancelled,
    }
}

fn failure(code: &str, message: String) -> RunFailure {
    RunFailure {
        code: code.to_owned(),
        message,
    }
}

/// A failure of the contract in one sentence.
pub(crate) fn plain(reason: Failure) -> RunFailure {
    let said = |detail: Detail| failure(&detail.code, detail.message);
    match reason {
        Failure::Invalid(detail)
        | Failure::Denied(detail)
        | Failure::NotFound(detail)
        | Failure::Unavailable(detail)
        | Failure::Other(detail) => said(detail),
        Failure::Limit(reached) => limit(&reached.limit, &reached.value, &reached.setting),
        Failure::Cancelled => failure("cancelled", "the run was cancelled".to_owned()),
        Failure::TimedOut => failure("timeout", "the run's time was over".to_owned()),
    }
}

fn limit(name: &str, value: &str, setting: &str) -> RunFailure {
    let code = format!("limit_{}", name.replace(['.', '-'], "_"));
    failure(
        &code,
        format!(
            "the run reached its limit `{name}` of {value}; `{setting}` in the server's configuration changes it"
        ),
    )
}

/// A plugin that did not return.
pub(crate) fn crash(error: &wasmtime::Error, state: &RunState) -> RunFailure {
    let limits = state.scope.limits();
    if let Some(breach) = error.downcast_ref::<Breach>() {
        return match breach {
            Breach::ComputeTime => limit(
                "compute_time",
                &seconds(limits.compute_time),
                "limits.computeTime",
            ),
            Breach::HostCalls => limit(
                "host_calls",
                &format!("{} calls", limits.host_calls),
                "limits.hostCalls",
            ),
            Breach::IgnoredStop => failure("ignored_stop", breach.to_string()),
        };
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return failure(
            "plugin_exit",
            format!("the plugin ended itself with code {}", exit.0),
        );
    }
    if state.limiter.refused() {
        let mebibytes = limits.guest_memory.div_ceil(1 << 20);
        return limit(
            "guest_memory",
            &format!("{mebibytes} MiB"),
            "limits.guestMemory",
        );
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => failure(
            "limit_stack",
            "the run reached its limit `stack` of 512 KiB: the plugin called itself too deep; this limit is fixed".to_owned(),
        ),
        Some(Trap::MemoryOutOfBounds) => failure(
            "trap",
            "the plugin crashed: out of bounds memory access (in a Rust plugin often a recursion too deep for the stack that it keeps in its memory)".to_owned(),
        ),
        Some(trap) => {
            let trap = trap.to_string();
            let trap = trap.strip_prefix("wasm trap: ").unwrap_or(&trap);
            failure("trap", format!("the plugin crashed: {trap}"))
        }
        None => failure("plugin_error", format!("the plugin can't be run: {}", error.root_cause())),
    }
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
