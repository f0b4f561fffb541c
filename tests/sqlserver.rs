//! SQL jobs on a SQL Server, through the real binary. The server is the one of
//! the tests, which answers by a script.

use serde_json::{Value, json};

use crate::harness::{Server, ServerOptions};

// How the protocol is spoken in tests is known in one place.
#[path = "../crates/host-sql/tests/tds/server.rs"]
#[expect(dead_code, reason = "its own suite uses the rest")]
pub(crate) mod server;
#[expect(dead_code, reason = "its own suite uses the rest")]
#[path = "../crates/host-sql/tests/tds/tokens.rs"]
pub(crate) mod tokens;

use server::{Act, Asked, Script};
use tokens::{COUNT, ERROR, MORE, Said, done, numbers, transaction};

/// Runs a job against a server with this script: what came of it, and what the
/// server was asked.
fn ran(
    keys: &str,
    answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
) -> (Value, Vec<Asked>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let script = Script::new(move |asked| {
        let text = match asked {
            Asked::Batch { text, .. } => text.as_str(),
            _ => "a call",
        };
        vec![Act::Send(answer(text))]
    });
    let database = runtime.block_on(server::Server::start(script));
    let port = database.address.port();
    let options = ServerOptions {
        configuration: Some(format!(
            "connections:\n  erp: {{type: mssql, host: 127.0.0.1, port: {port}, username: sa, password: x}}\n"
        )),
        ..ServerOptions::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let jobcell = Server::start_with(folder.path(), options);
    jobcell.create(&format!(
        "id: j\nname: J\ntype: SQL\nconnection: erp\n{keys}\n"
    ));
    let ran = jobcell.post("/api/v2/jobs/j/run").json();
    (ran, database.asked())
}

fn batches(asked: &[Asked]) -> Vec<&str> {
    let texts = asked.iter().filter_map(|asked| match asked {
        Asked::Batch { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

#[test]
fn each_batch_is_a_step_as_often_as_go_says() {
    let (ran, asked) = ran(
        "query: |\n  PRINT 'one'; SELECT 1\n  GO\n  UPDATE t /* GO */ SET n = n + 1 -- GO\n  go 3\n",
        |text| match text {
            text if text.starts_with("PRINT") => {
                [Said::new(0, 0, "one").token(), numbers("n", &[1], 0)].concat()
            }
            text if text.starts_with("UPDATE") => done(COUNT, 5),
            _ => done(0, 0),
        },
    );
    assert_eq!(ran["success"], true, "{ran}");
    let steps = ran["step_results"].as_array().unwrap();
    assert_eq!(steps.len(), 2, "{ran}");
    assert_eq!(steps[0]["details"]["rows"], json!([[1]]), "{ran}");
    assert_eq!(
        steps[0]["details"]["messages"],
        json!([{"severity": "info", "text": "one"}])
    );
    assert_eq!(steps[1]["details"]["affectedRows"], 5, "{ran}");
    let update = "UPDATE t /* GO */ SET n = n + 1";
    assert_eq!(
        batches(&asked)[..4],
        ["PRINT 'one'; SELECT 1", update, update, update]
    );
}

#[test]
fn a_transaction_of_the_job_is_in_the_words_of_the_server() {
    let (ran, asked) = ran(
        "transaction: single\nisolationLevel: serializable\nonError: continue\n\
         parameters: {name: x}\nquery: |\n  INSERT t VALUES (@name)\n  GO\n  SELECT 1/0\n",
        |text| match text {
            "BEGIN TRANSACTION" => [transaction(8, 9), done(0, 0)].concat(),
            "COMMIT" => [transaction(9, 9), done(0, 0)].concat(),
            "SELECT 1/0" => [
                Said::new(8134, 16, "Divide by zero").token(),
                done(ERROR, 0),
            ]
            .concat(),
            "a call" => [
                tokens::done_in_procedure(MORE | COUNT, 1),
                tokens::done_procedure(0),
            ]
            .concat(),
            _ => done(0, 0),
        },
    );
    assert_eq!(ran["success"], false, "{ran}");
    let error = ran["error"].as_str().unwrap();
    assert_eq!(error, "statement 2 (line 3) failed: Divide by zero");
    assert_eq!(
        ran["step_results"][0]["details"]["affectedRows"], 1,
        "{ran}"
    );
    assert_eq!(
        batches(&asked)[..7],
        [
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            "BEGIN TRANSACTION",
            "SAVE TRANSACTION jobcell",
            "SAVE TRANSACTION jobcell",
            "SELECT 1/0",
            "ROLLBACK TRANSACTION jobcell",
            "COMMIT",
        ]
    );
}
