//! Builds the workspace `plugins/` for `wasm32-wasip2` into the output folder, or
//! into the one that `JOBCELL_PLUGINS_DIR` names, which builds of several profiles
//! may share. Never touches the target folder of the outer build.

use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";
/// Names a folder for what is built here.
const FOLDER: &str = "JOBCELL_PLUGINS_DIR";

/// Settings of the outer build that do not fit the inner one, or would make the
/// plugins depend on who builds them.
const OUTER_ONLY: [&str; 12] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MAKEFLAGS",
    "CARGO_TARGET_DIR",
    "MAKEFLAGS",
    "MFLAGS",
    "RUSTC_LINKER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
    "TARGET",
];
/// The same, by how their names begin: the profile in `plugins/` is the one.
const OUTER_ONLY_PREFIX: &str = "CARGO_PROFILE_";

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
    // The manifest on top is where the SDK inherits its dependencies from.
    for watched in [
        "plugins",
        "plugins/.cargo/config.toml",
        "wit",
        "crates/plugin-sdk/src",
        "crates/plugin-sdk/Cargo.toml",
        "crates/sql-text/src",
        "crates/sql-text/Cargo.toml",
        "Cargo.toml",
    ] {
        watch(&top.join(watched));
    }
    println!("cargo::rerun-if-changed=build.rs");
    if !plugins.join("Cargo.toml").is_file() {
        return Err(format!("{} is missing", plugins.display()));
    }
    add_target()?;
    check_c_compiler()?;
    let folder = folder()?;
    let mut cargo = inner_cargo(&plugins, &folder)?;
    let built = cargo
        .output()
        .map_err(|error| format!("cargo can't be started: {error}"))?;
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr);
        for line in said.lines().filter(|line| !line.trim().is_empty()) {
            println!("cargo::warning={line}");
        }
        return Err(format!(
            "cargo failed in {} (its words are above)",
            plugins.display()
        ));
    }
    let release = folder.join(TARGET).join("release");
    println!("cargo::rustc-env=JOBCELL_PLUGINS={}", release.display());
    Ok(())
}

/// To compile the grammar of PowerShell takes minutes and 6 GB of memory, so that
/// whoever builds more than once may want to do it once.
fn folder() -> Result<PathBuf, String> {
    println!("cargo::rerun-if-env-changed={FOLDER}");
    let Some(shared) = std::env::var_os(FOLDER).filter(|shared| !shared.is_empty()) else {
        return Ok(PathBuf::from(variable("OUT_DIR")?).join("plugins"));
    };
    let shared = PathBuf::from(shared);
    if shared.is_absolute() {
        return Ok(shared);
    }
    let shared = shared.display();
    Err(format!(
        "{FOLDER} is `{shared}`: it has to be an absolute path"
    ))
}

fn inner_cargo(plugins: &Path, folder: &Path) -> Result<Command, String> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["--jobs", &variable("NUM_JOBS")?])
        .arg("--target-dir")
        .arg(folder)
        .current_dir(plugins);
    for name in OUTER_ONLY {
        cargo.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(OUTER_ONLY_PREFIX) {
            cargo.env_remove(name);
        }
    }
    Ok(cargo)
}

/// Rebuilds when a file changes. Names each file and never a folder: cargo would
/// look through all of it, and a target folder that was built by hand in
/// `plugins/` changes all the time.
fn watch(path: &Path) {
    let name = path.file_name().unwrap_or_default();
    if name == "target" || name.to_string_lossy().starts_with('.') {
        return;
    }
    match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().for_each(|entry| watch(&entry.path())),
        Err(_) => println!("cargo::rerun-if-changed={}", path.display()),
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
    // Cargo sets RUSTUP_TOOLCHAIN where rustup runs it, so this adds the target
    // to the toolchain of this build.
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

/// The grammar of PowerShell is C; `plugins/.cargo/config.toml` names who compiles
/// it, unless the environment does.
fn check_c_compiler() -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=CC_wasm32_wasip2");
    let compiler = std::env::var("CC_wasm32_wasip2").unwrap_or_else(|_| "clang".to_owned());
    let asked = Command::new(&compiler).arg("--version").output();
    asked.map(|_| ()).map_err(|error| {
        format!("`{compiler}` can't be started ({error}): install clang and llvm, which compile the grammar of PowerShell for {TARGET}, for example with `apt-get install -y clang llvm`")
    })
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("cargo did not set {name}"))
}
