//! Starts the real binary in a folder of its own and speaks to it as a client
//! would. Never reaches inside it.

mod server;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub(crate) use server::{Reply, Server, ServerOptions};

/// How long any one thing may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, with an environment of its own: nothing of the caller's but a
/// search path.
pub(crate) fn jobcell() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobcell"));
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command
}

/// Runs the binary to its end.
pub(crate) fn run(arguments: &[&str], home: &Path) -> Output {
    let output = jobcell()
        .args(arguments)
        .env("HOME", home)
        .current_dir(home)
        .output();
    output.expect("the binary starts")
}

/// The text of an output stream.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the binary writes UTF-8")
}

/// The top of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("it is there")
}

/// The executable that stands in for PowerShell, or a real one where there is
/// one: every test that uses it holds for both.
pub(crate) fn powershell() -> PathBuf {
    real_powershell().unwrap_or_else(stand_in)
}

/// The executable that only checks how PowerShell is called.
pub(crate) fn stand_in() -> PathBuf {
    repository().join("tests/fixtures/pwsh-stand-in")
}

/// A configuration whose PowerShell is this shell script.
pub(crate) fn shell_tool(folder: &Path, script: &str) -> String {
    let tool = folder.join("tool");
    std::fs::write(&tool, format!("#!/bin/sh\n{script}\n")).expect("it can be written");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&tool, executable).expect("it is ours");
    format!("tools: {{powershell: {}}}\n", tool.display())
}

fn real_powershell() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("pwsh"))
        .find(|file| file.is_file())
}

/// Waits until `check` gives something, or fails the test.
pub(crate) fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
