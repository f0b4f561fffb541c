//! The V2 endpoints over the wire, with the keys that the original's clients
//! read.

use serde_json::{Value, json};

use crate::harness::{Server, ServerOptions};

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn has_all(value: &Value, wanted: &[&str]) {
    let found = keys(value);
    for key in wanted {
        assert!(found.contains(key), "`{key}` is missing among {found:?}");
    }
}

#[test]
fn a_job_lives_from_creation_to_deletion() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let yaml = "id: LIFE-1   # kept as written\nname: Life\ntype: sql\nquery: |\n  SELECT 'ä' AS letter;\n";
    let created = server.post_json(
        "/api/v2/jobs",
        &json!({ "name": "A life", "description": "One job", "yaml_config": yaml, "enabled": true }),
    );
    assert_eq!(created.status, 201, "{}", created.text);
    let created = created.json();
    has_all(&created, &["success", "job_id", "version", "message"]);
    assert_eq!(created["version"], "v2");
    let id = created["job_id"].as_str().unwrap();

    let job = server.get("/api/v2/jobs/LIFE-1").json()["job"].clone();
    has_all(
        &job,
        &[
            "job_id",
            "name",
            "description",
            "version",
            "yaml_configuration",
            "enabled",
            "created_date",
            "modified_date",
            "created_by",
            "last_execution_id",
            "last_execution_status",
            "last_execution_time",
            "next_scheduled_time",
            "total_executions",
            "successful_executions",
            "failed_executions",
            "average_duration_seconds",
            "success_rate",
            "parsed_config",
            "_version",
            "_format",
        ],
    );
    assert_eq!(job["yaml_configuration"], yaml);
    assert_eq!(job["name"], "A life");
    assert_eq!(job["parsed_config"]["type"], "SQL");

    let ran = server.post(&format!("/api/v2/jobs/{id}/run")).json();
    has_all(
        &ran,
        &[
            "success",
            "execution_id",
            "job_id",
            "status",
            "duration_seconds",
            "start_time",
            "end_time",
            "output",
            "error",
            "return_code",
            "_version",
        ],
    );
    assert!(ran["output"].as_str().unwrap().contains('ä'), "{ran}");
    assert!(
        ran["start_time"].as_str().unwrap().ends_with("+00:00"),
        "{ran}"
    );

    let changed = server.put_json(&format!("/api/v2/jobs/{id}"), &json!({ "enabled": false }));
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(server.post("/api/v2/jobs/LIFE-1/run").status, 409);
    let job = server.get(&format!("/api/v2/jobs/{id}")).json()["job"].clone();
    assert_eq!(
        job["yaml_configuration"], yaml,
        "an update of one thing erases no other"
    );
    assert_eq!(
        (&job["total_executions"], &job["success_rate"]),
        (&json!(1), &json!(100.0))
    );

    assert_eq!(server.delete(&format!("/api/v2/jobs/{id}")).status, 200);
    assert_eq!(server.get(&format!("/api/v2/jobs/{id}")).status, 404);
    let history = server.get(&format!("/api/v2/jobs/{id}/history")).json();
    assert_eq!(history["total_count"], 1, "history outlives the job");
}

#[test]
fn history_rows_carry_every_field() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.create(
        "id: H\nname: H\ntype: PowerShell\nexecutionMode: inline\ninlineScript: |\n  \
         Write-Host \"out\"\n  exit 3\nretryPolicy: {maxRetries: 2, retryDelay: 3600}\n",
    );
    let ran = server.post("/api/v2/jobs/H/run").json();
    assert_eq!(
        (&ran["success"], &ran["status"]),
        (&json!(false), &json!("failed")),
        "{ran}"
    );
    assert_eq!(ran["return_code"], 3);
    let history = server.get("/api/v2/jobs/H/history").json();
    has_all(
        &history,
        &["success", "job_id", "execution_history", "total_count"],
    );
    // The newest is the retry that waits; the one before is the run.
    let rows = history["execution_history"].as_array().unwrap();
    assert_eq!(rows[0]["status"], "pending", "{history}");
    assert_eq!(rows[0]["parent_execution_id"], ran["execution_id"]);
    let row = &rows[1];
    has_all(
        row,
        &[
            "execution_id",
            "job_id",
            "job_name",
            "status",
            "start_time",
            "end_time",
            "duration_seconds",
            "output_log",
            "error_message",
            "return_code",
            "step_results",
            "execution_mode",
            "executed_by",
            "execution_timezone",
            "server_info",
            "memory_usage_mb",
            "cpu_time_seconds",
            "retry_count",
            "max_retries",
            "is_retry",
            "parent_execution_id",
        ],
    );
    assert!(row["output_log"].as_str().unwrap().contains("out"), "{row}");
    assert!(row["memory_usage_mb"].as_f64().unwrap() > 0.1, "{row}");
    assert!(row["cpu_time_seconds"].as_f64().unwrap() > 0.0, "{row}");
    assert!(
        row["server_info"].as_str().unwrap().contains("jobcell"),
        "{row}"
    );
    assert_eq!(row["max_retries"], 2);
    assert_eq!(row["step_results"].as_array().unwrap().len(), 1, "{row}");
}

#[test]
fn lists_page_by_cursor_without_gap_or_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    for number in 0..25 {
        server.create(&format!(
            "id: P{number}\nname: P\ntype: SQL\nquery: SELECT {number}\n"
        ));
    }
    let mut seen = Vec::new();
    let mut path = "/api/v2/jobs?limit=10".to_owned();
    loop {
        let page = server.get(&path).json();
        assert_eq!(page["total_count"], 25);
        let jobs = page["jobs"].as_array().unwrap();
        seen.extend(
            jobs.iter()
                .map(|job| job["key"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/api/v2/jobs?limit=10&cursor={cursor}");
    }
    let wanted: Vec<String> = (0..25).rev().map(|number| format!("P{number}")).collect();
    assert_eq!(seen, wanted);
}

#[test]
fn a_second_run_at_once_is_refused_with_the_id_in_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.create(
        "id: once\nname: Once\ntype: PowerShell\nexecutionMode: inline\n\
         inlineScript: Start-Sleep -Seconds 30\n",
    );
    let first = server.post("/api/v2/jobs/once/run?wait=false");
    assert_eq!(first.status, 202, "{}", first.text);
    let second = server.post("/api/v2/jobs/once/run");
    assert_eq!(second.status, 409, "{}", second.text);
    assert_eq!(second.json()["execution_id"], first.json()["execution_id"]);
    let id = first.json()["execution_id"].as_str().unwrap().to_owned();
    assert_eq!(
        server
            .post(&format!("/api/v2/executions/{id}/cancel"))
            .status,
        202
    );
    let ended = crate::harness::eventually("the cancelled run", || {
        let run = server.get(&format!("/api/v2/executions/{id}")).json()["execution"].clone();
        (run["status"] != "running").then_some(run)
    });
    assert_eq!(ended["status"], "cancelled", "{ended}");
}

#[test]
fn without_powershell_the_run_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions {
        configuration: Some("tools: {powershell: /nowhere/pwsh}\n".to_owned()),
        ..ServerOptions::default()
    };
    let server = Server::start_with(&folder.path().join("data"), options);
    server.create(
        "id: ps\nname: PS\ntype: PowerShell\nexecutionMode: inline\ninlineScript: Get-Date\n",
    );
    let ran = server.post("/api/v2/jobs/ps/run").json();
    assert_eq!(ran["status"], "failed", "{ran}");
    assert_eq!(ran["error_code"], "tool_not_found", "{ran}");
    let error = ran["error"].as_str().unwrap();
    assert!(
        error.contains("/nowhere/pwsh") && error.contains("tools.powershell"),
        "{error}"
    );
}

#[test]
fn samples_have_the_originals_shape() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let samples = server.get("/api/v2/jobs/samples").json();
    assert_eq!(samples["success"], true);
    for slug in ["powershell", "sql"] {
        has_all(
            &samples["samples"][slug],
            &["name", "description", "yaml_config"],
        );
    }
    let powershell = samples["samples"]["powershell"]["yaml_config"]
        .as_str()
        .unwrap();
    assert!(powershell.contains("id: \"PS-001\"") && powershell.contains("0 */6 * * *"));
    assert!(
        samples["samples"].as_object().unwrap().len() > 2,
        "the others besides"
    );
}

/// Every route of README's table that answers in JSON, well and badly called.
#[test]
fn every_reply_says_whether_it_is_a_success() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let yaml = "id: A\nname: A\ntype: SQL\nquery: SELECT 1\n";
    let id = server.create(yaml);
    let run = server.post("/api/v2/jobs/A/run").json();
    let run = run["execution_id"].as_str().unwrap().to_owned();
    let gets = [
        "/api/v2/jobs".to_owned(),
        format!("/api/v2/jobs/{id}"),
        "/api/v2/jobs/A/history".to_owned(),
        "/api/v2/jobs/A/schedule/preview".to_owned(),
        "/api/v2/jobs/samples".to_owned(),
        format!("/api/v2/executions/{run}"),
        "/api/v2/job-types".to_owned(),
        "/health/live".to_owned(),
        "/health/ready".to_owned(),
    ];
    for path in &gets {
        let reply = server.get(path);
        assert_eq!(
            (reply.status, &reply.json()["success"]),
            (200, &json!(true)),
            "{path}"
        );
        let refused = server.delete(&format!("{path}/nowhere/at/all"));
        assert_eq!(refused.json()["success"], false, "{path}");
    }
    let validated = server.post_json("/api/v2/jobs/validate", &json!({ "yaml_config": yaml }));
    let changes = [
        validated,
        server.post("/api/v2/jobs/A/disable"),
        server.post("/api/v2/jobs/A/enable"),
        server.post("/api/v2/jobs/A/run?wait=false"),
        server.put_json("/api/v2/jobs/A", &json!({ "name": "B" })),
        server.delete("/api/v2/jobs/A"),
    ];
    for reply in changes {
        assert_eq!(reply.json()["success"], true, "{}", reply.text);
    }
    let cancelled = server.post(&format!("/api/v2/executions/{run}/cancel"));
    assert_eq!(
        (cancelled.status, &cancelled.json()["success"]),
        (409, &json!(false))
    );
}
