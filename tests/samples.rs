//! Every sample does what it says.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Server, jobcell, repository, text};

fn sample_files() -> Vec<(String, String)> {
    let folder = repository().join("samples");
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_sample_is_valid_names_the_schema_and_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let served = server.get("/api/v2/jobs/samples").json();
    let served: Vec<&str> = served["samples"]
        .as_object()
        .unwrap()
        .values()
        .map(|sample| sample["yaml_config"].as_str().unwrap())
        .collect();
    for (name, yaml) in sample_files() {
        let first = yaml.lines().next().unwrap();
        assert_eq!(
            first, "# yaml-language-server: $schema=./job.schema.json",
            "{name}"
        );
        assert!(served.contains(&yaml.as_str()), "{name} is not served");
        server.create(&yaml);
    }
}

#[test]
fn sql_samples_for_the_embedded_database_run() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let mut ran = 0;
    for (name, yaml) in sample_files() {
        if !name.starts_with("sql-") || name == "sql-maintenance.yaml" {
            continue;
        }
        let id = server.create(&yaml);
        let outcome = server.post(&format!("/api/v2/jobs/{id}/run")).json();
        assert_eq!(outcome["success"], true, "{name}: {outcome}");
        ran += 1;
    }
    assert!(ran >= 2, "there are SQL samples to run");
}

#[test]
fn powershell_samples_run() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let mut ran = 0;
    for (name, yaml) in sample_files() {
        if !name.starts_with("powershell-") || yaml.contains("executionMode: script") {
            continue;
        }
        let id = server.create(&yaml);
        let outcome = server.post(&format!("/api/v2/jobs/{id}/run")).json();
        assert_eq!(outcome["success"], true, "{name}: {outcome}");
        if name == "powershell-hello.yaml" {
            assert_eq!(outcome["output"], "Good morning, Jobcell\n", "{outcome}");
        }
        ran += 1;
    }
    assert!(ran >= 2, "there are PowerShell samples to run");
}

#[test]
fn the_guides_sql_sample_fails_on_sqlite_at_a_named_statement_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let yaml = fs::read_to_string(repository().join("samples/sql-maintenance.yaml")).unwrap();
    server.create(&yaml);
    let outcome = server.post("/api/v2/jobs/SQL-001/run").json();
    assert_eq!(outcome["status"], "failed", "{outcome}");
    assert_eq!(
        outcome["step_results"].as_array().unwrap().len(),
        3,
        "{outcome}"
    );
    let error = outcome["error"].as_str().unwrap();
    assert!(
        error.contains("statement 1") && error.contains("line 2"),
        "{error}"
    );
}

#[test]
fn the_published_schema_is_the_one_that_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let served = server.get("/api/v2/job-schema").json();
    let file = repository().join("samples/job.schema.json");
    let served = format!("{served:#}\n");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &served).unwrap();
    }
    let published = fs::read_to_string(&file).unwrap();
    assert!(
        published == served,
        "run the tests once with UPDATE_GOLDEN=1 and read the difference"
    );
}

#[test]
fn every_sample_passes_the_published_schema_and_mistakes_do_not() {
    let schema = fs::read_to_string(repository().join("samples/job.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    for (name, yaml) in sample_files() {
        let id = server.create(&yaml);
        let job = server.get(&format!("/api/v2/jobs/{id}")).json();
        let errors: Vec<String> = validator
            .iter_errors(&job["job"]["parsed_config"])
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    let sql = json!({ "id": "a", "name": "A", "type": "SQL", "query": "SELECT 1" });
    assert!(validator.is_valid(&sql));
    for (key, wrong) in [
        ("query", json!("")),
        ("timeout", json!(-1)),
        ("typo", json!(1)),
    ] {
        let mut job = sql.clone();
        job[key] = wrong;
        assert!(!validator.is_valid(&job), "{job} must not pass");
    }
}

#[test]
fn the_demo_ends_well_and_shows_the_results() {
    let folder = tempfile::tempdir().unwrap();
    let (temporary, empty) = (folder.path().join("tmp"), folder.path().join("empty"));
    fs::create_dir(&temporary).unwrap();
    fs::create_dir(&empty).unwrap();
    let output = jobcell()
        .arg("demo")
        .env("TMPDIR", &temporary)
        .env("PATH", &empty)
        .current_dir(&empty)
        .output()
        .unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let table = "| córdoba |       1 |       8.2 | 2026-11-19 03:00 |";
    assert!(out.contains(table), "{out}");
    assert!(
        out.contains("PowerShell was not found on this machine: install"),
        "{out}"
    );
    let lines = |name: &str, word: &str| {
        let line = out
            .lines()
            .find(|line| line.trim_start().starts_with(name) && line.ends_with(word));
        assert!(line.is_some(), "{name}: {word} is not in:\n{out}");
    };
    lines(
        "powershell-hello.yaml",
        "its tool is not installed on this machine",
    );
    lines("sql-inventory-report.yaml", "ran");
    lines("sql-check.yaml", "ran");
    for (name, _) in sample_files() {
        assert!(out.contains(&name), "{name} is not shown:\n{out}");
    }
    for left in [&temporary, &empty] {
        let left: Vec<_> = fs::read_dir(left).unwrap().collect();
        assert!(left.is_empty(), "the demo leaves nothing behind: {left:?}");
    }
}

#[test]
fn the_guides_jobs_are_as_the_guide_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let served = server.get("/api/v2/jobs/samples").json()["samples"].clone();
    for (slug, sample) in [
        ("powershell", "powershell-health-check.yaml"),
        ("sql", "sql-maintenance.yaml"),
    ] {
        let fixture = format!("tests/fixtures/guide-{slug}.yaml");
        let guide = fs::read_to_string(repository().join(fixture)).unwrap();
        let yaml = fs::read_to_string(repository().join("samples").join(sample)).unwrap();
        let job = yaml
            .split_inclusive('\n')
            .skip_while(|line| line.starts_with('#'));
        assert_eq!(job.collect::<String>(), guide, "{sample}");
        let served = served[slug]["yaml_config"].as_str().unwrap();
        assert!(served.ends_with(&guide), "{slug}: {served}");
    }
}
