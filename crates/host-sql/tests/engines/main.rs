//! One suite of facts for every kind of database: SQLite always, PostgreSQL and
//! MariaDB on servers of its own, SQL Server on one that `JOBCELL_TEST_MSSQL`
//! names. A kind whose programs are not installed is
//! left out by name, unless `CI` is set: then that is a failure.

#![expect(
    clippy::print_stderr,
    reason = "says which suites are left out, and what was measured"
)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod engine;
mod facts;
mod mariadb;
mod postgres;
mod server;
mod servers;
mod session;
mod types;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use engine::Engine;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut engines = vec![Arc::new(Engine::sqlite())];
    let mut missing = Vec::new();
    // Whoever only asks which tests there are, or wants another one's, needs no
    // server.
    let listing = arguments.list;
    for (name, start) in [
        ("postgresql", postgres::start as fn() -> Option<Engine>),
        ("mariadb", mariadb::start),
    ] {
        let other = arguments.exact
            && arguments
                .filter
                .as_ref()
                .is_some_and(|test| !test.starts_with(name));
        let engine = if listing || other {
            Some(Engine::listed(name))
        } else {
            start()
        };
        match engine {
            Some(engine) => engines.push(Arc::new(engine)),
            None => missing.push(name),
        }
    }
    for name in &missing {
        eprintln!("left out: the suite of {name}, whose server is not installed");
    }
    match Engine::sqlserver().filter(|_| !listing) {
        Some(engine) => engines.push(Arc::new(engine)),
        // Nobody can install one here, so it is no failure.
        None => eprintln!("left out: the suite of sqlserver, as JOBCELL_TEST_MSSQL names none"),
    }
    let trials = engines.iter().flat_map(trials).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(engines);
    if !missing.is_empty() && std::env::var_os("CI").is_some() {
        eprintln!("CI is set, so every suite has to run");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn trials(engine: &Arc<Engine>) -> Vec<Trial> {
    let facts = facts::ALL.iter().chain(facts::NOT_FOR_BATCHES);
    let facts = facts.chain(servers::ALL).chain(servers::NOT_FOR_BATCHES);
    let facts = facts.chain(types::ALL);
    let held = facts.filter(|fact| (fact.of)(engine));
    held.map(|fact| {
        let engine = Arc::clone(engine);
        let run = fact.run;
        Trial::test(format!("{}::{}", engine.name, fact.name), move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .map_err(|error| Failed::from(error.to_string()))?;
            runtime.block_on(run(&engine));
            Ok(())
        })
    })
    .collect()
}
