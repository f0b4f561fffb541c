//! A host with the hostile plugin, and runs of it.

use std::sync::LazyLock;
use std::time::Duration;

use jobcell_plugin_host::{
    EffectGate, HostConfig, Plugin, PluginHost, RunEnd, RunLimits, RunReport, RunRequest,
};
use tokio_util::sync::CancellationToken;

/// One host for all tests: they must not harm each other.
pub(crate) static HOST: LazyLock<PluginHost> = LazyLock::new(|| {
    let config = HostConfig {
        asking_time: Duration::from_millis(300),
        ..HostConfig::default()
    };
    PluginHost::new(config, Vec::new()).unwrap()
});

static HOSTILE: LazyLock<Plugin> = LazyLock::new(|| {
    HOST.load("hostile", jobcell_bundle::hostile().component)
        .unwrap()
});

/// The plugin that misbehaves.
pub(crate) fn hostile() -> Plugin {
    HOSTILE.clone()
}

/// Limits that are reached quickly.
pub(crate) fn tight() -> RunLimits {
    RunLimits {
        compute_time: Duration::from_millis(300),
        host_calls: 20_000,
        guest_memory: 16 << 20,
        stop_grace: Duration::from_millis(200),
        steps: 50,
        ..RunLimits::default()
    }
}

/// A request for a deed.
pub(crate) fn request(deed: &str, limits: RunLimits) -> RunRequest {
    RunRequest {
        configuration: format!("{{\"do\": \"{deed}\"}}"),
        parameters: Vec::new(),
        attributes: Vec::new(),
        environment: Default::default(),
        timeout: Duration::from_secs(30),
        limits,
        cancel: CancellationToken::new(),
        gate: EffectGate::open(),
        journal: None,
        observer: None,
    }
}

/// What a deed leads to under tight limits.
pub(crate) async fn run(deed: &str) -> RunReport {
    hostile().run(request(deed, tight())).await
}

/// The code and the sentence of a failure.
pub(crate) fn failure(report: &RunReport) -> (&str, &str) {
    match &report.end {
        RunEnd::Failed { failure, .. } => (&failure.code, &failure.message),
        other => panic!("it did not fail: {other:?}"),
    }
}
