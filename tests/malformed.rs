//! Bad requests: each gets the right 4xx with a message that names the place,
//! and the server goes on as if nothing had happened.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::harness::{Reply, Server};

const VALID: &str = "id: fine\nname: Fine\ntype: SQL\nquery: SELECT 1\n";

/// Asserts a problem reply: status, media type, `success`, and a sentence with
/// each of these words.
fn refused(reply: &Reply, status: u16, words: &[&str]) {
    assert_eq!(reply.status, status, "{}", reply.text);
    assert_eq!(
        reply.headers["content-type"], "application/problem+json",
        "{}",
        reply.text
    );
    let body = reply.json();
    assert_eq!(body["success"], false);
    assert_eq!(body["status"], status);
    assert!(body["code"].is_string(), "{body}");
    let error = body["error"].as_str().unwrap();
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

/// Asserts that a job is refused, with its first problem at this place.
fn refused_job(server: &Server, yaml: &str, line: u64, words: &[&str]) {
    let reply = server.post_json("/api/v2/jobs", &json!({ "yaml_config": yaml }));
    refused(&reply, 422, words);
    let first = &reply.json()["errors"][0];
    assert_eq!(first["line"], line, "{}", reply.text);
    assert!(first["column"].as_u64().unwrap() >= 1);
    assert!(first["message"].is_string());
}

fn healthy(server: &Server) {
    assert_eq!(server.get("/health/ready").status, 200);
    let ran = server.post("/api/v2/jobs/fine/run").json();
    assert_eq!(ran["success"], true, "{ran}");
}

#[test]
fn malformed_jobs_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.create(VALID);
    let job = |lines: &str| format!("id: x\nname: X\n{lines}");
    let check = |yaml: &str, line, words: &[&str]| refused_job(&server, yaml, line, words);

    check("name: X\ntype: SQL\nquery: SELECT 1\n", 1, &["`id`"]);
    check(
        "id: x\nid: y\nname: X\ntype: SQL\nquery: SELECT 1\n",
        2,
        &["line 2", "id"],
    );
    check(
        &job("type: Perl\nquery: SELECT 1\n"),
        3,
        &["line 3", "Perl", "PowerShell", "SQL"],
    );
    check(
        &job("type: SQL\nquery: SELECT 1\ntimeout: -5\n"),
        5,
        &["line 5", "timeout"],
    );
    check(
        &job("type: SQL\nquery: SELECT 1\ntimeout: soon\n"),
        5,
        &["timeout"],
    );
    check(&job("type: SQL\nquery: \"  \"\n"), 4, &["line 4", "query"]);
    check(&job("type: SQL\nqueri: SELECT 1\n"), 4, &["queri"]);
    check(&job("type: SQL\n"), 1, &["query"]);
    check(
        &job("type: PowerShell\nexecutionMode: inline\ninlineScript: ''\n"),
        5,
        &["inlineScript"],
    );
    check(
        &job("type: PowerShell\nexecutionMode: outline\ninlineScript: x\n"),
        4,
        &["outline"],
    );
    check(&job("type: SQL\nquery: [1\n"), 4, &["line 4"]);
    check(
        &job("type: SQL\nquery: SELECT 1\nenabled: maybe\n"),
        5,
        &["enabled"],
    );
    let cron = "type: SQL\nquery: SELECT 1\nschedule: {type: cron, expression: \"0 0 30 2 *\"}\n";
    check(&job(cron), 5, &["never"]);
    let cron = "type: SQL\nquery: SELECT 1\nschedule: {type: cron, expression: \"61 * * * *\"}\n";
    check(&job(cron), 5, &["61"]);
    let zone = "type: SQL\nquery: SELECT 1\nschedule: {type: cron, expression: \"0 0 * * *\", timezone: Europe/Berln}\n";
    check(&job(zone), 5, &["Europe/Berln", "Europe/Berlin"]);
    check("id: a/b\nname: X\ntype: SQL\nquery: SELECT 1\n", 1, &["/"]);
    check("- a\n- b\n", 1, &["mapping"]);
    healthy(&server);
}

#[test]
fn an_alias_bomb_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.create(VALID);
    let mut bomb =
        "id: x\nname: X\ntype: SQL\nquery: SELECT 1\nmetadata:\n  a0: &a0 [x, x]\n".to_owned();
    for level in 1..30 {
        let below = level - 1;
        bomb += &format!("  a{level}: &a{level} [*a{below}, *a{below}]\n");
    }
    let before = std::time::Instant::now();
    let reply = server.post_json("/api/v2/jobs", &json!({ "yaml_config": bomb }));
    refused(&reply, 422, &[]);
    assert!(before.elapsed().as_secs() < 5, "it was expanded");
    healthy(&server);
}

#[test]
fn malformed_requests_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.create(VALID);
    let post = |kind: &str, body: &[u8]| server.send("POST", "/api/v2/jobs", kind, body);

    refused(
        &post("application/json", b"{\"yaml_config\": "),
        400,
        &["line 1"],
    );
    refused(&post("application/json", b""), 400, &[]);
    refused(&post("application/json", b"[]"), 400, &[]);
    refused(
        &post("application/json", b"{\"yaml_config\": 7}"),
        400,
        &["yaml_config"],
    );
    refused(
        &post("application/json", b"{\"name\": \"x\"}"),
        400,
        &["yaml_config"],
    );
    refused(
        &post("application/json", b"{\"yaml_config\": \"\xff\"}"),
        400,
        &[],
    );
    refused(
        &post("text/plain", VALID.as_bytes()),
        415,
        &["text/plain", "application/json"],
    );
    refused(
        &post("application/x-www-form-urlencoded", b"a=b"),
        415,
        &["application/json"],
    );
    refused(&post("application/yaml", b"\xff\xfe"), 400, &["UTF-8"]);
    refused(&post("application/yaml", VALID.as_bytes()), 409, &["fine"]);
    refused(&server.get("/api/v2/jobs/unknown"), 404, &["unknown"]);
    refused(
        &server.get("/api/v2/jobs/00000000-0000-0000-0000-000000000000"),
        404,
        &[],
    );
    refused(
        &server.get("/api/v2/jobs/unknown/history"),
        404,
        &["unknown"],
    );
    refused(&server.post("/api/v2/jobs/unknown/run"), 404, &["unknown"]);
    refused(&server.delete("/api/v2/jobs/unknown"), 404, &["unknown"]);
    refused(
        &server.put_json("/api/v2/jobs/unknown", &json!({"enabled": true})),
        404,
        &["unknown"],
    );
    refused(&server.get("/api/v2/jobs/..%2f..%2fetc%2fpasswd"), 404, &[]);
    refused(&server.get("/api/v2/jobs/%00"), 404, &[]);
    refused(
        &server.get(&format!("/api/v2/jobs/{}", "x".repeat(6000))),
        404,
        &[],
    );
    refused(&server.get("/api/v2/jobs?limit=many"), 400, &["limit"]);
    refused(&server.get("/api/v2/jobs?limit=-1"), 400, &["limit"]);
    refused(
        &server.get("/api/v2/jobs?cursor=nonsense"),
        400,
        &["cursor"],
    );
    refused(&server.get("/api/v2/nowhere"), 404, &["/api/v2/nowhere"]);
    refused(
        &server.send("PATCH", "/api/v2/jobs", "application/json", b"{}"),
        405,
        &[],
    );
    refused(&server.get("/api/v2/executions/not-an-id"), 404, &[]);
    healthy(&server);
}

/// Sends raw bytes and reads the reply to its end.
fn raw(server: &Server, head: &str, body: &[u8]) -> (u16, String) {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(crate::harness::PATIENCE))
        .unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    // The server may close while the rest of a refused body is on its way.
    drop(stream.write_all(body));
    let mut reply = Vec::new();
    drop(stream.read_to_end(&mut reply));
    let reply = String::from_utf8_lossy(&reply).into_owned();
    let status = reply.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.unwrap_or(0), reply)
}

#[test]
fn a_body_of_50_megabytes_is_refused_and_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.create(VALID);
    let body = vec![b'x'; 50 << 20];
    let head = format!(
        "POST /api/v2/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // With all of it on the wire at once the reply can be lost to a reset; what
    // counts then is that the server refused it and lives.
    let (status, reply) = raw(&server, &head, &body[..1 << 20]);
    assert_eq!(status, 413, "{reply}");
    assert!(reply.contains("\"success\":false"), "{reply}");
    let (_, _) = raw(&server, &head, &body);
    healthy(&server);
}

#[test]
fn a_web_page_of_another_site_can_not_drive_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.create(VALID);
    let run = |headers: &str| {
        let head = format!(
            "POST /api/v2/jobs/fine/run HTTP/1.1\r\n{headers}Connection: close\r\n\
             Content-Length: 0\r\n\r\n"
        );
        raw(&server, &head, b"").0
    };
    let port = server.url.rsplit(':').next().unwrap();
    assert_eq!(run("Host: evil.example\r\n"), 403);
    assert_eq!(
        run("Host: localhost\r\nOrigin: https://evil.example\r\n"),
        403
    );
    assert_eq!(run("Host: localhost\r\nOrigin: null\r\n"), 403);
    assert_eq!(run(&format!("Host: localhost:{port}\r\n")), 200);
    let own = format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n");
    assert_eq!(run(&own), 200);
    let history: Value = server.get("/api/v2/jobs/fine/history").json();
    assert_eq!(history["total_count"], 2);
}
