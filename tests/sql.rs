//! SQL jobs in the real binary: what each statement leaves in the history.

use serde_json::{Value, json};

use crate::harness::{Server, ServerOptions};

fn run(server: &Server, key: &str, query: &str, keys: &str) -> Value {
    let query = query.replace('\n', "\n  ");
    server.create(&format!(
        "id: {key}\nname: {key}\ntype: SQL\nquery: |\n  {query}\n{keys}"
    ));
    server.post(&format!("/api/v2/jobs/{key}/run")).json()
}

#[test]
fn each_statement_is_a_step_with_its_figures() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let query = "CREATE TABLE t (n INTEGER, word TEXT);\n\
        INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL);\n\
        SELECT n, word FROM t WHERE n > 1 ORDER BY n;\n\
        SELECT missing FROM t;\nSELECT 1;";
    let ran = run(&server, "steps", query, "");
    assert_eq!(ran["status"], "failed", "{ran}");
    let steps = ran["step_results"].as_array().unwrap();
    let told: Vec<_> = steps
        .iter()
        .map(|step| {
            (
                step["kind"].as_str().unwrap(),
                step["status"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("create-table", "success"),
        ("insert", "success"),
        ("select", "success"),
        ("select", "failed"),
        ("select", "skipped"),
    ];
    assert_eq!(told[..4], expected[..4], "{ran}");
    assert_eq!(told[4].1, "skipped", "{ran}");
    assert_eq!(steps[1]["details"]["affectedRows"], 3, "{ran}");
    let select = &steps[2]["details"];
    assert_eq!(select["rowCount"], 2, "{select}");
    assert_eq!(select["columns"][0]["name"], "n");
    assert_eq!(select["columns"][1]["type"], "TEXT");
    assert_eq!(select["rows"], json!([[2, "b"], [3, null]]));
    assert_eq!(steps[3]["details"]["error"]["line"], 4, "{}", steps[3]);
    for step in steps {
        assert!(step["duration_seconds"].as_f64().unwrap() >= 0.0, "{step}");
    }
}

#[test]
fn what_is_reported_never_undoes_what_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions {
        configuration: Some("limits: {stepDetails: 1 KiB}\n".to_owned()),
        ..ServerOptions::default()
    };
    let server = Server::start_with(&folder.path().join("data"), options);
    let wide = "SELECT printf('%.*c', 190, 'x') AS word FROM pragma_function_list LIMIT 20;\n";
    let ran = run(&server, "wide", &wide.repeat(3), "");
    assert_eq!(ran["status"], "success", "{ran}");
    for step in ran["step_results"].as_array().unwrap() {
        assert_eq!(step["details"]["truncated"], true, "{step}");
        assert_eq!(step["details"]["rowCount"], 20, "{step}");
    }
}

#[test]
fn a_result_is_cut_at_its_limit_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions {
        configuration: Some("limits: {sqlRows: 10}\n".to_owned()),
        ..ServerOptions::default()
    };
    let server = Server::start_with(&folder.path().join("data"), options);
    let many =
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 50) SELECT x FROM c;";
    let ran = run(&server, "many", many, "");
    assert_eq!(ran["status"], "success", "{ran}");
    let details = &ran["step_results"][0]["details"];
    assert_eq!(details["limit"]["setting"], "limits.sqlRows", "{ran}");
    assert!(
        ran["output"].as_str().unwrap().contains("limits.sqlRows"),
        "{ran}"
    );
}

#[test]
fn results_for_programs_are_one_document() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let query = "SELECT 1 AS a, 'x,\"y\"' AS b, NULL AS c;\nSELECT x'00ff' AS d;";
    let ran = run(&server, "csv", query, "outputFormat: csv\n");
    assert_eq!(
        ran["output"], "a,b,c\r\n1,\"x,\"\"y\"\"\",\r\n\r\nd\r\nAP8=\r\n",
        "{ran}"
    );
    let failing = format!("{query}\nSELECT * FROM nowhere;");
    let ran = run(&server, "json", &failing, "outputFormat: json\n");
    assert_eq!(ran["status"], "failed", "{ran}");
    let id = ran["execution_id"].as_str().unwrap();
    let log = server.get(&format!("/api/v2/executions/{id}/log?stream=stdout"));
    let document: Value = serde_json::from_str(&log.text).unwrap();
    assert_eq!(
        document["results"][0]["rows"],
        json!([[1, "x,\"y\"", null]])
    );
    assert_eq!(document["results"][1]["statement"], 2, "{document}");
    // Many rows are all there, not only those that a table shows.
    let many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000) SELECT x FROM n";
    let ran = run(&server, "many", many, "outputFormat: csv\n");
    assert!(ran["output"].as_str().unwrap().ends_with("\r\n3000\r\n"));
}
