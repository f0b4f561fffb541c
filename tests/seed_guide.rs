//! The user guide of the system that Jobcell replaces: its own lines, run
//! against Jobcell with nothing but the address changed.

use std::process::Command;

use serde_json::json;

use crate::harness::{Server, repository, text};

const JOB: &str = "id: CURL-1\nname: By curl\ntype: SQL\nquery: SELECT 1 AS one\n";

fn shell(line: &str) -> (i32, String) {
    let output = Command::new("sh").arg("-c").arg(line).output().unwrap();
    (output.status.code().unwrap_or(-1), text(&output.stdout))
}

#[test]
fn python_of_the_guide_creates_and_runs_a_job() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let script = repository().join("tests/fixtures/seed_guide.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(&server.url)
        .output()
        .unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "the guide's Python failed (it needs `python3 -m pip install requests pyyaml`):\n{err}\n{out}"
    );
    assert!(out.contains("Success: True\nStatus: success\n"), "{out}");
    assert!(out.contains("Hello V2 World!"), "{out}");
    assert!(out.contains("Duration: 0."), "{out}");
}

#[test]
fn curl_lines_of_the_guide_work() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let base = &server.url;

    let (exit, out) = shell(&format!("curl -sS {base}/api/v2/jobs/samples"));
    assert_eq!(exit, 0);
    assert!(
        out.contains("\"powershell\"") && out.contains("\"sql\""),
        "{out}"
    );

    let yaml = json!(JOB).to_string();
    let (exit, out) = shell(&format!(
        "curl -sS -X POST {base}/api/v2/jobs \\\n  -H \"Content-Type: application/json\" \\\n  \
         -d '{{\"name\": \"Test Job\", \"yaml_config\": {yaml}}}'"
    ));
    assert_eq!(exit, 0);
    let created: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(created["success"], true, "{out}");
    let id = created["job_id"].as_str().unwrap();

    let (exit, out) = shell(&format!("curl -sS -X POST {base}/api/v2/jobs/{id}/run"));
    assert_eq!(exit, 0);
    let ran: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(ran["success"], true, "{out}");
    assert_eq!(ran["status"], "success");
}

#[test]
fn the_guides_literal_dots_for_yaml_are_refused_with_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let (exit, out) = shell(&format!(
        "curl -sS -X POST {}/api/v2/jobs -H \"Content-Type: application/json\" \
         -d '{{\"name\": \"Test Job\", \"yaml_config\": \"...\"}}'",
        server.url
    ));
    assert_eq!(exit, 0);
    let refused: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(refused["success"], false, "{out}");
    assert_eq!(refused["status"], 422, "{out}");
}
