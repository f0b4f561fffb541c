//! Requests that are wrong, each with the answer that says how.

use axum::body::Body;
use jobcell_api::ApiConfig;
use serde_json::json;

use crate::support::{Service, request, sql_job};

#[tokio::test]
async fn says_what_is_wrong_with_a_body() {
    let service = Service::start().await;
    let deep = format!("{{\"yaml_config\": {}", "[".repeat(10_000));
    for (body, code, part) in [
        ("", "body_missing", "application/yaml"),
        ("{", "malformed_json", "line 1 column 1"),
        (
            "{\"name\": \"A\",\n \"yaml_config\" \"x\"}",
            "malformed_json",
            "line 2 column 16",
        ),
        ("{\"name\": \"A\"} trailing", "malformed_json", "trailing"),
        ("{'name': 'A'}", "malformed_json", "line 1 column 2"),
        ("[]", "malformed_json", "not an array"),
        ("null", "malformed_json", "not null"),
        ("\"id: A\"", "malformed_json", "not the string \"id: A\""),
        ("17", "malformed_json", "not the number 17"),
        (deep.as_str(), "malformed_json", "recursion"),
        ("{}", "bad_member", "`yaml_config` is missing"),
        (
            "{\"yaml_config\": null}",
            "bad_member",
            "`yaml_config` is missing",
        ),
        (
            "{\"yaml_config\": {\"id\": \"A\"}}",
            "bad_member",
            "`yaml_config` should be a string",
        ),
        (
            "{\"yaml_config\": \"a\", \"yaml_configuration\": \"b\"}",
            "bad_member",
            "differ",
        ),
        (
            "{\"yaml_config\": \"a\", \"name\": 7}",
            "bad_member",
            "`name` should be a string",
        ),
        (
            "{\"yaml_config\": \"a\", \"name\": \"  \"}",
            "bad_member",
            "`name` is empty",
        ),
        (
            "{\"yaml_config\": \"a\", \"description\": []}",
            "bad_member",
            "`description` should be",
        ),
        (
            "{\"yaml_config\": \"a\", \"enabled\": \"yes\"}",
            "bad_member",
            "`enabled` should be",
        ),
    ] {
        let reply = service.send_typed("POST", "/api/v2/jobs", "application/json", body.to_owned());
        let error = reply.await.error(400, code);
        let sentence = error["error"].as_str().unwrap();
        assert!(sentence.contains(part), "{sentence}");
    }
    let located = service
        .send_typed("POST", "/api/v2/jobs", "application/json", "{\n!}")
        .await;
    let error = located.error(400, "malformed_json");
    assert_eq!((&error["line"], &error["column"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn says_what_is_wrong_with_a_change() {
    let service = Service::start().await;
    service.create(&sql_job("A", "SELECT 1")).await;
    for (body, code, part) in [
        ("{}", "nothing_to_change", "`enabled`"),
        ("{\"nmae\": \"B\"}", "nothing_to_change", "`name`"),
        (
            "{\"name\": null, \"revision\": 1}",
            "nothing_to_change",
            "`name`",
        ),
        (
            "{\"name\": \"B\", \"revision\": 0}",
            "bad_member",
            "`revision` should be",
        ),
        (
            "{\"name\": \"B\", \"revision\": \"1\"}",
            "bad_member",
            "`revision` should be",
        ),
        (
            "{\"enabled\": 1}",
            "bad_member",
            "`enabled` should be `true` or `false`",
        ),
    ] {
        let reply = service
            .send_typed("PUT", "/api/v2/jobs/A", "application/json", body)
            .await;
        let error = reply.error(400, code);
        assert!(error["error"].as_str().unwrap().contains(part), "{error}");
    }
    let reply = service
        .send_json("PUT", "/api/v2/jobs/B", &json!({ "enabled": true }))
        .await;
    reply.error(404, "job_not_found");
}

#[tokio::test]
async fn takes_json_and_yaml_only() {
    let service = Service::start().await;
    let job = json!({ "yaml_config": sql_job("A", "SELECT 1") }).to_string();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/xml",
        "",
        "application/json; charset=iso-8859-1",
    ] {
        let reply = service
            .send_typed("POST", "/api/v2/jobs", content_type, job.clone())
            .await;
        let error = reply.error(415, "unsupported_media_type");
        let sentence = error["error"].as_str().unwrap();
        assert!(
            sentence.contains("application/json or application/yaml"),
            "{sentence}"
        );
    }
    let untyped = request("POST", "/api/v2/jobs")
        .body(Body::from(job.clone()))
        .unwrap();
    service
        .send(untyped)
        .await
        .error(415, "unsupported_media_type");
    let packed = request("POST", "/api/v2/jobs")
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body(Body::from(job.clone()));
    service
        .send(packed.unwrap())
        .await
        .error(415, "unsupported_media_type");
    for content_type in [
        "application/json; charset=\"UTF-8\"",
        "APPLICATION/JSON",
        "application/merge-patch+json",
    ] {
        let reply = service
            .send_typed("PUT", "/api/v2/jobs/A", content_type, "{}")
            .await;
        reply.error(400, "nothing_to_change");
    }
    assert_eq!(service.get("/api/v2/jobs").await.json()["total_count"], 0);
}

#[tokio::test]
async fn says_where_a_body_is_not_utf_8() {
    let service = Service::start().await;
    let utf_16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("id".bytes().flat_map(|b| [b, 0]))
        .collect();
    let latin: Vec<u8> = b"id: gr\xf6sse".to_vec();
    for (content_type, body, part) in [
        ("application/yaml", utf_16.clone(), "UTF-16"),
        ("application/json", utf_16, "UTF-16"),
        ("application/yaml", latin, "byte 6"),
        (
            "application/json",
            b"{\"name\": \"\xff\"}".to_vec(),
            "byte 10",
        ),
    ] {
        let reply = service
            .send_typed("POST", "/api/v2/jobs", content_type, body)
            .await;
        let error = reply.error(400, "not_utf8");
        assert!(error["error"].as_str().unwrap().contains(part), "{error}");
    }
    let marked = format!(
        "\u{feff}{}",
        json!({ "yaml_config": sql_job("A", "SELECT 1") })
    );
    let reply = service
        .send_typed("POST", "/api/v2/jobs", "application/json", marked)
        .await;
    assert_eq!(reply.status, 201, "{}", reply.text);
}

#[tokio::test]
async fn says_which_query_parameter_is_wrong() {
    let service = Service::start().await;
    service.create(&sql_job("A", "SELECT 1")).await;
    for (query, name) in [
        ("/api/v2/jobs?limit=-1", "limit"),
        ("/api/v2/jobs?limit=ten", "limit"),
        ("/api/v2/jobs?limit=", "limit"),
        ("/api/v2/jobs?limit=99999999999999999999", "limit"),
        ("/api/v2/jobs?limit=1&limit=2", "limit"),
        ("/api/v2/jobs?cursor=last", "cursor"),
        ("/api/v2/jobs?cursor=%00", "cursor"),
        ("/api/v2/jobs?enabled_only=perhaps", "enabled_only"),
        ("/api/v2/jobs/A/history?limit=1.5", "limit"),
        ("/api/v2/jobs/A/history?cursor=%FF", "cursor"),
    ] {
        let error = service.get(query).await.error(400, "bad_parameter");
        assert_eq!(error["parameter"], name, "{query}");
        assert!(error["error"].as_str().unwrap().contains(name), "{error}");
    }
    let reply = service.post("/api/v2/jobs/A/run?wait=maybe").await;
    assert_eq!(reply.error(400, "bad_parameter")["parameter"], "wait");
}

#[tokio::test]
async fn finds_nothing_by_a_path_that_is_a_trick() {
    let service = Service::start().await;
    let long = format!("/api/v2/jobs/{}", "x".repeat(10_000));
    for path in [
        "/api/v2/jobs/..%2f..%2fetc%2fpasswd",
        "/api/v2/jobs/%00",
        "/api/v2/jobs/a%00b",
        "/api/v2/jobs/%zz",
        "/api/v2/jobs/%",
        "/api/v2/jobs/%2e%2e",
        "/api/v2/jobs/..",
        "/api/v2/jobs/%0d%0aX-Evil:1",
        long.as_str(),
    ] {
        service.get(path).await.error(404, "job_not_found");
        service
            .post(&format!("{path}/run"))
            .await
            .error(404, "job_not_found");
    }
    service
        .get("/api/v2/jobs/%FF%FE")
        .await
        .error(400, "bad_path");
    service
        .get("/api/v2/executions/%FF")
        .await
        .error(400, "bad_path");
    let echoed = service.get(&long).await;
    assert!(echoed.text.len() < 500, "{}", echoed.text.len());
}

#[tokio::test]
async fn says_which_routes_and_methods_there_are_not() {
    let service = Service::start().await;
    for path in [
        "/",
        "/api",
        "/api/v2",
        "/api/v2/job",
        "/api/v2/jobs/",
        "/api/v2/jobs/A/",
        "/api/v1/jobs",
    ] {
        service.get(path).await.error(404, "route_not_found");
    }
    for (method, path, allowed) in [
        ("PATCH", "/api/v2/jobs", "GET,HEAD,POST"),
        ("POST", "/api/v2/jobs/A", "GET,HEAD,PUT,DELETE"),
        ("GET", "/api/v2/jobs/A/run", "POST"),
        ("DELETE", "/api/v2/jobs/A/history", "GET,HEAD"),
        ("OPTIONS", "/api/v2/jobs", "GET,HEAD,POST"),
        ("BREW", "/health/live", "GET,HEAD"),
    ] {
        let reply = service
            .send(request(method, path).body(Body::empty()).unwrap())
            .await;
        reply.error(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[tokio::test]
async fn says_what_is_wrong_with_the_body_of_a_run() {
    let service = Service::start().await;
    service.create(&sql_job("A", "SELECT 1")).await;
    let run =
        |content_type, body| service.send_typed("POST", "/api/v2/jobs/A/run", content_type, body);
    run("application/json", "{")
        .await
        .error(400, "malformed_json");
    run("application/json", "[]")
        .await
        .error(400, "malformed_json");
    run("application/x-www-form-urlencoded", "a=b")
        .await
        .error(415, "unsupported_media_type");
    run("text/plain", "{}")
        .await
        .error(415, "unsupported_media_type");
    run("application/yaml", "a: b")
        .await
        .error(415, "unsupported_media_type");
    let error = run("application/json", "{\"parameters\": {}}")
        .await
        .error(400, "bad_member");
    assert_eq!(error["member"], "parameters");
    assert_eq!(
        service.get("/api/v2/jobs/A").await.json()["job"]["total_executions"],
        0
    );
}

#[tokio::test]
async fn refuses_a_body_over_the_limit_whether_declared_or_not() {
    let service = Service::start_with(ApiConfig {
        body_limit: 1000,
        ..ApiConfig::default()
    })
    .await;
    let text = "#".repeat(1001);
    let declared = request("POST", "/api/v2/jobs")
        .header("content-type", "application/yaml")
        .header("content-length", "1001")
        .body(Body::from(text.clone()))
        .unwrap();
    let error = service.send(declared).await.error(413, "body_too_large");
    assert_eq!(error["limit_bytes"], 1000);
    assert!(
        error["error"].as_str().unwrap().contains("bodyLimit"),
        "{error}"
    );
    let undeclared = service
        .send_typed("POST", "/api/v2/jobs", "application/yaml", text)
        .await;
    undeclared.error(413, "body_too_large");
    let fits = sql_job("A", "SELECT 1");
    let fits = format!("{fits}#{}", "x".repeat(999 - fits.len()));
    let reply = service
        .send_typed("POST", "/api/v2/jobs", "application/yaml", fits)
        .await;
    assert_eq!(reply.status, 201, "{}", reply.text);
}

#[tokio::test]
async fn survives_yaml_that_is_hostile() {
    let service = Service::start().await;
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n\
                c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n\
                e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    let deep = "[".repeat(100_000);
    for yaml in [
        bomb,
        deep.as_str(),
        "",
        "\t",
        "---\n---\n",
        "id: A\nid: B\n",
        "\0",
    ] {
        let body = json!({ "yaml_config": yaml });
        let reply = service.send_json("POST", "/api/v2/jobs", &body).await;
        reply.error(422, "invalid_job");
    }
}

#[tokio::test]
async fn names_and_descriptions_in_json_follow_the_rules_of_the_yaml() {
    let service = Service::start().await;
    service.create(&sql_job("A", "SELECT 1")).await;
    let long = "x".repeat(256);
    for (member, value) in [
        ("name", "a\0b"),
        ("name", "a\nb"),
        ("name", long.as_str()),
        ("description", "a\0b"),
    ] {
        let body = json!({ member: value });
        let change = service.send_json("PUT", "/api/v2/jobs/A", &body).await;
        assert_eq!(change.error(400, "bad_member")["member"], member, "{body}");
        let yaml = sql_job("B", "SELECT 1");
        let body = json!({ "yaml_config": yaml, member: value });
        let created = service.send_json("POST", "/api/v2/jobs", &body).await;
        assert_eq!(created.error(400, "bad_member")["member"], member, "{body}");
    }
}
