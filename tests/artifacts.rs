//! Files that runs leave: kept with the record, fetched as they are.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Server, ServerOptions, run, text};

const JOB: &str = "id: j\nname: J\ntype: SQL\noutputFormat: csv\noutputFile: Übersicht 1.csv\n\
    query: |\n  SELECT 1 AS id, 'a,\"b' AS name UNION ALL SELECT 2, NULL;\n";

fn ran(jobcell: &Server, job: &str) -> (String, Value) {
    jobcell.create(job);
    let ran = jobcell.post("/api/v2/jobs/j/run").json();
    jobcell.delete("/api/v2/jobs/j");
    let id = ran["execution_id"].as_str().unwrap().to_owned();
    (format!("/api/v2/executions/{id}/artifacts"), ran)
}

#[test]
fn a_file_is_kept_with_its_run_and_given_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let jobcell = Server::start(&data);
    let (path, ran) = ran(&jobcell, JOB);
    assert_eq!(ran["success"], true, "{ran}");
    // People see a table, programs get the file.
    let output = ran["output"].as_str().unwrap();
    assert!(
        output.contains("id | name") || output.contains("id"),
        "{output}"
    );
    assert!(!output.contains("\"a,\"\"b\""), "{output}");
    jobcell.kill();
    let jobcell = Server::start(&data);
    let listed = jobcell.get(&path).json();
    let name = "Übersicht 1.csv";
    let url = format!("{path}/%C3%9Cbersicht%201.csv");
    let expected = json!([{
        "name": name, "media_type": "text/csv; charset=utf-8", "complete": true,
        "size": 24, "url": url,
    }]);
    assert_eq!(listed["artifacts"], expected, "{listed}");
    let file = jobcell.get(&url);
    assert_eq!(file.text, "id,name\r\n1,\"a,\"\"b\"\r\n2,\r\n");
    assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(file.headers["x-content-type-options"], "nosniff");
    assert_eq!(file.headers["artifact-complete"], "true");
    let disposition = file.headers["content-disposition"].to_str().unwrap();
    assert_eq!(
        disposition,
        "attachment; filename*=UTF-8''%C3%9Cbersicht%201.csv"
    );
    assert_eq!(jobcell.get(&format!("{path}/other.csv")).status, 404);
    let nobody = "/api/v2/executions/00000000-0000-7000-8000-000000000000/artifacts";
    assert_eq!(jobcell.get(nobody).status, 404);
}

#[test]
fn a_file_of_a_run_that_failed_is_marked_and_a_large_one_fails_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions {
        configuration: Some("limits: {artifactBytes: 100 kB}\n".to_owned()),
        ..ServerOptions::default()
    };
    let jobcell = Server::start_with(&folder.path().join("data"), options);
    let job = |query: &str| {
        format!(
            "id: j\nname: J\ntype: SQL\noutputFormat: json\noutputFile: r.json\nquery: |\n  {query}\n"
        )
    };
    // Its statements are done, so it is whole: it says what failed.
    let (path, failed) = ran(&jobcell, &job("SELECT 1; SELECT nonsense;"));
    assert_eq!(failed["success"], false, "{failed}");
    let file = jobcell.get(&format!("{path}/r.json"));
    let document: Value = serde_json::from_str(&file.text).unwrap();
    assert_eq!(document["results"][0]["rows"], json!([[1]]), "{document}");
    let large = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 9000) \
        SELECT x, printf('%050d', x) FROM n";
    let (path, failed) = ran(&jobcell, &job(large));
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("limit `artifact_bytes`"), "{failed}");
    assert!(error.contains("limits.artifactBytes"), "{failed}");
    let listed = jobcell.get(&path).json();
    assert_eq!(listed["artifacts"][0]["complete"], false, "{listed}");
    assert!(listed["artifacts"][0]["size"].as_u64().unwrap() <= 100_000);
}

#[test]
fn a_name_that_no_system_saves_is_refused_when_the_job_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let jobcell = Server::start(&folder.path().join("data"));
    for name in ["../x", "a/b", "a\\b", ".hidden", "x.", "c:x", ""] {
        let job = JOB.replace("Übersicht 1.csv", &format!("'{name}'"));
        let refused = jobcell.send("POST", "/api/v2/jobs", "application/yaml", job.as_bytes());
        assert_eq!(refused.status, 422, "{name}: {}", refused.text);
        assert!(refused.text.contains("outputFile"), "{}", refused.text);
    }
    let table = JOB.replace("outputFormat: csv\n", "");
    let refused = jobcell.send("POST", "/api/v2/jobs", "application/yaml", table.as_bytes());
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(
        refused.text.contains("outputFormat: csv"),
        "{}",
        refused.text
    );
}

#[test]
fn a_run_without_a_server_writes_its_files_where_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let job = folder.path().join("job.yaml");
    fs::write(&job, JOB).unwrap();
    let job = job.to_str().unwrap();
    let told = run(&["run", job], folder.path());
    assert!(told.status.success());
    assert!(text(&told.stderr).contains("is not kept"), "{told:?}");
    let kept = run(&["run", job, "--artifacts", "out"], folder.path());
    assert!(kept.status.success(), "{kept:?}");
    let file = fs::read_to_string(folder.path().join("out/Übersicht 1.csv")).unwrap();
    assert!(file.starts_with("id,name\r\n"), "{file}");
    // Nothing is written over.
    let again = run(&["run", job, "--artifacts", "out"], folder.path());
    assert_eq!(again.status.code(), Some(4), "{again:?}");
}
