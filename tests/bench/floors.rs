//! The floors: the same work with nothing of Jobcell in it.

use std::path::Path;
use std::time::{Duration, Instant};

use jobcell_plugin_host::Plugin;
use redb::{Database, TableDefinition};

use crate::figures::Timings;

/// Bare instances of a plugin, made and dropped.
pub(crate) async fn instances(plugin: &Plugin, count: usize) -> Timings {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        plugin.instantiate_and_drop().await.unwrap();
        all.push(start.elapsed());
    }
    Timings::new(all)
}

/// A program started and waited for by tokio alone.
pub(crate) async fn spawn() -> Duration {
    let start = Instant::now();
    let mut command = tokio::process::Command::new("/bin/true");
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(output.status.success());
    start.elapsed()
}

/// Two durable commits of one small row each.
pub(crate) fn two_commits(folder: &Path, count: usize) -> Timings {
    const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
    let database = Database::create(folder.join("floor.redb")).unwrap();
    let row = [7_u8; 500];
    let mut all = Vec::with_capacity(count);
    for key in 0..count as u64 {
        let start = Instant::now();
        for half in 0..2 {
            let write = database.begin_write().unwrap();
            write
                .open_table(TABLE)
                .unwrap()
                .insert(key * 2 + half, row.as_slice())
                .unwrap();
            write.commit().unwrap();
        }
        all.push(start.elapsed());
    }
    Timings::new(all)
}

/// Answers until it is killed.
#[tokio::main]
pub(crate) async fn echo_server() {
    let router = axum::Router::new().route(
        "/echo",
        axum::routing::post(|| async { axum::Json(serde_json::json!({"success": true})) }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    crate::clients::announce(&listener);
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        stream.set_nodelay(true).unwrap();
    });
    axum::serve(listener, router).await.unwrap();
}
