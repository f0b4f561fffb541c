//! The history of a job over the API.

use jobcell_model::JobId;
use serde_json::{Value, json};

use crate::support::{Service, is_date, keys, sql_job};

#[tokio::test]
async fn shows_runs_with_the_columns_of_the_original() {
    let service = Service::start().await;
    let id = service
        .create(&sql_job("A", "SELECT 41 + 1 AS answer"))
        .await;
    let run = service.post("/api/v2/jobs/A/run").await.json();
    let history = service.get("/api/v2/jobs/A/history").await.json();
    assert_eq!(
        keys(&history),
        [
            "execution_history",
            "job_id",
            "next_cursor",
            "success",
            "total_count"
        ]
    );
    assert_eq!(history["job_id"], id);
    assert_eq!(history["total_count"], 1);
    let row = &history["execution_history"][0];
    let of_the_original = [
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
    ];
    for key in of_the_original {
        assert!(row.get(key).is_some(), "{key} is missing in {row}");
    }
    assert_eq!(row["execution_id"], run["execution_id"]);
    assert_eq!(row["execution_mode"], "manual");
    assert_eq!(row["executed_by"], "api");
    assert_eq!(row["execution_timezone"], "UTC");
    assert_eq!(row["job_key"], "A");
    assert_eq!(row["job_revision"], 1);
    assert_eq!(row["output_log"], run["output"]);
    assert_eq!(row["output_truncated"], false);
    assert_eq!(row["server_info"], "test-host; test-system; jobcell test");
    assert!(
        is_date(&row["start_time"]) && is_date(&row["end_time"]),
        "{row}"
    );
}

#[tokio::test]
async fn pages_through_runs_newest_first() {
    let service = Service::start().await;
    service.create(&sql_job("A", "SELECT 1")).await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        let run = service.post("/api/v2/jobs/A/run").await.json();
        expected.insert(0, run["execution_id"].clone());
    }
    let mut seen = Vec::new();
    let mut path = "/api/v2/jobs/A/history?limit=2".to_owned();
    loop {
        let page = service.get(&path).await.json();
        let rows = page["execution_history"].as_array().unwrap().clone();
        assert_eq!(page["total_count"], rows.len());
        seen.extend(rows.iter().map(|row| row["execution_id"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/api/v2/jobs/A/history?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn shows_the_end_of_a_long_output_and_all_of_it_on_demand() {
    let service = Service::start().await;
    // Three bytes a character, so that a cut anywhere could fall within one.
    let query = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 500) \
                 SELECT printf('€€€€€€€€€€€€€€€€€€€€ %d', x) AS line FROM c";
    service.create(&sql_job("A", query)).await;
    let run = service.post("/api/v2/jobs/A/run").await.json();
    let whole = run["output"].as_str().unwrap();
    assert!(whole.len() > 8192, "{}", whole.len());
    let row = service.get("/api/v2/jobs/A/history").await.json()["execution_history"][0].clone();
    assert_eq!(row["output_truncated"], true);
    let shown = row["output_log"].as_str().unwrap();
    assert!(shown.len() <= 4096 && shown.len() > 4090, "{}", shown.len());
    assert!(whole.ends_with(shown));
    let path = format!(
        "/api/v2/executions/{}",
        run["execution_id"].as_str().unwrap()
    );
    let execution = service.get(&path).await.json()["execution"].clone();
    assert_eq!(execution["output_log"], whole);
    assert_eq!(execution["output_truncated"], false);
}

#[tokio::test]
async fn keeps_the_history_of_a_deleted_job_under_its_uuid() {
    let service = Service::start().await;
    let id = service.create(&sql_job("A", "SELECT 1")).await;
    service.post("/api/v2/jobs/A/run").await;
    service.delete("/api/v2/jobs/A").await;
    let path = format!("/api/v2/jobs/{id}/history");
    assert_eq!(service.get(&path).await.json()["total_count"], 1);
    service
        .get("/api/v2/jobs/A/history")
        .await
        .error(404, "job_not_found");
}

#[tokio::test]
async fn tells_a_job_without_runs_from_no_job() {
    let service = Service::start().await;
    service.create(&sql_job("A", "SELECT 1")).await;
    let none = service.get("/api/v2/jobs/A/history").await.json();
    assert_eq!(none["execution_history"], json!([]));
    assert_eq!(none["next_cursor"], Value::Null);
    let stranger = format!("/api/v2/jobs/{}/history", JobId::generate());
    service.get(&stranger).await.error(404, "job_not_found");
}
