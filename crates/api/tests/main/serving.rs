//! The server on real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use jobcell_api::ServeError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{ENDLESS, PATIENCE, Service, sql_job};

struct Server {
    service: Service,
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    async fn start(drain: Duration) -> Self {
        let service = Service::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let router = service.router.clone();
        let task = tokio::spawn(jobcell_api::serve(
            listener,
            router,
            shutdown.clone(),
            drain,
        ));
        Self {
            service,
            address,
            shutdown,
            task,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn end(self) -> Result<(), ServeError> {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("it ends in time")
            .unwrap()
    }
}

#[tokio::test]
async fn answers_several_requests_on_one_connection() {
    let server = Server::start(PATIENCE).await;
    server.service.create(&sql_job("A", "SELECT 1")).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        // What `curl -X POST` sends: neither a type nor a length.
        send(
            &mut stream,
            "POST /api/v2/jobs/A/run HTTP/1.1\r\nhost: localhost\r\n\r\n",
        )
        .await;
        let reply = receive(&mut stream).await;
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
        assert!(reply.contains("\"status\":\"success\""), "{reply}");
    }
    drop(stream);
    server.end().await.unwrap();
}

#[tokio::test]
async fn sends_head_and_body_in_one_piece() {
    let server = Server::start(PATIENCE).await;
    let mut stream = server.connect().await;
    send(
        &mut stream,
        "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n",
    )
    .await;
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer).await.unwrap();
    let piece = std::str::from_utf8(&buffer[..length]).unwrap();
    assert!(piece.contains("content-length: "), "{piece}");
    assert!(
        piece.ends_with("{\"success\":true,\"status\":\"live\"}"),
        "{piece}"
    );
    server.end().await.unwrap();
}

#[tokio::test]
async fn lets_a_run_finish_when_it_shuts_down_and_ends_idle_connections() {
    let server = Server::start(PATIENCE).await;
    server.service.create(&sql_job("A", ENDLESS)).await;
    let mut idle = server.connect().await;
    send(
        &mut idle,
        "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n",
    )
    .await;
    receive(&mut idle).await;
    let mut waiting = server.connect().await;
    send(
        &mut waiting,
        "POST /api/v2/jobs/A/run HTTP/1.1\r\nhost: localhost\r\n\r\n",
    )
    .await;
    let engine = server.service.engine.clone();
    let execution = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(run) = engine.store().open_executions().await.unwrap().pop() {
                return run.execution_id;
            }
            tokio::task::yield_now().await;
        }
    });
    let execution = execution.await.unwrap();

    server.shutdown.cancel();
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, idle.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(rest, b"", "an idle connection is closed");
    assert!(
        !server.task.is_finished(),
        "a run is still being waited for"
    );
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "no more connections are taken"
    );

    engine.cancel_run(execution, "the test").await.unwrap();
    let reply = receive(&mut waiting).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(reply.contains("cancelled by the test"), "{reply}");
    server.end().await.unwrap();
}

#[tokio::test]
async fn cuts_connections_that_outlast_the_shutdown_and_says_how_many() {
    let server = Server::start(Duration::from_millis(50)).await;
    server.service.create(&sql_job("A", ENDLESS)).await;
    let mut waiting = server.connect().await;
    send(
        &mut waiting,
        "POST /api/v2/jobs/A/run HTTP/1.1\r\nhost: localhost\r\n\r\n",
    )
    .await;
    let engine = server.service.engine.clone();
    tokio::time::timeout(PATIENCE, async {
        while engine.running() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let error = server.end().await.unwrap_err();
    let ServeError::Cut { connections, .. } = error;
    assert_eq!(connections, 1);
    engine.drain(Duration::ZERO).await;
}

/// A client that watches a run that does not end by itself.
async fn watch(server: &Server, query: &str) -> TcpStream {
    server.service.create(&sql_job("A", query)).await;
    let run = server.service.post("/api/v2/jobs/A/run?wait=false").await;
    let id = run.json()["execution_id"].as_str().unwrap().to_owned();
    let mut stream = server.connect().await;
    let path = format!("/api/v2/executions/{id}/stream");
    send(
        &mut stream,
        &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    )
    .await;
    stream
}

#[tokio::test]
async fn streams_end_with_the_server_and_not_with_their_run() {
    let server = Server::start(PATIENCE).await;
    let mut stream = watch(&server, &format!("SELECT 'one';\n  {ENDLESS}")).await;
    let mut text = String::new();
    let mut buffer = vec![0; 65536];
    tokio::time::timeout(PATIENCE, async {
        while !text.contains("event: step") {
            let read = stream.read(&mut buffer).await.unwrap();
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
    })
    .await
    .unwrap();
    let engine = server.service.engine.clone();
    engine.close();
    let mut rest = String::new();
    tokio::time::timeout(PATIENCE, async {
        while !rest.ends_with("0\r\n\r\n") {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the stream ends in order, not after {rest:?}");
            rest.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
    })
    .await
    .unwrap();
    assert_eq!(engine.running(), 1);
    server.end().await.unwrap();
    engine.drain(Duration::ZERO).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_stream_holds_no_shutdown_up() {
    let server = Server::start(PATIENCE).await;
    let rows = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 9000) \
                SELECT x, hex(zeroblob(200)) FROM c";
    let stream = watch(&server, &format!("{rows};\n  {ENDLESS}")).await;
    let engine = server.service.engine.clone();
    tokio::time::timeout(PATIENCE, async {
        while engine.watching() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let started = std::time::Instant::now();
    server.end().await.unwrap();
    assert!(started.elapsed() < PATIENCE / 2, "it was not waited for");
    assert_eq!(engine.watching(), 0);
    drop(stream);
    engine.drain(Duration::ZERO).await;
}

#[tokio::test]
async fn answers_a_client_that_sends_far_too_much() {
    let server = Server::start(PATIENCE).await;
    let stream = server.connect().await;
    let (mut reader, mut writer) = stream.into_split();
    let length = 50 << 20;
    let sender = tokio::spawn(async move {
        let head = format!(
            "POST /api/v2/jobs HTTP/1.1\r\nhost: localhost\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        writer.write_all(head.as_bytes()).await?;
        let block = vec![b' '; 1 << 20];
        for _ in 0..length >> 20 {
            writer.write_all(&block).await?;
        }
        Ok::<_, std::io::Error>(writer)
    });
    let mut buffer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, reader.read(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    let reply = std::str::from_utf8(&buffer[..read]).unwrap();
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
    assert!(reply.contains("body_too_large"), "{reply}");
    sender
        .await
        .unwrap()
        .expect("the client could send all of it");
    server.end().await.unwrap();
}

#[tokio::test]
async fn answers_a_client_that_waits_for_leave_before_it_sends_too_much() {
    let server = Server::start(PATIENCE).await;
    let mut stream = server.connect().await;
    send(
        &mut stream,
        "POST /api/v2/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: 52428800\r\nexpect: 100-continue\r\n\r\n",
    )
    .await;
    let reply = receive(&mut stream).await;
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
    server.end().await.unwrap();
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Reads one reply of known length.
async fn receive(stream: &mut TcpStream) -> String {
    let reading = async {
        let mut text = String::new();
        let mut buffer = vec![0; 65536];
        loop {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the connection was closed after {text:?}");
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
            if is_whole(&text) {
                return text;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("a reply in time")
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| body.len() == length.parse::<usize>().unwrap())
}
