//! A running `jobcell serve` on a free port, ended when it is dropped.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{PATIENCE, jobcell, powershell};

/// How a server is started.
#[derive(Default)]
pub(crate) struct ServerOptions {
    /// Its configuration file's text; one that names PowerShell without it.
    pub(crate) configuration: Option<String>,
    /// Where it listens; on 127.0.0.1 without.
    pub(crate) listen: Option<&'static str>,
    /// Where everything that it logs goes; to the test's own without.
    pub(crate) log: Option<std::fs::File>,
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    data: PathBuf,
    agent: ureq::Agent,
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("no JSON ({error}) in {}: {}", self.status, self.text))
    }
}

impl Server {
    /// Starts one over a data folder, and waits until it says it is ready.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, ServerOptions::default())
    }

    /// The same with options.
    pub(crate) fn start_with(data: &Path, options: ServerOptions) -> Self {
        let configuration = data.with_extension("config.yaml");
        let text = options
            .configuration
            .unwrap_or_else(|| format!("tools:\n  powershell: {}\n", powershell().display()));
        std::fs::write(&configuration, text).expect("the configuration can be written");
        let mut command = jobcell();
        let level = if options.log.is_some() {
            "debug"
        } else {
            "warn"
        };
        if let Some(log) = options.log {
            command.stderr(log);
        }
        let mut child = command
            .args(["serve", "--listen", options.listen.unwrap_or("127.0.0.1:0")])
            .arg("--data")
            .arg(data)
            .arg("--config")
            .arg(&configuration)
            .args(["--log", level])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        stdout.read_line(&mut line).expect("it can be read");
        let url = line
            .trim()
            .strip_prefix("jobcell is ready on ")
            .map(str::to_owned);
        let url = url.unwrap_or_else(|| panic!("the server did not start: {line:?}"));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        Self {
            child,
            url,
            data: data.to_owned(),
            agent,
        }
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// `GET` of a path.
    pub(crate) fn get(&self, path: &str) -> Reply {
        reply(self.agent.get(format!("{}{path}", self.url)).call())
    }

    /// The body of a `GET` as it comes.
    pub(crate) fn open(&self, path: &str) -> impl Read + use<> {
        let response = self.agent.get(format!("{}{path}", self.url)).call();
        let response = response.unwrap_or_else(|error| panic!("no reply: {error}"));
        assert_eq!(response.status().as_u16(), 200);
        response.into_body().into_reader()
    }

    /// `DELETE` of a path.
    pub(crate) fn delete(&self, path: &str) -> Reply {
        reply(self.agent.delete(format!("{}{path}", self.url)).call())
    }

    /// `POST` without a body.
    pub(crate) fn post(&self, path: &str) -> Reply {
        reply(self.agent.post(format!("{}{path}", self.url)).send_empty())
    }

    /// `POST` of JSON.
    pub(crate) fn post_json(&self, path: &str, body: &Value) -> Reply {
        self.send(
            "POST",
            path,
            "application/json",
            body.to_string().as_bytes(),
        )
    }

    /// `PUT` of JSON.
    pub(crate) fn put_json(&self, path: &str, body: &Value) -> Reply {
        self.send("PUT", path, "application/json", body.to_string().as_bytes())
    }

    /// Any request with a body.
    pub(crate) fn send(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Reply {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", content_type)
            .body(body)
            .expect("a request");
        reply(self.agent.run(request))
    }

    /// Stores a job and returns its server id.
    pub(crate) fn create(&self, yaml: &str) -> String {
        let created = self.send("POST", "/api/v2/jobs", "application/yaml", yaml.as_bytes());
        assert_eq!(created.status, 201, "{}", created.text);
        created.json()["job_id"].as_str().expect("an id").to_owned()
    }

    /// All runs of a job, newest first, walked page by page.
    pub(crate) fn history(&self, job: &str) -> Vec<Value> {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v2/jobs/{job}/history?limit=200{cursor}");
            let page = self.get(&path).json();
            let shown = page["execution_history"].as_array();
            rows.extend(shown.expect("a list of runs").iter().cloned());
            let Some(next) = page["next_cursor"].as_str() else {
                return rows;
            };
            cursor = format!("&cursor={next}");
        }
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(mut self) {
        kill(self.pid(), Signal::SIGKILL).expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        kill(self.pid(), Signal::SIGTERM).expect("it runs");
        self.child.wait().expect("it ends")
    }

    /// Asks it to end.
    pub(crate) fn ask_to_end(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it runs");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn reply(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Reply {
    let response = result.unwrap_or_else(|error| panic!("no reply: {error}"));
    let (parts, mut body) = response.into_parts();
    let mut text = String::new();
    body.as_reader()
        .read_to_string(&mut text)
        .expect("a text body");
    Reply {
        status: parts.status.as_u16(),
        headers: parts.headers,
        text,
    }
}
