//! HTTP clients that keep one connection each, and the servers they speak to.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::figures::{Commits, Timings};

/// Says where a server of this bench listens.
#[expect(clippy::print_stdout, reason = "the parent process reads it")]
pub(crate) fn announce(listener: &TcpListener) {
    println!("{}", listener.local_addr().unwrap());
}

/// A server in a process of its own.
pub(crate) struct Child {
    process: std::process::Child,
    pub(crate) address: SocketAddr,
}

impl Child {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            process,
            address: line.trim().parse().unwrap(),
        }
    }

    /// How writes have shared commits in it.
    pub(crate) async fn commits(&self) -> Commits {
        let mut client = Client::connect(self.address).await;
        serde_json::from_slice(&client.send("GET", "/bench/commits", "").await.1).unwrap()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(async move { connection.await.unwrap() });
        Self {
            sender,
            host: address.to_string(),
        }
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> (u16, Bytes) {
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .unwrap();
        self.sender.ready().await.unwrap();
        let reply = self.sender.send_request(request).await.unwrap();
        let status = reply.status().as_u16();
        (
            status,
            reply.into_body().collect().await.unwrap().to_bytes(),
        )
    }

    async fn post(&mut self, path: &str) {
        let (status, body) = self.send("POST", path, "").await;
        assert_eq!(status, 200, "{body:?}");
        assert!(body.starts_with(b"{\"success\":true"), "{body:?}");
    }
}

/// Stores the job that is measured; gives the path that runs it.
pub(crate) async fn create_sql_job(address: &SocketAddr) -> String {
    let yaml = "id: bench\nname: Bench\ntype: SQL\nquery: SELECT 1\nconcurrency: {policy: allow}\n";
    let body = serde_json::json!({ "yaml_config": yaml }).to_string();
    let (status, reply) = Client::connect(*address)
        .await
        .send("POST", "/api/v2/jobs", &body)
        .await;
    assert_eq!(status, 201, "{reply:?}");
    "/api/v2/jobs/bench/run".to_owned()
}

/// One client, one request after the other.
pub(crate) async fn one_by_one(address: &SocketAddr, path: &str, count: usize) -> Timings {
    let mut client = Client::connect(*address).await;
    for _ in 0..count / 10 {
        client.post(path).await;
    }
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        client.post(path).await;
        all.push(start.elapsed());
    }
    Timings::new(all)
}

/// Requests per second of many clients at once.
pub(crate) async fn together(
    address: &SocketAddr,
    path: &str,
    clients: usize,
    load: Duration,
) -> f64 {
    let start = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (address, path) = (*address, path.to_owned());
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                let mut count = 0_u32;
                while start.elapsed() < load {
                    client.post(&path).await;
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut total = 0.0;
    for task in tasks {
        total += f64::from(task.await.unwrap());
    }
    total / start.elapsed().as_secs_f64()
}
