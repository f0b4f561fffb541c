//! Runs as server-sent events.

use axum::body::{Body, BodyDataStream};
use axum::http::StatusCode;
use futures_util::StreamExt;
use jobcell_model::ExecutionId;
use serde_json::Value;
use tower::ServiceExt;

use crate::support::{ENDLESS, PATIENCE, Reply, Service, request, sql_job};

/// A server-sent event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

/// The events of a text of whole ones; comments are none.
pub(crate) fn events(text: &str) -> Vec<Event> {
    let blocks = text.split("\n\n").filter(|block| block.contains("event:"));
    let event = |block: &str| {
        let field = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {block}"))
                .trim()
                .to_owned()
        };
        Event {
            name: field("event:"),
            id: field("id:"),
            data: serde_json::from_str(&field("data:")).unwrap(),
        }
    };
    blocks.map(event).collect()
}

fn text(events: &[Event]) -> String {
    let output = events.iter().filter(|event| event.name == "output");
    output
        .map(|event| event.data["text"].as_str().unwrap())
        .collect()
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

impl Service {
    /// All events of a run that ends by itself, after the one with this id.
    async fn events_after(&self, path: &str, last: &str) -> Reply {
        let request = request("GET", path).header("Last-Event-ID", last);
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

/// Reads events until one that is wanted.
async fn read_until(body: &mut BodyDataStream, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
    let reading = async {
        let mut text = String::new();
        loop {
            let bytes = body.next().await.expect("more events").unwrap();
            text.push_str(std::str::from_utf8(&bytes).unwrap());
            let events = events(&text);
            if events.last().is_some_and(&wanted) {
                return events;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap()
}

#[tokio::test]
async fn a_run_that_has_ended_is_told_from_its_first_piece_to_its_end() {
    let service = Service::start().await;
    let job = sql_job("A", "SELECT 'grüße' AS word;\n  SELECT 2 AS number");
    service.create(&job).await;
    let run = service.post("/api/v2/jobs/A/run").await.json();
    let path = format!(
        "/api/v2/executions/{}",
        run["execution_id"].as_str().unwrap()
    );
    let stream = service.get(&format!("{path}/stream")).await;
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    let events = events(&stream.text);
    assert_eq!(text(&events), run["output"].as_str().unwrap());
    let output = &events[0].data;
    assert_eq!(output["stream"], "stdout");
    assert!(output["at_ms"].is_u64(), "{output}");
    let execution = service.get(&path).await.json()["execution"].clone();
    let steps: Vec<&Value> = events
        .iter()
        .filter(|event| event.name == "step")
        .map(|event| &event.data)
        .collect();
    assert_eq!(
        steps,
        execution["step_results"]
            .as_array()
            .unwrap()
            .iter()
            .collect::<Vec<_>>()
    );
    let end = events.last().unwrap();
    assert_eq!((end.name.as_str(), &end.data), ("end", &execution));
}

#[tokio::test]
async fn a_client_that_comes_back_goes_on_where_it_was() {
    let service = Service::start().await;
    let job = sql_job(
        "A",
        "SELECT 'grüße';\n  SELECT char(27) || '[1mbold';\n  SELECT 3",
    );
    service.create(&job).await;
    let run = service.post("/api/v2/jobs/A/run").await.json();
    let id = run["execution_id"].as_str().unwrap();
    for ansi in ["keep", "strip"] {
        let path = format!("/api/v2/executions/{id}/stream?ansi={ansi}");
        let all = events(&service.get(&path).await.text);
        let (end, before) = all.split_last().unwrap();
        for (index, event) in before.iter().enumerate() {
            let rest = events(&service.events_after(&path, &event.id).await.text);
            assert_eq!(rest, all[index + 1..], "after {}", event.id);
        }
        // In the middle of what is one piece by now, and of a character.
        let length = run["output"].as_str().unwrap().find('ü').unwrap() + 1;
        let rest = service.events_after(&path, &format!("{length}.0")).await;
        let rest = text(&events(&rest.text));
        assert!(rest.starts_with("üße"), "{rest}");
        assert!(text(&all).ends_with(&rest), "{rest}");
        for odd in ["", "1", "x.y", "-1.0"] {
            let reply = service.events_after(&path, odd).await;
            assert_eq!(events(&reply.text), all, "{odd}: from the beginning");
        }
        let after = service.events_after(&path, &end.id).await;
        assert_eq!(
            after.status,
            StatusCode::NO_CONTENT,
            "browsers stop at this"
        );
    }
}

#[tokio::test]
async fn a_run_that_goes_on_is_told_before_it_ends() {
    let service = Service::start().await;
    service
        .create(&sql_job("A", &format!("SELECT 'one';\n  {ENDLESS}")))
        .await;
    let run = service.post("/api/v2/jobs/A/run?wait=false").await.json();
    let id = run["execution_id"].as_str().unwrap();
    let path = format!("/api/v2/executions/{id}");
    let request = request("GET", &format!("{path}/stream"));
    let response = service
        .router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let mut body = response.into_body().into_data_stream();
    let events = read_until(&mut body, |event| event.name == "step").await;
    assert!(text(&events).contains("one"), "{events:?}");
    let execution = service.get(&path).await.json()["execution"].clone();
    assert_eq!(execution["status"], "running");
    service.post(&format!("{path}/cancel")).await;
    let rest = read_until(&mut body, |event| event.name == "end").await;
    assert_eq!(rest.last().unwrap().data["status"], "cancelled");
    assert_eq!(names(&rest), ["output", "step", "end"]);
    assert!(body.next().await.is_none(), "nothing follows the end");
}

#[tokio::test]
async fn escape_sequences_are_kept_unless_somebody_asks_otherwise() {
    let service = Service::start().await;
    service
        .create(&sql_job(
            "A",
            "SELECT char(27) || '[31mred' || char(27) || '[0m'",
        ))
        .await;
    let run = service.post("/api/v2/jobs/A/run").await.json();
    let path = format!(
        "/api/v2/executions/{}",
        run["execution_id"].as_str().unwrap()
    );
    let log = async |query| service.get(&format!("{path}/log{query}")).await.text;
    let kept = log("").await;
    assert_eq!(kept, run["output"].as_str().unwrap());
    assert_eq!(log("?ansi=keep").await, kept);
    let stripped = log("?ansi=strip&stream=all").await;
    assert!(
        !stripped.contains('\u{1b}') && stripped.contains("red"),
        "{stripped}"
    );
    let stream = service.get(&format!("{path}/stream?ansi=strip")).await;
    assert_eq!(text(&events(&stream.text)), log("?ansi=strip").await);
    let stream = service.get(&format!("{path}/stream")).await;
    assert_eq!(text(&events(&stream.text)), kept);
    for route in ["log", "stream"] {
        let refused = service.get(&format!("{path}/{route}?ansi=html")).await;
        let body = refused.error(400, "bad_parameter");
        assert_eq!(body["parameter"], "ansi");
        let error = body["error"].as_str().unwrap();
        assert!(error.contains("`keep` or `strip`"), "{error}");
    }
}

#[tokio::test]
async fn there_is_nothing_to_be_told_of_an_unknown_run() {
    let service = Service::start().await;
    let unknown = format!("/api/v2/executions/{}/stream", ExecutionId::generate());
    service
        .get(&unknown)
        .await
        .error(404, "execution_not_found");
    let reply = service.events_after(&unknown, "1.1.end").await;
    reply.error(404, "execution_not_found");
}
