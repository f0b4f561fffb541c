//! Running jobs over the API.

use axum::body::Body;
use serde_json::{Value, json};

use crate::support::{ENDLESS, Service, is_date, keys, request, sql_job};

#[tokio::test]
async fn waits_for_a_run_and_answers_with_the_keys_of_the_original() {
    let service = Service::start().await;
    let id = service
        .create(&sql_job("A", "SELECT 41 + 1 AS answer"))
        .await;
    let reply = service.post("/api/v2/jobs/A/run").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let run = reply.json();
    assert_eq!(
        keys(&run),
        [
            "_version",
            "duration_seconds",
            "end_time",
            "error",
            "error_code",
            "execution_id",
            "job_id",
            "output",
            "output_dropped_bytes",
            "return_code",
            "start_time",
            "status",
            "step_results",
            "success",
        ]
    );
    assert_eq!(run["success"], true);
    assert_eq!(run["status"], "success");
    assert_eq!(run["job_id"], id);
    assert_eq!(run["_version"], "v2");
    assert_eq!(run["error"], Value::Null);
    assert!(run["output"].as_str().unwrap().contains("42"), "{run}");
    assert!(
        is_date(&run["start_time"]) && is_date(&run["end_time"]),
        "{run}"
    );
    assert!(run["duration_seconds"].as_f64().unwrap() > 0.0);
    let step = &run["step_results"][0];
    assert_eq!(
        keys(step),
        [
            "details",
            "duration_seconds",
            "kind",
            "name",
            "start_time",
            "status"
        ]
    );
    assert!(is_date(&step["start_time"]), "{step}");

    let job = service.get("/api/v2/jobs/A").await.json()["job"].clone();
    assert_eq!(job["last_execution_id"], run["execution_id"]);
    assert_eq!(job["last_execution_status"], "success");
    assert!(is_date(&job["last_execution_time"]), "{job}");
    assert_eq!(job["total_executions"], 1);
    assert_eq!(job["success_rate"], 100.0);
}

#[tokio::test]
async fn answers_200_without_success_when_the_job_failed() {
    let service = Service::start().await;
    service
        .create(&sql_job("A", "SELECT * FROM no_such_table"))
        .await;
    let reply = service.post("/api/v2/jobs/A/run").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let run = reply.json();
    assert_eq!(run["success"], false);
    assert_eq!(run["status"], "failed");
    assert!(
        run["error"].as_str().unwrap().contains("no_such_table"),
        "{run}"
    );
    assert!(run["error_code"].as_str().is_some(), "{run}");
}

#[tokio::test]
async fn answers_at_once_when_told_not_to_wait() {
    let service = Service::start().await;
    service.create(&sql_job("A", "SELECT 1")).await;
    let reply = service.post("/api/v2/jobs/A/run?wait=false").await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    let started = reply.json();
    assert_eq!(started["success"], true);
    assert_eq!(started["status"], "running");
    let execution_id = started["execution_id"].as_str().unwrap();
    let location = format!("/api/v2/executions/{execution_id}");
    assert_eq!(reply.header("location"), Some(location.as_str()));
    assert_eq!(service.ended(execution_id).await["status"], "success");
}

#[tokio::test]
async fn refuses_a_run_while_another_goes_on_and_ends_that_on_demand() {
    let service = Service::start().await;
    service.create(&sql_job("A", ENDLESS)).await;
    let started = service.post("/api/v2/jobs/A/run?wait=false").await.json();
    let execution_id = started["execution_id"].as_str().unwrap();

    let busy = service.post("/api/v2/jobs/A/run").await;
    assert_eq!(busy.error(409, "job_busy")["execution_id"], execution_id);
    let running = service
        .get(&format!("/api/v2/executions/{execution_id}"))
        .await
        .json();
    assert_eq!(running["execution"]["status"], "running");
    assert_eq!(running["execution"]["end_time"], Value::Null);

    let path = format!("/api/v2/executions/{execution_id}/cancel");
    let cancelling = service.post(&path).await;
    assert_eq!(cancelling.status, 202, "{}", cancelling.text);
    assert_eq!(cancelling.json()["success"], true);
    let ended = service.ended(execution_id).await;
    assert_eq!(ended["status"], "cancelled");
    assert_eq!(ended["error_message"], "cancelled by api");
    let again = service.post(&path).await;
    assert_eq!(
        again.error(409, "execution_not_running")["execution_status"],
        "cancelled"
    );
}

#[tokio::test]
async fn lets_a_run_go_on_when_its_client_goes_away() {
    let service = Service::start().await;
    service.create(&sql_job("A", ENDLESS)).await;
    let router = service.router.clone();
    let client = tokio::spawn(tower::ServiceExt::oneshot(
        router,
        request("POST", "/api/v2/jobs/A/run")
            .body(Body::empty())
            .unwrap(),
    ));
    let waiting = async {
        while service.engine.running() == 0 {
            tokio::task::yield_now().await;
        }
        // Listed before its start is durable: wait for its row too.
        loop {
            let history = service.get("/api/v2/jobs/A/history").await.json();
            if let Some(id) = history["execution_history"][0]["execution_id"].as_str() {
                return id.to_owned();
            }
        }
    };
    let execution_id = tokio::time::timeout(crate::support::PATIENCE, waiting)
        .await
        .unwrap();
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    assert_eq!(service.engine.running(), 1);
    service
        .post(&format!("/api/v2/executions/{execution_id}/cancel"))
        .await;
    assert_eq!(service.ended(&execution_id).await["status"], "cancelled");
}

#[tokio::test]
async fn refuses_to_run_what_is_disabled_or_not_there() {
    let service = Service::start().await;
    service.create(&sql_job("A", "SELECT 1")).await;
    service
        .send_json("PUT", "/api/v2/jobs/A", &json!({ "enabled": false }))
        .await;
    service
        .post("/api/v2/jobs/A/run")
        .await
        .error(409, "job_disabled");
    service
        .send_json("PUT", "/api/v2/jobs/A", &json!({ "enabled": true }))
        .await;
    assert_eq!(service.post("/api/v2/jobs/A/run").await.status, 200);
    service
        .post("/api/v2/jobs/B/run")
        .await
        .error(404, "job_not_found");
}

#[tokio::test]
async fn refuses_to_run_while_it_shuts_down() {
    let service = Service::start().await;
    service.create(&sql_job("A", "SELECT 1")).await;
    service.engine.close();
    let reply = service.post("/api/v2/jobs/A/run").await;
    reply.error(503, "shutting_down");
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test]
async fn takes_an_empty_object_as_the_body_and_warns_of_members_it_ignores() {
    let service = Service::start().await;
    service.create(&sql_job("A", "SELECT 1")).await;
    let path = "/api/v2/jobs/A/run";
    assert_eq!(
        service.send_json("POST", path, &json!({})).await.status,
        200
    );
    let reply = service
        .send_json("POST", path, &json!({ "who": "ci" }))
        .await;
    assert_eq!(reply.json()["warnings"][0]["code"], "unknown_member");
    // What `curl -d ''` sends.
    let form = "application/x-www-form-urlencoded";
    assert_eq!(service.send_typed("POST", path, form, "").await.status, 200);
}
