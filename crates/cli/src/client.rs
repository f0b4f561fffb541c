//! Asks a server over its API, for the commands that are clients of one. Never
//! follows a server elsewhere, never reads a store.

use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::exit::{Exit, Failure};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than any answer to a command has.
const LONGEST_ANSWER: u64 = 16 << 20;

/// How something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// A server's client.
pub(crate) struct Client {
    agent: Agent,
    server: String,
}

impl Client {
    /// The client of the server at this address.
    pub(crate) fn new(server: &str) -> Result<Self, Failure> {
        let server = server.trim_end_matches('/');
        if !server.starts_with("http://") {
            return Err(Failure::message(
                Exit::Usage,
                format!("`{server}` is no address such as http://127.0.0.1:5000"),
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
        let answer = sent.map_err(|error| {
            let doing = format!(
                "the server {} can't be asked; is it running? --server names another one",
                self.server
            );
            Failure::context(Exit::Unavailable, error, doing)
        })?;
        self.read(answer)
    }

    fn read(&self, answer: Response<Body>) -> Result<Value, Failure> {
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
            return Ok(answer);
        }
        let said = answer["error"].as_str().unwrap_or("the server refuses it");
        let exit = if status.is_client_error() {
            Exit::Usage
        } else {
            Exit::Unavailable
        };
        Err(Failure::message(exit, said.to_owned()))
    }
}
