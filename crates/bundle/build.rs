//! Builds the workspace `plugins/` for `wasm32-wasip2` into the output folder.
//! Never touches the target folder of the outer build.
#![expect(
    clippy::print_stdout,
    reason = "this is how a build script speaks to cargo"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

/// Settings of the outer build that do not fit the inner one.
const OUTER_ONLY: [&str; 11] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MAKEFLAGS",
    "CARGO_TARGET_DIR",
    "MAKEFLAGS",
    "RUSTC_LINKER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
    "CARGO_BUILD_TARGET_DIR",
    "TARGET",
];

fn main() {
    if let Err(reason) = build() {
        // One sentence; a panic would bury it in a backtrace.
        println!("cargo::error=the plugins can't be built: {reason}");
    }
}

fn build() -> Result<(), String> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let top = here.join("../..");
    let plugins = top.join("plugins");
    for watched in [
        "plugins",
        "wit",
        "crates/plugin-sdk/src",
        "crates/plugin-sdk/Cargo.toml",
    ] {
        watch(&top.join(watched));
    }
    add_target()?;
    let folder = PathBuf::from(variable("OUT_DIR")?).join("plugins");
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(&folder)
        .current_dir(&plugins);
    for name in OUTER_ONLY {
        cargo.env_remove(name);
    }
    let built = cargo
        .output()
        .map_err(|error| format!("cargo can't be started: {error}"))?;
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr);
        return Err(format!(
            "cargo said:\n{}",
            said.replace('\n', "\ncargo::warning=")
        ));
    }
    let release = folder.join(TARGET).join("release");
    println!("cargo::rustc-env=JOBCELL_PLUGINS={}", release.display());
    Ok(())
}

/// Rebuilds when a source changes, but not when a nested target folder does.
fn watch(path: &Path) {
    let name = path.file_name().unwrap_or_default();
    if name == "target" || name.to_string_lossy().starts_with('.') {
        return;
    }
    println!("cargo::rerun-if-changed={}", path.display());
    if let Ok(entries) = std::fs::read_dir(path) {
        entries
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .for_each(|entry| watch(&entry.path()));
    }
}

/// Adds the target where it is missing.
fn add_target() -> Result<(), String> {
    let rustc = variable("RUSTC")?;
    let asked = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    let libraries = asked.map_err(|error| format!("rustc can't be started: {error}"))?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&libraries.stdout).trim());
    if libraries.is_dir() {
        return Ok(());
    }
    let hint = format!("the target {TARGET} is missing: run `rustup target add {TARGET}`");
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .output();
    match added {
        Ok(added) if added.status.success() => Ok(()),
        Ok(added) => Err(format!(
            "{hint} ({})",
            String::from_utf8_lossy(&added.stderr).trim()
        )),
        Err(error) => Err(format!("{hint} (rustup can't be started: {error})")),
    }
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("cargo did not set {name}"))
}
