//! An API to be called by one test.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use jobcell_api::{ApiConfig, Sample};
use jobcell_engine::{Engine, EngineConfig, JobTypes, SystemClock};
use jobcell_host_sql::{ConnectionConfig, SqlCapability, SqlConfig};
use jobcell_plugin_host::{HostConfig, PluginHost};
use jobcell_store::RedbStore;
use serde_json::{Value, json};
use tower::ServiceExt;

/// How long any one thing may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A query that ends only when somebody ends it.
pub(crate) const ENDLESS: &str =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";

/// An API with nothing in its store.
pub(crate) struct Service {
    pub(crate) router: axum::Router,
    pub(crate) engine: Engine,
    _folder: tempfile::TempDir,
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::start_with(ApiConfig::default()).await
    }

    pub(crate) async fn start_with(config: ApiConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::start(EngineConfig {
            server_info: "test-host; test-system; jobcell test".to_owned(),
            ..EngineConfig::new(
                Arc::new(RedbStore::in_memory().unwrap()),
                Arc::new(SystemClock),
                job_types(folder.path()),
            )
        })
        .await
        .unwrap();
        let router = jobcell_api::router(engine.clone(), config);
        Self {
            router,
            engine,
            _folder: folder,
        }
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let answering = async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            Reply {
                status: parts.status,
                headers: parts.headers,
                text: String::from_utf8(bytes.to_vec()).unwrap(),
            }
        };
        tokio::time::timeout(PATIENCE, answering)
            .await
            .expect("a reply in time")
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(request("GET", path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn post(&self, path: &str) -> Reply {
        self.send(request("POST", path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(request("DELETE", path).body(Body::empty()).unwrap())
            .await
    }

    /// Sends a body of a type.
    pub(crate) async fn send_typed(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: impl Into<Body>,
    ) -> Reply {
        let request = request(method, path).header(CONTENT_TYPE, content_type);
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn send_json(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.send_typed(method, path, "application/json", body.to_string())
            .await
    }

    /// Stores a job and gives its UUID.
    pub(crate) async fn create(&self, yaml: &str) -> String {
        let reply = self
            .send_json("POST", "/api/v2/jobs", &json!({ "yaml_config": yaml }))
            .await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
        reply.json()["job_id"].as_str().unwrap().to_owned()
    }

    /// Waits until a run has ended, and gives its row.
    pub(crate) async fn ended(&self, execution_id: &str) -> Value {
        let path = format!("/api/v2/executions/{execution_id}");
        let waiting = async {
            loop {
                let execution = self.get(&path).await.json()["execution"].clone();
                if execution["status"] != "running" {
                    return execution;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .expect("the run ends in time")
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.status, self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Checks that this is an error of ours, and gives its body.
    #[track_caller]
    pub(crate) fn error(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let body = self.json();
        assert_eq!(body["success"], false);
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status);
        assert!(!body["title"].as_str().unwrap().is_empty());
        assert!(body["error"].as_str().unwrap().len() > 10, "{body}");
        body
    }
}

/// A request to the server under its usual name.
pub(crate) fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "localhost:5000")
}

/// The YAML of a SQL job.
pub(crate) fn sql_job(id: &str, query: &str) -> String {
    format!("id: {id}\nname: Job {id}\ntype: SQL\nquery: |\n  {query}\n")
}

/// The names of an object's members, sorted.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

/// Whether a date has the form that every reply uses.
pub(crate) fn is_date(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == "2026-01-02T03:04:05.678901+00:00".len()
        && text.ends_with("+00:00")
        && chrono::DateTime::parse_from_rfc3339(text).is_ok()
}

/// Samples as the binary would give them.
pub(crate) fn samples() -> Vec<Sample> {
    vec![
        Sample {
            slug: "sql".to_owned(),
            yaml: sql_job("SQL-001", "SELECT 1") + "description: Asks for one.\n",
        },
        Sample {
            slug: "odd".to_owned(),
            yaml: "type: Missing\n".to_owned(),
        },
    ]
}

fn job_types(folder: &Path) -> JobTypes {
    let path = folder.join("default.sqlite");
    let connection = ConnectionConfig::Sqlite {
        path,
        read_only: false,
    };
    let connections = [("default".to_owned(), connection)].into();
    let sql = SqlCapability::new(SqlConfig { connections });
    let config = HostConfig {
        // Compiled once for all tests.
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned()),
        instances: 8,
        ..HostConfig::default()
    };
    let host = PluginHost::new(config, vec![Arc::new(sql)]).unwrap();
    let bundled = jobcell_bundle::job_types()
        .iter()
        .find(|plugin| plugin.name == "sql")
        .unwrap();
    JobTypes::new([host.load(bundled.name, bundled.component).unwrap()]).unwrap()
}
