//! A PostgreSQL server with TLS, passwords, and a user who may do nothing.

use std::path::PathBuf;

use jobcell_host_sql::{ServerConfig, ServerKind};

use crate::engine::{Engine, PASSWORD, USER};
use crate::server::{Server, command, find, folder, free_port, run};

/// Starts one; none where PostgreSQL is not installed.
pub(crate) fn start() -> Option<Engine> {
    let programs = programs();
    let initdb = find("initdb", &programs)?;
    let postgres = find("postgres", &programs)?;
    let folder = folder();
    let data = folder.path().join("data");
    let password = folder.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    run(command(&initdb)
        .args([
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ])
        .arg(format!("--username={USER}"))
        .arg(format!("--pwfile={}", password.display()))
        .arg("--pgdata")
        .arg(&data));
    let certificate = certificate(&data);
    let port = free_port();
    let server = Server::start(
        folder,
        port,
        command(&postgres)
            .arg("-D")
            .arg(&data)
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "fsync=off",
                "-c",
                "ssl=on",
            ])
            .args(["-c", "deadlock_timeout=100ms", "-c", "max_connections=100"])
            .args([
                "-c",
                &format!("port={port}"),
                "-c",
                "unix_socket_directories=",
            ]),
    );
    let config = ServerConfig::new(ServerKind::PostgreSql, "127.0.0.1", USER);
    let engine = Engine::server("postgresql", server, config, "postgres", certificate);
    engine.prepare(&[
        "CREATE ROLE weak LOGIN PASSWORD 'weak'",
        "CREATE DATABASE empty",
    ]);
    Some(engine)
}

/// Where distributions put what is not on the path.
fn programs() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect()
}

/// Makes the server's certificate, for the name `localhost`.
fn certificate(data: &std::path::Path) -> PathBuf {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (data.join("server.crt"), data.join("server.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    run(std::process::Command::new("chmod").arg("600").arg(&key));
    run(std::process::Command::new("chown")
        .arg("--reference")
        .arg(data)
        .args([&certificate, &key]));
    certificate
}
