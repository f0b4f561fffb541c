//! A disk that is full, in the real binary: a small file system in memory that
//! this process mounts for itself alone.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use chrono::DateTime;
use serde_json::Value;

use crate::harness::{Server, eventually, text};

/// The server refuses new work while less than 32 MiB are left.
const SIZE: &str = "size=96m";
const LONG: &str = "id: long\nname: Long\ntype: PowerShell\nexecutionMode: inline\n\
    inlineScript: Start-Sleep -Seconds 3\nconcurrency: {policy: allow}\n";
const QUICK: &str = "id: quick\nname: Quick\ntype: SQL\nquery: SELECT 1\n";
const TICKS: &str = "id: ticks\nname: Ticks\ntype: SQL\nquery: SELECT 1\n\
    schedule: {type: cron, expression: \"* * * * * *\", timezone: UTC}\n\
    catchUp: {policy: all, window: 10m, max: 1000}\n\
    concurrency: {policy: queue, queue: {max: 1000, maxAge: 1h}}\n";

#[test]
fn a_full_disk_refuses_new_runs_ends_old_ones_and_loses_nothing() {
    let mut command = Command::new("unshare");
    // Without being root, a user namespace in which one is.
    let namespaces = if nix::unistd::geteuid().is_root() {
        "-m"
    } else {
        "-rm"
    };
    let output = command
        .arg(namespaces)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "storage::inside", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let shown = text(&output.stdout);
    let passed = output.status.success() && shown.contains("1 passed");
    assert!(passed, "{shown}{}", text(&output.stderr));
}

/// Fills the disk but for so many bytes.
fn fill(filler: &Path, left: u64) {
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(filler)
        .unwrap();
    let block = vec![0; 64 * 1024];
    loop {
        let status = nix::sys::statvfs::statvfs(filler).unwrap();
        let free = status.blocks_available() * status.fragment_size();
        if free <= left
            || file
                .write_all(&block[..block.len().min(usize::try_from(free - left).unwrap())])
                .is_err()
        {
            return;
        }
    }
}

fn start_long(server: &Server) -> String {
    let started = server.post("/api/v2/jobs/long/run?wait=false");
    assert_eq!(started.status, 202, "{}", started.text);
    started.json()["execution_id"].as_str().unwrap().to_owned()
}

fn status(server: &Server, id: &str) -> String {
    let rows = server.history("long");
    let row = rows.iter().find(|row| row["execution_id"] == id).unwrap();
    row["status"].as_str().unwrap().to_owned()
}

fn refused(server: &Server) {
    let run = server.post("/api/v2/jobs/quick/run");
    assert_eq!(run.status, 507, "{}", run.text);
    assert_eq!(run.json()["code"], "storage_full");
    assert!(
        run.json()["error"].as_str().unwrap().contains("full"),
        "{}",
        run.text
    );
    assert!(run.headers.contains_key("retry-after"));
    let job = QUICK.replace("quick", "another");
    let created = server.send("POST", "/api/v2/jobs", "application/yaml", job.as_bytes());
    assert_eq!(created.status, 507, "{}", created.text);
}

fn has_script(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        entry.file_name() == "script.ps1" || (entry.path().is_dir() && has_script(&entry.path()))
    })
}

/// Each second from the first to the last that fired was fired once.
fn no_tick_is_lost_or_doubled(rows: &[Value]) {
    let seconds: Vec<i64> = rows
        .iter()
        .map(|row| {
            let at = row["scheduled_time"].as_str().unwrap();
            DateTime::parse_from_rfc3339(at).unwrap().timestamp()
        })
        .collect();
    let distinct: BTreeSet<i64> = seconds.iter().copied().collect();
    assert_eq!(distinct.len(), seconds.len(), "a second fired twice");
    let (first, last) = (distinct.first().unwrap(), distinct.last().unwrap());
    let wanted = usize::try_from(last - first + 1).unwrap();
    assert_eq!(distinct.len(), wanted, "a second was lost");
}

#[test]
#[ignore = "the test above runs it in a mount namespace of its own"]
fn inside() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", SIZE, "tmpfs"])
        .arg(folder.path())
        .status();
    assert!(mounted.unwrap().success());
    let (data, filler): (PathBuf, PathBuf) =
        (folder.path().join("data"), folder.path().join("filler"));
    let server = Server::start(&data);
    for yaml in [LONG, QUICK, TICKS] {
        server.create(yaml);
    }
    assert_eq!(server.post("/api/v2/jobs/quick/run").status, 200);

    // Little is left: what goes on is finished, nothing new begins.
    let first = start_long(&server);
    fill(&filler, 20 << 20);
    refused(&server);
    let import = server.send("POST", "/api/v2/import", "application/x-ndjson", b"{}");
    assert_eq!(import.status, 507, "{}", import.text);
    eventually("the run to end", || {
        (status(&server, &first) == "success").then_some(())
    });
    refused(&server);

    // Nothing is left: an end that finds no room in the store's file waits.
    std::fs::remove_file(&filler).unwrap();
    let second = eventually("room to be noticed", || {
        (server.post("/api/v2/jobs/quick/run").status == 200).then(|| start_long(&server))
    });
    let begun = Instant::now();
    eventually("its script to be there", || {
        has_script(&data.join("scratch")).then_some(())
    });
    fill(&filler, 0);
    eventually("it to be over", || {
        refused(&server);
        (begun.elapsed() > Duration::from_secs(4)).then_some(())
    });
    assert_eq!(server.get("/api/v2/jobs/quick").status, 200);
    std::fs::remove_file(&filler).unwrap();
    eventually("the end to be recorded", || {
        (status(&server, &second) == "success").then_some(())
    });
    eventually("work to resume", || {
        (server.post("/api/v2/jobs/quick/run").status == 200).then_some(())
    });

    // And so it is after another start.
    assert!(server.terminate().success());
    let server = Server::start(&data);
    assert_eq!(status(&server, &first), "success");
    assert_eq!(status(&server, &second), "success");
    let rows = eventually("what waited to run", || {
        let rows = server.history("ticks");
        let ended = rows.iter().filter(|row| row["status"] == "success").count();
        (ended >= 8 && ended + 2 >= rows.len()).then_some(rows)
    });
    no_tick_is_lost_or_doubled(&rows);
}
