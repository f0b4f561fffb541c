//! What holds for the repository as a whole: arrows between crates, file
//! headers and sizes, no forgotten test file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::repository;

/// Which of our crates each crate may depend on. Arrows point one way.
const ARROWS: [(&str, &[&str]); 13] = [
    ("jobcell-model", &[]),
    ("jobcell-plugin-sdk", &[]),
    ("jobcell-bundle", &[]),
    ("jobcell-sql-text", &[]),
    ("jobcell-vault", &[]),
    ("jobcell-migrate", &["jobcell-model"]),
    ("jobcell-store", &["jobcell-model"]),
    ("jobcell-plugin-host", &["jobcell-model"]),
    (
        "jobcell-host-process",
        &["jobcell-plugin-host", "jobcell-model"],
    ),
    (
        "jobcell-host-sql",
        &["jobcell-plugin-host", "jobcell-model", "jobcell-sql-text"],
    ),
    (
        "jobcell-engine",
        &["jobcell-model", "jobcell-plugin-host", "jobcell-store"],
    ),
    (
        "jobcell-api",
        &[
            "jobcell-engine",
            "jobcell-model",
            "jobcell-plugin-host",
            "jobcell-store",
        ],
    ),
    (
        "jobcell",
        &[
            "jobcell-api",
            "jobcell-bundle",
            "jobcell-engine",
            "jobcell-host-process",
            "jobcell-host-sql",
            "jobcell-migrate",
            "jobcell-model",
            "jobcell-plugin-host",
            "jobcell-store",
            "jobcell-vault",
        ],
    ),
];

/// Dependencies that only one crate, or one side of a border, may name.
const FENCED: [(&str, &[&str]); 11] = [
    ("redb", &["jobcell-store"]),
    (
        "wasmtime",
        &[
            "jobcell-plugin-host",
            "jobcell-host-process",
            "jobcell-host-sql",
        ],
    ),
    ("rusqlite", &["jobcell-host-sql"]),
    ("tokio-postgres", &["jobcell-host-sql"]),
    ("mysql_async", &["jobcell-host-sql"]),
    ("tds-protocol", &["jobcell-host-sql"]),
    ("chacha20poly1305", &["jobcell-vault"]),
    ("axum", &["jobcell-api"]),
    ("clap", &["jobcell"]),
    ("anyhow", &["jobcell"]),
    ("serde-saphyr", &["jobcell-model", "jobcell"]),
];

fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(repository())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let needed = package["dependencies"].as_array().unwrap();
            let needed = needed.iter().filter(|needed| needed["kind"].is_null());
            (name(package), needed.map(name).collect())
        })
        .collect()
}

#[test]
fn arrows_point_one_way() {
    let dependencies = dependencies();
    assert_eq!(
        dependencies.len(),
        ARROWS.len(),
        "a new crate needs its row in ARROWS"
    );
    for (from, allowed) in ARROWS {
        for to in &dependencies[from] {
            let ours = to.starts_with("jobcell");
            assert!(
                !ours || allowed.contains(&to.as_str()),
                "{from} must not depend on {to}"
            );
        }
    }
}

#[test]
fn fenced_dependencies_stay_behind_their_fence() {
    for (from, needed) in dependencies() {
        for (dependency, allowed) in FENCED {
            let named = needed.iter().any(|name| name == dependency);
            assert!(
                !named || allowed.contains(&from.as_str()),
                "{from} must not name {dependency}"
            );
        }
    }
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_rust_files() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in ["crates", "plugins", "tests"] {
        rust_files(&repository().join(folder), &mut found);
    }
    found
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn every_file_says_what_it_is_for_and_stays_small() {
    for (path, text) in all_rust_files() {
        assert!(text.starts_with("//!"), "{} has no header", path.display());
        let lines = text.lines().count();
        assert!(
            lines <= 600,
            "{} has {lines} lines: split it",
            path.display()
        );
    }
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    let forbidden = concat!("#[al", "low(");
    for (path, text) in all_rust_files() {
        assert!(
            !text.contains(forbidden),
            "{} allows a lint",
            path.display()
        );
    }
}

#[test]
fn no_test_file_is_forgotten() {
    let folder = repository().join("tests");
    let runner = fs::read_to_string(folder.join("runner.rs")).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name
            .strip_suffix(".rs")
            .filter(|module| *module != "runner")
        else {
            continue;
        };
        assert!(
            runner.contains(&format!("mod {module};")),
            "{name} is in no runner"
        );
    }
}

#[test]
fn the_top_level_holds_nothing_unexpected() {
    let expected = [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "crates",
        "docs",
        "plugins",
        "rust-toolchain.toml",
        "samples",
        "target",
        "tests",
        "wit",
    ];
    for entry in fs::read_dir(repository()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.starts_with('.') || expected.contains(&name.as_str()),
            "{name}"
        );
    }
}

#[test]
fn the_plugins_own_tests_pass() {
    let output = Command::new(env!("CARGO"))
        .args([
            "test",
            "--locked",
            "--manifest-path",
            "plugins/Cargo.toml",
            "--target-dir",
        ])
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins"))
        .env_remove("CARGO_TARGET_DIR")
        .current_dir(repository())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    let passed = said.lines().filter(|line| line.ends_with("... ok")).count();
    assert!(passed > 10, "few tests ran: {said}");
}
