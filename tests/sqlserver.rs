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
    let mut ran = jobcell.post("/api/v2/jobs/j/run").json();
    let id = ran["execution_id"].as_str().unwrap();
    let log = jobcell.get(&format!("/api/v2/executions/{id}/log?stream=log"));
    ran["log"] = json!(log.text);
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

/// The columns of a table of V1, each `nvarchar(max)` but for the two that tell
/// what their bytes are.
const MAX: [u8; 3] = [0xE7, 0xFF, 0xFF];
const BIT: &[u8] = &[0x68, 1];
const DATETIME: &[u8] = &[0x6F, 8];

enum Cell<'c> {
    None,
    Text(&'c str),
    Bit(bool),
    /// Days since 1900, and three hundredths of a second.
    Date(i32, u32),
}

fn table(names: &[&str], rows: &[Vec<Cell<'_>>]) -> Vec<u8> {
    let text = [&MAX[..], &tokens::COLLATION].concat();
    let of = |index: usize| match rows.first().map(|row| &row[index]) {
        Some(Cell::Bit(_)) => BIT,
        Some(Cell::Date(..)) => DATETIME,
        _ => &text[..],
    };
    let columns: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(index, name)| tokens::column(name, of(index)))
        .collect();
    let mut bytes = tokens::columns(&columns);
    for row in rows {
        let cells: Vec<Vec<u8>> = row.iter().map(cell).collect();
        let cells: Vec<&[u8]> = cells.iter().map(Vec::as_slice).collect();
        bytes.extend(tokens::row(&cells));
    }
    bytes.extend(done(COUNT, rows.len() as u64));
    bytes
}

fn cell(cell: &Cell<'_>) -> Vec<u8> {
    match cell {
        Cell::None => vec![0xFF; 8],
        Cell::Text(text) => {
            let bytes = tokens::utf16(text);
            let length = u32::try_from(bytes.len()).unwrap();
            let mut value = u64::from(length).to_le_bytes().to_vec();
            if length > 0 {
                value.extend(length.to_le_bytes());
                value.extend(bytes);
            }
            value.extend([0; 4]);
            value
        }
        Cell::Bit(on) => vec![1, u8::from(*on)],
        Cell::Date(days, parts) => [&[8][..], &days.to_le_bytes(), &parts.to_le_bytes()].concat(),
    }
}

#[test]
fn v1_is_migrated_from_a_sql_server() {
    use Cell::{Bit, Date, None, Text};
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let script = Script::new(|asked| {
        let Asked::Batch { text, .. } = asked else {
            panic!("{asked:?}");
        };
        let tokens = if text.contains("INFORMATION_SCHEMA.TABLES") {
            let names = [
                "job_configurations",
                "JOB_EXECUTION_HISTORY",
                "user_connections",
            ];
            let rows = names.map(|name| vec![Text("dbo"), Text(name)]);
            table(&["s", "n"], &rows)
        } else if text == "SELECT * FROM [dbo].[job_configurations]" {
            let names = [
                "job_id",
                "name",
                "job_type",
                "configuration",
                "enabled",
                "created_date",
            ];
            let configuration = r#"{"sql_query":"SELECT N'ä'\r\nGO 2","connection_name":"ERP"}"#;
            let row = vec![
                Text("3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
                Text("Näch\u{2028}tlich"),
                Text("sql"),
                Text(configuration),
                Bit(true),
                // 20 August 2025, 10:15.
                Date(45_887, 11_070_000),
            ];
            table(&names, &[row])
        } else if text == "SELECT * FROM [dbo].[JOB_EXECUTION_HISTORY]" {
            let names = ["execution_id", "job_id", "status", "start_time", "output"];
            let row = vec![
                Text("7"),
                Text("3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
                Text("SUCCESS"),
                Date(45_887, 11_070_000),
                None,
            ];
            table(&names, &[row])
        } else if text == "SELECT * FROM [dbo].[user_connections]" {
            let names = ["connection_id", "server_name", "username", "password"];
            let row = vec![Text("erp"), Text("db1,1444"), Text("sa"), Text("pa55")];
            table(&names, &[row])
        } else {
            done(0, 0)
        };
        vec![Act::Send(tokens)]
    });
    let database = runtime.block_on(server::Server::start(script));
    let folder = tempfile::tempdir().unwrap();
    let port = database.address.port();
    let from = format!("mssql://reader:geh€im@127.0.0.1:{port}/sreutil?tls=disable");
    let arguments = [
        "migrate", "--data", "data", "--format", "json", "--from", &from,
    ];
    let said = crate::harness::run(&arguments, folder.path());
    let told = crate::harness::text(&said.stdout);
    assert!(said.status.success(), "{told} {said:?}");
    assert!(!told.contains("geh€im") && !told.contains("pa55"), "{told}");
    let report: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(report["connections"][0]["migrated_as"], "erp", "{report}");
    assert_eq!(report["runs"]["added"], 1, "{report}");
    // Nothing but SELECT was sent to V1.
    let sent = batches(&database.asked())
        .into_iter()
        .filter(|text| !text.starts_with("SELECT") && !text.starts_with("SET TRANSACTION"))
        .count();
    assert_eq!(sent, 0, "{:?}", database.asked());
    let jobcell = Server::start(&folder.path().join("data"));
    let job = &jobcell.get("/api/v2/jobs").json()["jobs"][0];
    assert_eq!(
        job["created_date"], "2025-08-20T10:15:00.000000+00:00",
        "{job}"
    );
    let yaml = job["yaml_configuration"].as_str().unwrap();
    assert!(yaml.contains("connection: erp"), "{yaml}");
    let erp = &jobcell.get("/api/v2/connections/erp").json()["connection"];
    assert_eq!((&erp["host"], &erp["port"]), (&json!("db1"), &json!(1444)));
    assert_eq!(erp["has_password"], true);
}

/// A server that follows transactions as SQL Server does, as far as these tests
/// begin and end them.
fn following(text: &str) -> Vec<u8> {
    if text.contains("BEGIN TRAN") {
        [transaction(8, 9), done(0, 0)].concat()
    } else {
        done(COUNT, 1)
    }
}

#[test]
fn a_transaction_that_a_batch_left_open_fails_the_job() {
    let query = "query: |\n  SET XACT_ABORT ON; BEGIN TRAN; UPDATE t SET n = 1\n";
    for mode in ["none", "single", "perStatement"] {
        let keys = format!("transaction: {mode}\n{query}");
        let (ran, asked) = ran(&keys, following);
        assert_eq!(ran["success"], false, "{mode}: {ran}");
        assert_eq!(ran["error_code"], "transaction_left_open", "{mode}: {ran}");
        let sent = batches(&asked);
        assert!(
            sent.contains(&"IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION"),
            "{sent:?}"
        );
    }
}

#[test]
fn what_a_batch_printed_before_it_failed_is_in_the_log_and_not_in_the_next_step() {
    let keys =
        "onError: continue\nquery: |\n  PRINT 'table 7'; THROW 50001, 'x', 1\n  GO\n  SELECT 1\n";
    let (ran, _) = ran(keys, |text| {
        if text.starts_with("PRINT") {
            let printed = Said::new(0, 0, "table 7").token();
            [printed, Said::new(50_001, 16, "x").token(), done(ERROR, 0)].concat()
        } else {
            numbers("n", &[1], 0)
        }
    });
    assert!(
        ran["log"].as_str().unwrap().contains("info: table 7"),
        "{ran}"
    );
    assert_eq!(
        ran["step_results"][1]["details"]["messages"],
        Value::Null,
        "{ran}"
    );
}
