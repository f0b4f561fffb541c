//! Single runs over the API.

use jobcell_model::ExecutionId;

use crate::support::{Service, sql_job};

#[tokio::test]
async fn gives_the_log_as_text() {
    let service = Service::start().await;
    service
        .create(&sql_job("A", "SELECT 'grüße' AS word"))
        .await;
    let run = service.post("/api/v2/jobs/A/run").await.json();
    let path = format!(
        "/api/v2/executions/{}/log",
        run["execution_id"].as_str().unwrap()
    );
    let log = service.get(&path).await;
    assert_eq!(
        log.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(log.header("x-execution-status"), Some("success"));
    assert!(log.text.contains("grüße"), "{}", log.text);
    assert_eq!(log.text, run["output"].as_str().unwrap());
    let stdout = service.get(&format!("{path}?stream=stdout")).await.text;
    assert_eq!(stdout, log.text);
    assert_eq!(service.get(&format!("{path}?stream=stderr")).await.text, "");
    let bad = service.get(&format!("{path}?stream=both")).await;
    assert_eq!(bad.error(400, "bad_parameter")["parameter"], "stream");
}

#[tokio::test]
async fn knows_no_run_by_another_id() {
    let service = Service::start().await;
    let unknown = format!("/api/v2/executions/{}", ExecutionId::generate());
    service
        .get(&unknown)
        .await
        .error(404, "execution_not_found");
    service
        .get(&format!("{unknown}/log"))
        .await
        .error(404, "execution_not_found");
    service
        .post(&format!("{unknown}/cancel"))
        .await
        .error(404, "execution_not_found");
    service
        .get("/api/v2/executions/latest")
        .await
        .error(404, "execution_not_found");
}
