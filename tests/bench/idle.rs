//! What the binary costs while it waits.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::figures::Row;

const WATCHED: Duration = Duration::from_secs(5);
/// Linux reports processor time in hundredths of a second to programs.
const TICK: f64 = 0.01;

/// Memory and processor time of an idle server.
pub(crate) fn rows(folder: &Path) -> Vec<Row> {
    let mut server = Command::new(env!("CARGO_BIN_EXE_jobcell"))
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "error",
            "--data",
        ])
        .arg(folder.join("idle"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let before = processor_time(server.id());
    std::thread::sleep(WATCHED);
    let share = (processor_time(server.id()) - before) / WATCHED.as_secs_f64() * 100.0;
    let memory = resident_mebibytes(server.id());
    server.kill().unwrap();
    server.wait().unwrap();
    vec![
        Row::plain(
            "idle memory, plugins loaded",
            format!("{memory:.1} MiB"),
            "≤ 40 MiB",
        ),
        Row::plain(
            "processor time when idle",
            format!("{share:.2} %"),
            "< 0.1 %",
        ),
    ]
}

fn resident_mebibytes(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<f64>()
        .unwrap()
        / 1024.0
}

fn processor_time(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    // Fields 14 and 15 of proc(5), counted from after the name.
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) * TICK
}
