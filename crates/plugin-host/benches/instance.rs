//! What isolation costs: a whole trivial run in a fresh instance under all
//! limits, beside the floor of making and dropping a bare instance.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints its figures and may panic"
)]

use std::future::Future;
use std::time::{Duration, Instant};

use jobcell_plugin_host::{EffectGate, HostConfig, PluginHost, RunEnd, RunLimits, RunRequest};
use tokio_util::sync::CancellationToken;

const WARM_UP: usize = 2_000;
const ROUNDS: usize = 20_000;

fn request() -> RunRequest {
    RunRequest {
        configuration: "{\"do\": \"nothing\"}".to_owned(),
        parameters: Vec::new(),
        attributes: Vec::new(),
        environment: Default::default(),
        timeout: Duration::from_secs(60),
        limits: RunLimits::default(),
        cancel: CancellationToken::new(),
        gate: EffectGate::open(),
        journal: None,
        observer: None,
    }
}

/// The times of single rounds, sorted.
async fn timed<F: Future<Output = ()>>(mut round: impl FnMut() -> F) -> Vec<Duration> {
    for _ in 0..WARM_UP {
        round().await;
    }
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        round().await;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times
}

fn percentile(times: &[Duration], percent: usize) -> f64 {
    times[times.len() * percent / 100].as_secs_f64() * 1e6
}

fn print(what: &str, times: &[Duration]) {
    println!(
        "{what:<46} p50 {:>7.2} µs   p99 {:>7.2} µs",
        percentile(times, 50),
        percentile(times, 99)
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let host = PluginHost::new(HostConfig::default(), Vec::new()).unwrap();
    let plugin = host
        .load("hostile", jobcell_bundle::hostile().component)
        .unwrap();
    let floor = timed(|| async { plugin.instantiate_and_drop().await.unwrap() }).await;
    let whole = timed(|| async {
        let report = plugin.run(request()).await;
        assert!(matches!(report.end, RunEnd::Succeeded { .. }));
    })
    .await;
    println!("allocation: {:?}", host.allocation());
    print("floor: a bare instance made and dropped", &floor);
    print("a whole trivial run, all limits on", &whole);
    println!(
        "ratio of the medians: {:.2} (goal: 4 or less)",
        percentile(&whole, 50) / percentile(&floor, 50)
    );
}
