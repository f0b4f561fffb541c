//! Asks a server over its API, for the commands that are clients of one. Never
//! follows a server elsewhere, never reads a store.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body, SendBody};

use crate::exit::{Exit, Failure};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than any answer to a command has.
const LONGEST_ANSWER: u64 = 256 << 20;

/// How something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// A server's client. A cheap handle.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    server: String,
}

impl Client {
    /// The client of the server at this address.
    pub(crate) fn new(server: &str) -> Result<Self, Failure> {
        let server = server.trim_end_matches('/');
        let authority = server.strip_prefix("http://");
        // What stands before an @ would be shown, and nobody asks for it.
        if !authority.is_some_and(|rest| !rest.is_empty() && !rest.contains(['@', '/', '?', '#'])) {
            return Err(Failure::message(
                Exit::Usage,
                "the server's address should be like http://127.0.0.1:5000",
            ));
        }
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            // What is sent may hold a password, and the server is this machine.
            .proxy(None)
            .build();
        Ok(Self {
            agent: config.into(),
            server: server.to_owned(),
        })
    }

    /// A name as a part of a path.
    pub(crate) fn segment(name: &str) -> String {
        let mut path = String::new();
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                path.push(byte.into());
            } else {
                path.push_str(&format!("%{byte:02X}"));
            }
        }
        path
    }

    /// The answer; a failure when the server refuses.
    pub(crate) fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.server);
        let sent = match (method, body) {
            (Method::Get, _) => self.agent.get(&url).call(),
            (Method::Delete, _) => self.agent.delete(&url).call(),
            (Method::Post, Some(body)) => self.agent.post(&url).send_json(body),
            (Method::Put, Some(body)) => self.agent.put(&url).send_json(body),
            (Method::Post, None) => self.agent.post(&url).send_empty(),
            (Method::Put, None) => self.agent.put(&url).send_empty(),
        };
        let answer = sent.map_err(|error| self.unanswered(error))?;
        self.read(answer)?.map_err(|(failure, _)| failure)
    }

    /// The answer to a body that comes bit by bit, however long that and the work on
    /// it take. Where the server refuses, a failure and all that it says.
    pub(crate) fn upload(
        &self,
        path: &str,
        media_type: &str,
        mut body: impl Read,
    ) -> Result<Result<Value, (Failure, Value)>, Failure> {
        let url = format!("{}{path}", self.server);
        let request = self.agent.post(&url).content_type(media_type);
        let patient = request.config().timeout_global(None).build();
        let sent = patient.send(SendBody::from_reader(&mut body));
        self.read(sent.map_err(|error| self.broken_off(error))?)
    }

    /// The server's address.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// The host of its address.
    pub(crate) fn host(&self) -> &str {
        let authority = self.server.trim_start_matches("http://");
        match authority.rsplit_once(':') {
            Some((host, _)) if !authority.ends_with(']') => host,
            _ => authority,
        }
    }

    fn broken_off(&self, error: ureq::Error) -> Failure {
        let doing = format!(
            "the server {} is not there, or ended the conversation before all was sent, as when \
             too much is sent to it (its log says why)",
            self.server
        );
        Failure::context(Exit::Unavailable, error, doing)
    }

    fn unanswered(&self, error: ureq::Error) -> Failure {
        let doing = format!(
            "the server {} can't be asked; is it running? --server names another one",
            self.server
        );
        Failure::context(Exit::Unavailable, error, doing)
    }

    fn read(&self, answer: Response<Body>) -> Result<Result<Value, (Failure, Value)>, Failure> {
        let status = answer.status();
        let (_, body) = answer.into_parts();
        let text = body
            .into_with_config()
            .limit(LONGEST_ANSWER)
            .read_to_string();
        let answer: Option<Value> = text.ok().and_then(|text| serde_json::from_str(&text).ok());
        let Some(answer) = answer.filter(Value::is_object) else {
            return Err(Failure::message(
                Exit::Unavailable,
                format!(
                    "{} answers {status}, and not as a jobcell does",
                    self.server
                ),
            ));
        };
        if status.is_success() {
            return Ok(Ok(answer));
        }
        let said = answer["error"].as_str().unwrap_or("the server refuses it");
        // That is a matter of time, and not of what was asked.
        let busy = answer["code"] == "import_busy";
        let exit = if status.is_client_error() && !busy {
            Exit::Usage
        } else {
            Exit::Unavailable
        };
        Ok(Err((Failure::message(exit, said.to_owned()), answer)))
    }
}
