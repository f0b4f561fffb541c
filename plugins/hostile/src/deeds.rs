//! The single ways to misbehave.

use std::hint::black_box;

use jobcell_plugin_sdk::run_context::{self, Level, Step, StepStatus};
use jobcell_plugin_sdk::types::{Failure, OutputStream};

use crate::failure;

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
        "sleep" => std::thread::sleep(std::time::Duration::from_secs(600)),
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
        "print" => look_around(),
        "step-leak" => std::mem::forget(Step::start("left open", "leak")?),
        "step-flood" => loop {
            Step::start("one of many", "flood")?.finish(StepStatus::Success, "{}")?;
        },
        "bad-details" => Step::start("s", "bad")?.finish(StepStatus::Success, "no JSON")?,
        "handle-leak" => loop {
            std::mem::forget(Step::start("held", "leak")?);
        },
        "wait-for-cancel" => while !run_context::cancelled() {},
        other => return Err(failure("unknown_deed", format!("`{other}` is no deed"))),
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
}
