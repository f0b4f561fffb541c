//! A MariaDB server with passwords, and a user who may do nothing.

use std::path::PathBuf;

use jobcell_host_sql::{ServerConfig, ServerKind};

use crate::engine::{Engine, PASSWORD, USER};
use crate::server::{Server, command, find, folder, free_port, run};

/// Starts one; none where MariaDB is not installed.
pub(crate) fn start() -> Option<Engine> {
    let besides = [PathBuf::from("/usr/sbin"), PathBuf::from("/usr/bin")];
    let install = find("mariadb-install-db", &besides)?;
    let program = find("mariadbd", &besides)?;
    let folder = folder();
    let data = folder.path().join("data");
    // Servers clear the temporary files of others where they share a folder.
    let scratch = format!("--tmpdir={}", folder.path().display());
    let first = folder.path().join("first.sql");
    let password = PASSWORD.replace('\'', "''");
    let sql = format!(
        "SET NAMES utf8mb4;\n\
         CREATE USER '{USER}'@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n\
         CREATE USER 'weak'@'%' IDENTIFIED BY 'weak';\n\
         CREATE DATABASE test CHARACTER SET utf8mb4;\n\
         GRANT SELECT ON test.* TO 'weak'@'%';\n"
    );
    std::fs::write(&first, sql).unwrap();
    run(command(&install)
        .args([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ])
        .arg(&scratch)
        .arg(format!("--datadir={}", data.display())));
    let port = free_port();
    let socket = folder.path().join("socket");
    let server = Server::start(
        folder,
        port,
        command(&program)
            .args([
                "--no-defaults",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
            ])
            .args([
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-buffer-pool-size=32M",
            ])
            .arg(&scratch)
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--init-file={}", first.display()))
            .arg(format!("--socket={}", socket.display()))
            .arg(format!("--port={port}")),
    );
    let config = ServerConfig::new(ServerKind::MySql, "127.0.0.1", USER);
    Some(Engine::server(
        "mariadb",
        server,
        config,
        "test",
        PathBuf::new(),
    ))
}
