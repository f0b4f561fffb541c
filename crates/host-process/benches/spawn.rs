//! A process through this crate against one through tokio alone.
//!
//! `cargo bench -p jobcell-host-process`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints and may panic"
)]

use std::time::{Duration, Instant};

use jobcell_host_process::{Child, Launch, Sink};
use jobcell_plugin_host::{EffectGate, RunLimits, RunScope};

const RUNS: usize = 1000;

#[tokio::main]
async fn main() {
    let launch = Launch {
        program: "/bin/true".into(),
        arguments: Vec::new(),
        environment: Vec::new(),
        working_directory: "/".into(),
        stdin: Vec::new(),
        stdout: Sink::Output,
        stderr: Sink::Output,
    };
    let mut bare = Vec::new();
    let mut ours = Vec::new();
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

        let limits = RunLimits::default();
        let scope = RunScope::new(
            Vec::new(),
            limits,
            Duration::from_secs(60),
            EffectGate::open(),
            None,
        );
        let start = Instant::now();
        Child::start(&launch, &scope)
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        ours.push(start.elapsed());
    }
    for (name, mut all) in [("bare tokio", bare), ("this crate", ours)] {
        all.sort_unstable();
        println!(
            "{name}: p50 {:?}, p99 {:?}",
            all[RUNS / 2],
            all[RUNS * 99 / 100]
        );
    }
}
