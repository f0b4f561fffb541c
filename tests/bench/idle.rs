//! What the binary costs while it waits.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::figures::Row;

/// Long enough that one tick of the system's clock is not the whole figure.
const WATCHED: Duration = Duration::from_secs(30);
/// Linux reports processor time in hundredths of a second to programs.
const TICK: f64 = 0.01;

/// Memory and processor time of an idle server.
pub(crate) fn rows(folder: &Path) -> Vec<Row> {
    let data = folder.join("idle");
    // The first start compiles the plugins, which costs memory once.
    let first = resident_mebibytes(Server::start(&data).0.id());
    let server = Server::start(&data);
    let before = processor_time(server.0.id());
    std::thread::sleep(WATCHED);
    let share = (processor_time(server.0.id()) - before) / WATCHED.as_secs_f64() * 100.0;
    let memory = resident_mebibytes(server.0.id());
    vec![
        Row::plain(
            "idle memory, plugins loaded",
            format!("{memory:.1} MiB"),
            "≤ 40 MiB",
        ),
        Row::plain(
            "the same, plugins compiled at this start",
            format!("{first:.1} MiB"),
            "–",
        ),
        Row::plain(
            "processor time when idle",
            format!("{share:.2} %"),
            "< 0.1 %",
        ),
    ]
}

/// The binary itself, serving until it is dropped.
pub(crate) struct Server(pub(crate) Child);

impl Server {
    pub(crate) fn start(data: &Path) -> Self {
        let mut server = Command::new(env!("CARGO_BIN_EXE_jobcell"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--log", "error", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self(server)
    }
}

impl Server {
    /// Ends it in order, so that the next start need not look through its file.
    pub(crate) fn terminate(mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) fn resident_mebibytes(pid: u32) -> f64 {
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

pub(crate) fn processor_time(pid: u32) -> f64 {
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
