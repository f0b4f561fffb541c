//! The single ways to misbehave.

use std::hint::black_box;
use std::io::Read;
use std::time::{Duration, Instant};

use jobcell_plugin_sdk::failure;
use jobcell_plugin_sdk::run_context::{self, Level, Step, StepStatus};
use jobcell_plugin_sdk::types::{Failure, OutputStream};

/// Does what is asked. What returns from here was survived by the plugin.
pub(crate) fn carry_out(deed: &str) -> Result<(), Failure> {
    match deed {
        "nothing" => {}
        "loop" => spin(),
        "deep-frames" => {
            black_box(large_frames(0));
        }
        "recurse" => {
            black_box(recurse(0));
        }
        "allocate" => allocate(),
        "trap" => core_trap(),
        "panic" => panic!("on purpose"),
        "exit" => std::process::exit(7),
        "sleep" => std::thread::sleep(Duration::from_secs(600)),
        "ignore-cancel" => while !run_context::cancelled() || black_box(true) {},
        "host-call-flood" => loop {
            black_box(run_context::remaining_time());
        },
        "log-flood" => (0..20_000).for_each(|line| {
            run_context::log(Level::Info, &format!("line {line}: {}", "x".repeat(200)));
        }),
        "long-log-line" => run_context::log(Level::Warn, &"ä\n".repeat(1 << 20)),
        "output-flood" => {
            let piece = vec![b'y'; 1 << 20];
            (0..64).for_each(|_| run_context::write(OutputStream::Stdout, &piece));
        }
        "print" | "env" => look_around(),
        "count" => count(),
        "fail" => return Err(failure::other("on_purpose", "it failed on purpose")),
        "fail-oddly" => {
            let message = "first\nsecond \u{1b}[2J".to_owned() + &"x".repeat(1 << 20);
            return Err(failure::other("No Word!", message));
        }
        "claim-cancelled" => return Err(Failure::Cancelled),
        "busy" => busy(Duration::from_millis(300)),
        "big-call" => run_context::write(OutputStream::Stdout, &vec![b'z'; 80 << 20]),
        "step-leak" => std::mem::forget(Step::start("left open", "leak")?),
        "step-flood" => loop {
            Step::start("one of many", "flood")?.finish(StepStatus::Success, "{}")?;
        },
        "bad-details" => Step::start("s", "bad")?.finish(StepStatus::Success, "no JSON")?,
        "handle-leak" => loop {
            std::mem::forget(Step::start("held", "leak")?);
        },
        "wait-for-cancel" => while !run_context::cancelled() {},
        "details-flood" => {
            let details = format!("{{\"all\": [{}0]}}", "0,".repeat(30_000));
            for _ in 0..1000 {
                Step::start("s", "flood")?.finish(StepStatus::Success, &details)?;
            }
        }
        "tiny-writes" => (0..300_000).for_each(|_| {
            run_context::write(OutputStream::Stdout, b"o");
            run_context::write(OutputStream::Stderr, b"e");
        }),
        "read-stdin" => read_stdin()?,
        other => {
            let message = format!("`{other}` is no deed");
            return Err(failure::invalid("unknown_deed", message));
        }
    }
    Ok(())
}

/// Never returns.
pub(crate) fn spin() {
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}

/// Computes for a while, and asks nobody whether it should go on.
fn busy(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        black_box((0..1_000_000_u64).fold(0, |sum, number| black_box(sum ^ number)));
    }
}

fn read_stdin() -> Result<(), Failure> {
    let mut all = Vec::new();
    match std::io::stdin().read_to_end(&mut all) {
        Ok(0) => Ok(()),
        Ok(bytes) => Err(failure::other("stdin", format!("it has {bytes} bytes"))),
        Err(error) => Err(failure::other("stdin", error.to_string())),
    }
}

/// Small frames, so that the stack of the machine is used up before the stack
/// that the compiler keeps in linear memory.
fn recurse(depth: u64) -> u64 {
    let deeper: fn(u64) -> u64 = black_box(recurse);
    deeper(depth + 1).wrapping_mul(31) ^ depth
}

fn large_frames(depth: u64) -> u64 {
    let room = black_box([depth; 512]);
    let deeper: fn(u64) -> u64 = black_box(large_frames);
    deeper(depth + 1) + room[1]
}

fn allocate() {
    let mut all = Vec::new();
    loop {
        all.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn core_trap() {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
}

/// Prints all that it can see of the machine.
#[expect(clippy::print_stdout, reason = "standard output is what is tested")]
fn look_around() {
    println!("environment {:?}", std::env::vars().collect::<Vec<_>>());
    println!("arguments {:?}", std::env::args().collect::<Vec<_>>());
    println!("root {}", std::fs::read_dir("/").is_ok());
    println!("file {}", std::fs::read("/etc/passwd").is_ok());
    println!("write {}", std::fs::write("/tmp/hostile", "x").is_ok());
}

/// Counts how often this instance was run.
fn count() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let runs = RUNS.fetch_add(1, Ordering::Relaxed) + 1;
    run_context::write(OutputStream::Stdout, format!("run {runs}").as_bytes());
}
