//! `POST /api/v2/import`: all of it or nothing, and twice is as once.

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use futures_util::stream;
use jobcell_api::ApiConfig;
use serde_json::{Value, json};

use crate::support::{Reply, Service, request, sql_job};

const JOB: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const OTHER: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3302";
const MEDIA_TYPE: &str = "application/x-ndjson";

fn job(id: &str, key: &str) -> Value {
    json!({"job": {
        "job_id": id, "yaml_configuration": sql_job(key, "SELECT 1"),
        "created_date": "2023-01-02T03:04:05Z", "modified_date": "2024-01-02T03:04:05Z",
        "created_by": "ada",
    }})
}

fn run(number: u8, job_id: &str, status: &str) -> Value {
    json!({"run": {
        "execution_id": format!("01890000-0000-7000-8000-0000000000{number:02x}"),
        "job_id": job_id, "job_name": "as it was", "status": status,
        "start_time": "2024-05-01T10:00:00Z", "end_time": "2024-05-01T10:00:02.5Z",
        "duration_seconds": 2.5, "return_code": 0, "execution_timezone": "Europe/Berlin",
        "noted": {"migratedFrom": "v1", "executionId": number.to_string()}, "output": "ä wrote\n",
    }})
}

fn end(connections: u64, jobs: u64, runs: u64) -> Value {
    json!({"end": {"connections": connections, "jobs": jobs, "runs": runs}})
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A whole import of these lines, whatever they are.
fn whole(lines: &[Value]) -> String {
    let count = |of: &str| lines.iter().filter(|line| !line[of].is_null()).count() as u64;
    let end = end(count("connection"), count("job"), count("run"));
    text(&[&[json!({"version": 1})], lines, &[end]].concat())
}

async fn import(service: &Service, query: &str, body: String) -> Reply {
    let path = format!("/api/v2/import{query}");
    service.send_typed("POST", &path, MEDIA_TYPE, body).await
}

async fn counts(service: &Service) -> (u64, usize) {
    let jobs = service.get("/api/v2/jobs").await.json();
    let history = service.get(&format!("/api/v2/jobs/{JOB}/history")).await;
    let runs = history.json()["execution_history"].clone();
    let runs = runs.as_array().map_or(0, Vec::len);
    (jobs["total_count"].as_u64().unwrap(), runs)
}

fn sample() -> String {
    whole(&[
        job(JOB, "ONE"),
        job(OTHER, "TWO"),
        run(1, JOB, "success"),
        run(2, JOB, "failed"),
    ])
}

#[tokio::test]
async fn takes_jobs_over_with_their_dates_and_their_history_marked() {
    let service = Service::start().await;
    let done = import(&service, "", sample()).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let done = done.json();
    assert_eq!(done["jobs"]["added"], json!([JOB, OTHER]));
    assert_eq!(done["runs"], json!({"added": 2, "present": 0}));
    let job = service.get(&format!("/api/v2/jobs/{JOB}")).await.json()["job"].clone();
    assert_eq!(job["key"], "ONE");
    assert_eq!(job["created_by"], "ada");
    assert_eq!(job["created_date"], "2023-01-02T03:04:05.000000+00:00");
    assert_eq!(job["total_executions"], 2);
    let runs = service.get(&format!("/api/v2/jobs/{JOB}/history")).await;
    let run = runs.json()["execution_history"][1].clone();
    assert_eq!(run["status"], "success");
    assert_eq!(run["executed_by"], "v1");
    assert_eq!(run["job_name"], "as it was");
    assert_eq!(run["step_results"][0]["details"]["migratedFrom"], "v1");
    let id = run["execution_id"].as_str().unwrap();
    let run = service
        .get(&format!("/api/v2/executions/{id}"))
        .await
        .json();
    assert_eq!(run["execution"]["output_log"], "ä wrote\n");
    let ran = service.post("/api/v2/jobs/ONE/run").await.json();
    assert_eq!(ran["success"], true, "{ran}");
}

#[tokio::test]
async fn changes_nothing_the_second_time() {
    let service = Service::start().await;
    import(&service, "", sample()).await;
    let more = [
        job(JOB, "ONE"),
        run(1, JOB, "success"),
        run(3, JOB, "success"),
    ];
    let again = import(&service, "", whole(&more)).await.json();
    assert_eq!(again["jobs"], json!({"added": [], "present": [JOB]}));
    assert_eq!(again["runs"], json!({"added": 1, "present": 1}));
    assert_eq!(counts(&service).await, (2, 3));
    let later = [job(OTHER, "TWO"), run(4, OTHER, "success")];
    let later = import(&service, "", whole(&later)).await;
    assert_eq!(later.json()["runs"]["added"], 1, "{}", later.text);
}

#[tokio::test]
async fn a_dry_run_says_the_same_and_writes_nothing() {
    let service = Service::start().await;
    let dry = import(&service, "?dry_run=true", sample()).await.json();
    assert_eq!(counts(&service).await, (0, 0));
    let wet = import(&service, "?dry_run=false", sample()).await.json();
    assert_eq!(
        (&dry["dry_run"], &wet["dry_run"]),
        (&json!(true), &json!(false))
    );
    for key in ["connections", "jobs", "runs"] {
        assert_eq!(dry[key], wet[key], "{key}");
    }
    // A misspelt switch must not write.
    let misspelt = import(&service, "?dryrun=true", sample()).await;
    misspelt.error(400, "unknown_parameter");
}

#[tokio::test]
async fn says_of_each_job_why_it_can_not_be_taken_over_and_takes_none() {
    let service = Service::start().await;
    service.create(&sql_job("TAKEN", "SELECT 1")).await;
    let mut broken = job("3f2504e0-4f89-41d3-9a0c-0305e82c3309", "BROKEN");
    broken["job"]["yaml_configuration"] = json!("id: BROKEN\nname: b\ntype: Nonsense\n");
    let mut nameless = job("3f2504e0-4f89-41d3-9a0c-0305e82c3307", "THREE");
    nameless["job"]["created_by"] = json!("x".repeat(1001));
    let lines = [
        job(JOB, "ONE"),
        broken,
        job(OTHER, "TAKEN"),
        job(JOB, "TWICE"),
        job("3f2504e0-4f89-41d3-9a0c-0305e82c3308", "ONE"),
        nameless,
        run(1, JOB, "success"),
    ];
    for query in ["?dry_run=true", ""] {
        let refused = import(&service, query, whole(&lines)).await;
        let refused = refused.error(422, "import_refused");
        let of: Vec<(&str, &str)> = refused["refused"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (
                    one["job_id"].as_str().unwrap(),
                    one["error"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(of.len(), 5, "{refused}");
        assert!(of[0].1.contains("Nonsense"), "{refused}");
        assert_eq!(of[1].0, OTHER);
        assert!(of[1].1.contains("`TAKEN`"), "{refused}");
        assert!(of[2].1.contains("two with this `job_id`"), "{refused}");
        assert!(of[3].1.contains(JOB), "{refused}");
        assert!(
            refused["error"].as_str().unwrap().contains("and 4 more"),
            "{refused}"
        );
    }
    assert_eq!(counts(&service).await, (1, 0));
}

#[tokio::test]
async fn what_can_not_be_read_is_told_by_its_line_and_undoes_all_of_it() {
    let service = Service::start().await;
    let version = json!({"version": 1});
    let mut backwards = run(1, JOB, "success");
    backwards["run"]["end_time"] = json!("2024-04-01T10:00:00Z");
    let mut unmarked = run(1, JOB, "success");
    unmarked["run"]["noted"] = json!("text");
    let mut unknown = run(1, JOB, "success");
    unknown["run"]["plugin"] = json!("forged");
    let one = || job(JOB, "ONE");
    let cases = [
        (text(&[one(), end(0, 1, 0)]), 1, "first line"),
        (text(&[json!({"version": 2})]), 1, "version 2 is not known"),
        (String::new(), 1, "without its last line"),
        (text(&[version.clone(), one()]), 3, "without its last line"),
        (text(&[version.clone(), one(), end(0, 2, 0)]), 3, "2 jobs"),
        (
            format!("{}x", text(&[version.clone(), one(), end(0, 1, 0)])),
            4,
            "more after",
        ),
        (format!("{version}\n{{\"job\": nonsense}}\n"), 2, "expected"),
        (
            whole(&[one(), run(1, JOB, "success"), job(OTHER, "TWO")]),
            4,
            "come first",
        ),
        (whole(&[one(), run(1, JOB, "running")]), 3, "has not ended"),
        (whole(&[one(), backwards]), 3, "before it started"),
        (whole(&[one(), unmarked]), 3, "`noted`"),
        (whole(&[one(), unknown]), 3, "unknown field `plugin`"),
        (whole(&[one(), json!({"runs": 1})]), 3, "unknown variant"),
        (
            whole(&[one(), run(1, OTHER, "success")]),
            3,
            "did not come before it",
        ),
    ];
    for (body, line, part) in cases {
        for query in ["", "?dry_run=true"] {
            let refused = import(&service, query, body.clone()).await;
            let refused = refused.error(400, "malformed_import");
            assert_eq!(refused["line"], line, "{refused}");
            assert!(
                refused["error"].as_str().unwrap().contains(part),
                "{part}: {refused}"
            );
        }
    }
    let secret = json!({"connection": {"name": "erp", "settings": {}, "password": 8_642_975}});
    let secret = import(&service, "", whole(&[secret])).await;
    assert_eq!(secret.error(400, "malformed_import")["line"], 2);
    assert!(!secret.text.contains("8642975"), "{}", secret.text);
    let long = format!("{{\"version\": \"{}\"}}\n", "x".repeat(100_000));
    let long = import(&service, "", long).await;
    assert!(long.text.len() < 1000, "{} bytes", long.text.len());
    assert_eq!(counts(&service).await, (0, 0));
    import(&service, "", sample()).await;
    assert_eq!(counts(&service).await, (2, 2), "nothing stands in the way");
}

#[tokio::test]
async fn blank_lines_say_that_somebody_is_there() {
    let service = Service::start().await;
    let body = sample().replace('\n', "\n\n \r\n");
    let done = import(&service, "", body).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(counts(&service).await, (2, 2));
}

#[tokio::test]
async fn takes_lines_only_and_no_more_than_may_be() {
    let config = ApiConfig {
        import_limit: 5000,
        ..ApiConfig::default()
    };
    let service = Service::start_with(config).await;
    let json = service
        .send_json("POST", "/api/v2/import", &json!({}))
        .await;
    json.error(415, "unsupported_media_type");
    let large = format!("{}{}", sample(), " ".repeat(5000));
    import(&service, "", large.clone())
        .await
        .error(413, "body_too_large");
    // The same without a declared length.
    let pieces = stream::iter(
        large
            .into_bytes()
            .chunks(100)
            .map(Bytes::copy_from_slice)
            .map(Ok::<_, std::io::Error>)
            .collect::<Vec<_>>(),
    );
    let undeclared = service
        .send_typed(
            "POST",
            "/api/v2/import",
            MEDIA_TYPE,
            Body::from_stream(pieces),
        )
        .await;
    undeclared.error(413, "body_too_large");
    assert_eq!(counts(&service).await, (0, 0));
}

#[tokio::test]
async fn a_client_that_stalls_holds_up_other_imports_and_nothing_else() {
    let service = Service::start().await;
    let begun = text(&[json!({"version": 1}), job(JOB, "ONE")]);
    let stalled = stream::unfold(Some(begun), |left| async {
        match left {
            Some(text) => Some((Ok::<_, std::io::Error>(Bytes::from(text)), None)),
            None => std::future::pending().await,
        }
    });
    let stalled = request("POST", "/api/v2/import")
        .header(CONTENT_TYPE, MEDIA_TYPE)
        .body(Body::from_stream(stalled))
        .unwrap();
    let stalled = tokio::spawn(tower::ServiceExt::oneshot(service.router.clone(), stalled));
    // Its first step takes the turn.
    tokio::task::yield_now().await;
    let busy = import(&service, "", whole(&[job(OTHER, "TWO")])).await;
    busy.error(409, "import_busy");
    service.create(&sql_job("THREE", "SELECT 1")).await;
    let ran = service.post("/api/v2/jobs/THREE/run").await.json();
    assert_eq!(ran["success"], true, "writes go on: {ran}");
    stalled.abort();
    assert!(stalled.await.unwrap_err().is_cancelled());
    let after = import(&service, "", whole(&[job(OTHER, "TWO")])).await;
    assert_eq!(after.status, 200, "{}", after.text);
    assert!(service.get(&format!("/api/v2/jobs/{JOB}")).await.status == 404);
}
