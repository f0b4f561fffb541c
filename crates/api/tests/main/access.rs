//! Which callers are let in, and what every reply carries.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::HOST;
use jobcell_api::ApiConfig;

use crate::support::{Reply, Service, request};

#[tokio::test]
async fn answers_only_to_its_own_names() {
    let config = ApiConfig {
        allowed_hosts: vec!["Jobs.Example".to_owned()],
        ..ApiConfig::default()
    };
    let service = Service::start_with(config).await;
    for host in [
        "localhost",
        "LOCALHOST:5000",
        "127.0.0.1:8080",
        "[::1]:5000",
        "[::1]",
        "jobs.example:80",
    ] {
        assert_eq!(with_host(&service, host).await.status, 200, "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:5000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost.",
        "0.0.0.0:5000",
        "127.0.0.2",
        "[::]:5000",
        "xlocalhost",
    ] {
        with_host(&service, host)
            .await
            .error(403, "host_not_allowed");
    }
    for host in ["", "user@localhost", "local host", "localhost:80:80"] {
        with_host(&service, host).await.error(400, "bad_host");
    }
}

#[tokio::test]
async fn wants_exactly_one_host() {
    let service = Service::start().await;
    let none = Request::builder()
        .uri("/health/live")
        .body(Body::empty())
        .unwrap();
    service.send(none).await.error(400, "bad_host");
    let two = request("GET", "/health/live")
        .header(HOST, "evil.example")
        .body(Body::empty());
    service.send(two.unwrap()).await.error(400, "bad_host");
    let absolute = request("GET", "http://evil.example/health/live").body(Body::empty());
    service
        .send(absolute.unwrap())
        .await
        .error(403, "host_not_allowed");
}

#[tokio::test]
async fn takes_calls_of_its_own_pages_only() {
    let origins = vec!["https://jobs.example/".to_owned()];
    let config = ApiConfig {
        allowed_origins: origins,
        ..ApiConfig::default()
    };
    let service = Service::start_with(config).await;
    for origin in [
        "http://localhost:5000",
        "http://127.0.0.1:5000",
        "http://[::1]:5000",
        "https://localhost:5000",
        "https://jobs.example",
        "HTTP://LOCALHOST:5000",
    ] {
        assert_eq!(
            with(&service, &[("origin", origin)]).await.status,
            200,
            "{origin}"
        );
    }
    for origin in [
        "null",
        "http://evil.example",
        "http://localhost",
        "http://localhost:8080",
        "http://localhost:50000",
        "http://jobs.example",
        "file://",
        "ftp://localhost:5000",
        "http://localhost:5000.evil.example",
        "http://localhost:5000@evil.example",
        "",
    ] {
        with(&service, &[("origin", origin)])
            .await
            .error(403, "origin_not_allowed");
    }
}

#[tokio::test]
async fn refuses_what_a_browser_calls_cross_site() {
    let service = Service::start().await;
    for site in ["same-origin", "same-site", "none"] {
        assert_eq!(
            with(&service, &[("sec-fetch-site", site)]).await.status,
            200,
            "{site}"
        );
    }
    let cross = ("sec-fetch-site", "cross-site");
    with(&service, &[cross])
        .await
        .error(403, "origin_not_allowed");
    let frame = [
        cross,
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "iframe"),
    ];
    with(&service, &frame)
        .await
        .error(403, "origin_not_allowed");
    let link = [
        cross,
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    assert_eq!(with(&service, &link).await.status, 200);
    let mut form = request("POST", "/api/v2/jobs/A/run");
    for (name, value) in link {
        form = form.header(name, value);
    }
    service
        .send(form.body(Body::empty()).unwrap())
        .await
        .error(403, "origin_not_allowed");
}

#[tokio::test]
async fn puts_its_headers_on_every_reply() {
    let service = Service::start().await;
    for (path, status) in [
        ("/health/live", 200),
        ("/nowhere", 404),
        ("/api/v2/jobs?limit=x", 400),
    ] {
        let reply = service.get(path).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("x-request-id").map(str::len), Some(36));
    }
}

#[tokio::test]
async fn passes_on_a_request_id_that_is_harmless() {
    let service = Service::start().await;
    let given = with(&service, &[("x-request-id", "ci/42-a.b:c")]).await;
    assert_eq!(given.header("x-request-id"), Some("ci/42-a.b:c"));
    let long = "x".repeat(200);
    for harmful in ["a b", "<script>", "", long.as_str()] {
        let reply = with(&service, &[("x-request-id", harmful)]).await;
        assert_eq!(
            reply.header("x-request-id").map(str::len),
            Some(36),
            "{harmful}"
        );
    }
}

async fn with_host(service: &Service, host: &str) -> Reply {
    let request = Request::builder().uri("/health/live").header(HOST, host);
    service.send(request.body(Body::empty()).unwrap()).await
}

async fn with(service: &Service, headers: &[(&str, &str)]) -> Reply {
    let mut request = request("GET", "/health/live");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    service.send(request.body(Body::empty()).unwrap()).await
}
