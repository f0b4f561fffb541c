//! A process through this crate against one through tokio alone.
//!
//! `cargo bench -p jobcell-host-process`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints and may panic"
)]

use std::time::{Duration, Instant};

use jobcell_host_process::{Child, Launch, ProcessCapability, ProcessConfig, Program};
use jobcell_plugin_host::{EffectGate, RunLimits, RunScope};

const RUNS: usize = 1000;

#[tokio::main]
async fn main() {
    let root = tempfile::tempdir().unwrap();
    let config = ProcessConfig {
        scratch_root: root.path().to_owned(),
        ..ProcessConfig::default()
    };
    let capabilities = [
        ProcessCapability::new(config.clone()),
        ProcessCapability::without_cgroups(config),
    ];
    let program = Program::open("/bin/true".as_ref(), None).unwrap();
    let launch = Launch::new(program, "/".into());
    let mut bare = Vec::new();
    let mut ours = [Vec::new(), Vec::new()];
    // Turn by turn, so that both meet the same machine.
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut command = tokio::process::Command::new("/bin/true");
        command
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .unwrap();
        bare.push(start.elapsed());

        for (capability, times) in capabilities.iter().zip(&mut ours) {
            let scope = RunScope::new(
                Vec::new(),
                RunLimits::default(),
                Duration::from_secs(60),
                EffectGate::open(),
                None,
            );
            let place = capability.place(&scope);
            let start = Instant::now();
            Child::start(&launch, &place)
                .await
                .unwrap()
                .wait()
                .await
                .unwrap();
            times.push(start.elapsed());
        }
    }
    let [first, second] = ours;
    let names = capabilities.map(|capability| capability.containment());
    let rows = [
        ("bare tokio", bare),
        (&names[0], first),
        (&names[1], second),
    ];
    for (name, mut all) in rows {
        all.sort_unstable();
        println!(
            "{name}: p50 {:?}, p99 {:?}",
            all[RUNS / 2],
            all[RUNS * 99 / 100]
        );
    }
}
