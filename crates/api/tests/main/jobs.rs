//! Stored jobs over the API.

use axum::body::Body;
use jobcell_api::ApiConfig;
use serde_json::{Value, json};

use crate::support::{Service, is_date, keys, request, samples, sql_job};

#[tokio::test]
async fn creates_a_job_with_the_keys_of_the_original() {
    let service = Service::start().await;
    let body = json!({
        "name": "My First V2 Job",
        "description": "Testing V2 system",
        "yaml_config": sql_job("MY-JOB-001", "SELECT 1"),
        "enabled": true,
    });
    let reply = service.send_json("POST", "/api/v2/jobs", &body).await;
    assert_eq!(reply.status, 201);
    let created = reply.json();
    assert_eq!(
        keys(&created),
        ["job_id", "key", "message", "success", "version", "warnings"]
    );
    assert_eq!(created["success"], true);
    assert_eq!(created["version"], "v2");
    assert_eq!(created["key"], "MY-JOB-001");
    assert_eq!(created["warnings"], json!([]));
    let location = format!("/api/v2/jobs/{}", created["job_id"].as_str().unwrap());
    assert_eq!(reply.header("location"), Some(location.as_str()));
    let job = service.get(&location).await.json()["job"].clone();
    assert_eq!(job["name"], "My First V2 Job");
    assert_eq!(job["description"], "Testing V2 system");
    assert_eq!(job["created_by"], "api");
}

#[tokio::test]
async fn reads_a_job_by_either_of_its_names() {
    let service = Service::start().await;
    let id = service.create(&sql_job("\"größe 1\"", "SELECT 1")).await;
    let by_id = service.get(&format!("/api/v2/jobs/{id}")).await.json();
    let by_key = service.get("/api/v2/jobs/gr%C3%B6%C3%9Fe%201").await.json();
    assert_eq!(by_id, by_key);
    assert_eq!(keys(&by_id), ["job", "success"]);
    let job = &by_id["job"];
    assert_eq!(
        keys(job),
        [
            "_format",
            "_version",
            "average_duration_seconds",
            "created_by",
            "created_date",
            "description",
            "enabled",
            "failed_executions",
            "job_id",
            "job_type",
            "key",
            "last_execution_id",
            "last_execution_status",
            "last_execution_time",
            "modified_date",
            "name",
            "next_scheduled_time",
            "p95_duration_seconds",
            "parsed_config",
            "revision",
            "success_rate",
            "successful_executions",
            "total_executions",
            "version",
            "yaml_configuration",
        ]
    );
    assert_eq!(job["version"], "2.0");
    assert_eq!(job["_version"], "v2");
    assert_eq!(job["_format"], "yaml");
    assert_eq!(job["parsed_config"]["query"], "SELECT 1\n");
    assert_eq!(
        job["yaml_configuration"],
        sql_job("\"größe 1\"", "SELECT 1")
    );
    assert!(
        is_date(&job["created_date"]) && is_date(&job["modified_date"]),
        "{job}"
    );
}

#[tokio::test]
async fn takes_yaml_as_the_body() {
    let service = Service::start().await;
    for (index, content_type) in [
        "application/yaml",
        "text/yaml",
        "application/x-yaml; charset=UTF-8",
    ]
    .iter()
    .enumerate()
    {
        let yaml = sql_job(&format!("Y-{index}"), "SELECT 1");
        let reply = service
            .send_typed("POST", "/api/v2/jobs", content_type, yaml)
            .await;
        assert_eq!(reply.status, 201, "{}", reply.text);
    }
    let changed = sql_job("Y-0", "SELECT 2");
    let reply = service
        .send_typed("PUT", "/api/v2/jobs/Y-0", "text/yaml", changed)
        .await;
    assert_eq!(reply.json()["job"]["parsed_config"]["query"], "SELECT 2\n");
}

#[tokio::test]
async fn takes_the_long_name_of_the_yaml_and_warns_of_members_it_ignores() {
    let service = Service::start().await;
    let body = json!({
        "yaml_configuration": sql_job("A", "SELECT 1"),
        "description": null,
        "colour/size": "red",
    });
    let reply = service.send_json("POST", "/api/v2/jobs", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let warnings = &reply.json()["warnings"];
    assert_eq!(warnings[0]["code"], "unknown_member");
    assert_eq!(warnings[0]["pointer"], "/colour~1size");
    assert_eq!(warnings[0]["severity"], "warning");
}

#[tokio::test]
async fn names_the_first_place_of_an_invalid_job_and_lists_all() {
    let service = Service::start().await;
    let yaml = "id: A\nname: Job A\ntype: SQL\nqeury: SELECT 1\ntimeout: soon\n";
    let reply = service
        .send_json("POST", "/api/v2/jobs", &json!({ "yaml_config": yaml }))
        .await;
    let body = reply.error(422, "invalid_job");
    let errors = body["errors"].as_array().unwrap();
    assert!(errors.len() >= 2, "{body}");
    for error in errors {
        assert_eq!(
            keys(error),
            [
                "code", "column", "hint", "line", "message", "pointer", "severity"
            ]
        );
        assert!(error["line"].as_u64().is_some(), "{error}");
    }
    let first = format!(
        "line {}, column {}: ",
        errors[0]["line"], errors[0]["column"]
    );
    let sentence = body["error"].as_str().unwrap();
    assert!(sentence.contains(&first), "{sentence}");
    assert!(
        errors
            .iter()
            .any(|error| error["line"] == 4 || error["line"] == 5),
        "{body}"
    );
    assert_eq!(service.get("/api/v2/jobs").await.json()["total_count"], 0);
}

#[tokio::test]
async fn refuses_a_second_job_with_the_same_id_and_names_the_first() {
    let service = Service::start().await;
    let first = service.create(&sql_job("A", "SELECT 1")).await;
    let body = json!({ "yaml_config": sql_job("A", "SELECT 2") });
    let reply = service.send_json("POST", "/api/v2/jobs", &body).await;
    assert_eq!(reply.error(409, "job_exists")["job_id"], first);
}

#[tokio::test]
async fn lists_jobs_newest_first_in_pages() {
    let service = Service::start().await;
    for index in 0..5 {
        service
            .create(&sql_job(&format!("J-{index}"), "SELECT 1"))
            .await;
    }
    service
        .send_json("PUT", "/api/v2/jobs/J-3", &json!({ "enabled": false }))
        .await;

    let all = service.get("/api/v2/jobs").await.json();
    assert_eq!(
        keys(&all),
        ["jobs", "next_cursor", "success", "total_count"]
    );
    assert_eq!(names(&all), ["J-4", "J-3", "J-2", "J-1", "J-0"]);
    assert_eq!(all["total_count"], 5);
    assert_eq!(all["next_cursor"], Value::Null);

    let mut seen = Vec::new();
    let mut path = "/api/v2/jobs?limit=2".to_owned();
    loop {
        let page = service.get(&path).await.json();
        assert_eq!(page["total_count"], 5);
        seen.extend(names(&page));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/api/v2/jobs?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["J-4", "J-3", "J-2", "J-1", "J-0"]);

    let enabled = service.get("/api/v2/jobs?enabled_only=true").await.json();
    assert_eq!(names(&enabled), ["J-4", "J-2", "J-1", "J-0"]);
    assert_eq!(enabled["total_count"], 4);
}

#[tokio::test]
async fn warns_of_a_query_parameter_it_ignores() {
    let service = Service::start().await;
    let reply = service.get("/api/v2/jobs?limt=1").await.json();
    assert_eq!(reply["success"], true);
    assert_eq!(reply["warnings"][0]["code"], "unknown_parameter");
    assert!(
        reply["warnings"][0]["message"]
            .as_str()
            .unwrap()
            .contains("`limt`"),
        "{reply}"
    );
}

#[tokio::test]
async fn changes_what_is_given_and_keeps_the_rest() {
    let service = Service::start().await;
    let id = service.create(&sql_job("A", "SELECT 1")).await;
    let path = format!("/api/v2/jobs/{id}");
    let body = json!({ "description": "New", "enabled": false });
    let reply = service.send_json("PUT", &path, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.header("etag"), Some("\"2\""));
    let changed = reply.json();
    assert_eq!(
        keys(&changed),
        ["job", "message", "success", "version", "warnings"]
    );
    assert_eq!(changed["job"]["name"], "Job A");
    assert_eq!(changed["job"]["description"], "New");
    assert_eq!(changed["job"]["enabled"], false);
    assert_eq!(changed["job"]["revision"], 2);
    assert_eq!(service.get(&path).await.json()["job"], changed["job"]);
}

#[tokio::test]
async fn refuses_a_change_of_a_revision_that_is_past() {
    let service = Service::start().await;
    service.create(&sql_job("A", "SELECT 1")).await;
    let rename = |name: &str, revision: u64| json!({ "name": name, "revision": revision });
    assert_eq!(
        service
            .send_json("PUT", "/api/v2/jobs/A", &rename("B", 1))
            .await
            .status,
        200
    );
    let late = service
        .send_json("PUT", "/api/v2/jobs/A", &rename("C", 1))
        .await;
    assert_eq!(late.error(409, "job_changed")["revision"], 2);

    let conditional = |etag: &'static str| {
        request("PUT", "/api/v2/jobs/A")
            .header("if-match", etag)
            .header("content-type", "application/json")
            .body(Body::from(r#"{"name": "D"}"#))
            .unwrap()
    };
    service
        .send(conditional("\"1\""))
        .await
        .error(412, "precondition_failed");
    service
        .send(conditional("three"))
        .await
        .error(400, "bad_header");
    assert_eq!(service.send(conditional("\"2\"")).await.status, 200);
    assert_eq!(service.send(conditional("*")).await.status, 200);
    assert_eq!(
        service.get("/api/v2/jobs/A").await.json()["job"]["name"],
        "D"
    );
}

#[tokio::test]
async fn keeps_a_job_as_it_was_when_its_change_is_invalid() {
    let service = Service::start().await;
    service.create(&sql_job("A", "SELECT 1")).await;
    let body = json!({ "yaml_config": "id: A\nname: Job A\ntype: SQL\n", "name": "New" });
    let reply = service.send_json("PUT", "/api/v2/jobs/A", &body).await;
    reply.error(422, "invalid_job");
    let job = service.get("/api/v2/jobs/A").await.json()["job"].clone();
    assert_eq!(job["revision"], 1);
    assert_eq!(job["name"], "Job A");
}

#[tokio::test]
async fn deletes_a_job_once() {
    let service = Service::start().await;
    let id = service.create(&sql_job("A", "SELECT 1")).await;
    let deleted = service.delete("/api/v2/jobs/A").await;
    assert_eq!(deleted.status, 200);
    let body = deleted.json();
    assert_eq!(keys(&body), ["job_id", "message", "success", "version"]);
    assert_eq!(body["job_id"], id);
    service
        .delete("/api/v2/jobs/A")
        .await
        .error(404, "job_not_found");
    service
        .get(&format!("/api/v2/jobs/{id}"))
        .await
        .error(404, "job_not_found");
}

#[tokio::test]
async fn checks_a_job_without_storing_it() {
    let service = Service::start().await;
    let valid = json!({ "yaml_config": sql_job("A", "SELECT 1") });
    let reply = service
        .send_json("POST", "/api/v2/jobs/validate", &valid)
        .await
        .json();
    assert_eq!(reply["success"], true);
    assert_eq!(reply["valid"], true);
    assert_eq!(reply["problems"], json!([]));
    assert_eq!(reply["parsed_config"]["type"], "SQL");

    let yaml = "id: A\nname: x\ntype: SQL\nquery: ''\n";
    let reply = service
        .send_typed("POST", "/api/v2/jobs/validate", "text/yaml", yaml)
        .await;
    assert_eq!(reply.status, 200);
    let reply = reply.json();
    assert_eq!(reply["valid"], false);
    assert_eq!(reply["problems"][0]["line"], 4);
    assert!(
        reply["error"].as_str().unwrap().contains("line 4"),
        "{reply}"
    );
    assert_eq!(service.get("/api/v2/jobs").await.json()["total_count"], 0);
}

#[tokio::test]
async fn shows_samples_by_name_with_what_their_yaml_says() {
    let config = ApiConfig {
        samples: samples(),
        ..ApiConfig::default()
    };
    let service = Service::start_with(config).await;
    let reply = service.get("/api/v2/jobs/samples").await.json();
    assert_eq!(reply["success"], true);
    let sql = &reply["samples"]["sql"];
    assert_eq!(keys(sql), ["description", "name", "yaml_config"]);
    assert_eq!(sql["name"], "Job SQL-001");
    assert_eq!(sql["description"], "Asks for one.");
    assert_eq!(reply["samples"]["odd"]["name"], "odd");
    let body = json!({ "yaml_config": sql["yaml_config"] });
    assert_eq!(
        service
            .send_json("POST", "/api/v2/jobs", &body)
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn describes_its_job_types_and_the_schema_of_a_job() {
    let service = Service::start().await;
    let types = service.get("/api/v2/job-types").await.json();
    assert_eq!(types["success"], true);
    let sql = &types["job_types"][0];
    assert_eq!(sql["name"], "SQL");
    assert!(
        sql["configuration_schema"]["properties"]["query"].is_object(),
        "{sql}"
    );

    let schema = service.get("/api/v2/job-schema").await;
    assert_eq!(
        schema.header("content-type"),
        Some("application/schema+json")
    );
    assert!(
        schema.json()["$schema"].as_str().is_some(),
        "{}",
        schema.text
    );
}

#[tokio::test]
async fn says_that_it_lives_and_is_ready() {
    let service = Service::start().await;
    let live = service.get("/health/live").await;
    assert_eq!(
        (live.status.as_u16(), live.json()["success"].clone()),
        (200, json!(true))
    );
    let ready = service.get("/health/ready").await.json();
    assert_eq!(ready["status"], "ready");
    assert_eq!(ready["job_types"], 1);
    service.engine.store().close().await;
    let ready = service.get("/health/ready").await;
    ready.error(503, "not_ready");
}

fn names(list: &Value) -> Vec<String> {
    let jobs = list["jobs"].as_array().unwrap();
    jobs.iter()
        .map(|job| job["key"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_limit_of_zero_or_beyond_the_most_gives_as_many_as_there_may_be() {
    let service = Service::start().await;
    for key in ["A", "B", "C"] {
        service.create(&sql_job(key, "SELECT 1")).await;
    }
    for limit in ["", "?limit=0", "?limit=1000000"] {
        let list = service.get(&format!("/api/v2/jobs{limit}")).await.json();
        assert_eq!(list["jobs"].as_array().unwrap().len(), 3, "{limit}");
        assert_eq!(list["next_cursor"], Value::Null);
    }
}
