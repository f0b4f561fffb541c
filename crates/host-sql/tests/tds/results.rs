//! Batches, their results, their failures.

use jobcell_plugin_host::RunLimits;
use jobcell_plugin_host::bindings::sql::Value;

use crate::server::{Act, Asked, Script, Server};
use crate::support::{all, capability, config, detail, fact, open, query, scope, scope_of, shown};
use crate::tokens::{
    COUNT, ERROR, INT, MORE, Said, column, columns, done, done_in_procedure, done_procedure, int,
    numbers, row, utf16,
};

fn values(rows: &[Vec<Value>]) -> Vec<i64> {
    let values = rows.iter().flatten().map(|value| match value {
        Value::Integer(value) => *value,
        other => panic!("{other:?}"),
    });
    values.collect()
}

#[tokio::test]
async fn a_batch_is_sent_as_it_is_written() {
    let server = Server::start(Script::tokens(done(0, 0))).await;
    let mut session = open(&server).await;
    let text = "SELECT '@a', N'ä€𝄞' -- :b\r\n  , \"c\"";
    assert!(query(&mut session, text).await[0].rows.is_empty());
    assert_eq!(server.batches(), [text]);
}

#[tokio::test]
async fn every_result_of_a_batch_counts() {
    let answer = [
        numbers("first", &[1, 2], MORE),
        done(MORE | COUNT, 7),
        Said::new(0, 0, "printed").token(),
        // A procedure with a result and a change of its own.
        columns(&[column("second", INT)]),
        row(&[&int(3)]),
        done_in_procedure(MORE | COUNT, 1),
        done_in_procedure(MORE | COUNT, 4),
        [0x79, 0, 0, 0, 0].to_vec(),
        done_procedure(MORE),
        done(0, 0),
    ]
    .concat();
    let server = Server::start(Script::tokens(answer)).await;
    let mut session = open(&server).await;
    let found = query(&mut session, "EXEC everything").await;
    let told: Vec<_> = found
        .iter()
        .map(|found| (values(&found.rows), found.affected))
        .collect();
    assert_eq!(
        told,
        [
            (vec![1, 2], None),
            (vec![], Some(7)),
            (vec![3], None),
            (vec![], Some(4)),
        ]
    );
    assert_eq!(found[2].columns[0].name, "second");
    assert_eq!(found[2].columns[0].type_name, "int");
}

#[tokio::test]
async fn an_answer_may_be_cut_anywhere() {
    let long = "ä".repeat(3_000);
    let chunk = utf16(&long);
    let mut value = u64::MAX.wrapping_sub(1).to_le_bytes().to_vec();
    for part in chunk.chunks(777) {
        value.extend(u32::try_from(part.len()).unwrap().to_le_bytes());
        value.extend(part);
    }
    value.extend([0; 4]);
    let max = [&[0xE7, 0xFF, 0xFF][..], &crate::tokens::COLLATION].concat();
    let answer = [
        Said::new(50_000, 5, "nearly").token(),
        columns(&[column("n", INT), column("t", &max)]),
        // One with its missing values told ahead, one without.
        [&[0xD2, 0b01][..], &value].concat(),
        row(&[&int(5), &value]),
        done(COUNT, 2),
    ]
    .concat();
    for packets in [1, 2, 7, 4000] {
        let script = Script {
            packets,
            ..Script::tokens(answer.clone())
        };
        let server = Server::start(script).await;
        let mut session = open(&server).await;
        let found = query(&mut session, "SELECT n, t FROM long").await;
        let text = Value::Text(long.clone());
        let expected = [
            vec![Value::Null, text.clone()],
            vec![Value::Integer(5), text],
        ];
        assert_eq!(shown(&found[0].rows), shown(&expected));
        assert_eq!(session.take_messages()[0].text, "nearly");
    }
}

#[tokio::test]
async fn what_a_batch_prints_arrives_with_its_kind() {
    let answer = [
        Said::new(5701, 10, "Changed database context").token(),
        Said::new(0, 0, "printed").token(),
        Said::new(50_000, 5, "a warning of its own").token(),
        Said::new(8153, 10, "Null value is eliminated").token(),
        done(0, 0),
    ]
    .concat();
    let server = Server::start(Script::tokens(answer)).await;
    let mut session = open(&server).await;
    query(&mut session, "PRINT 'printed'").await;
    let told = session.take_messages();
    let told: Vec<_> = told
        .iter()
        .map(|message| (message.severity.as_str(), message.text.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("info", "printed"),
            ("warning", "a warning of its own"),
            ("warning", "Null value is eliminated (8153)"),
        ]
    );
}

#[tokio::test]
async fn a_failure_tells_its_place_and_what_was_done_before_it() {
    let answer = [
        done(MORE | COUNT, 1),
        Said::new(547, 16, "The INSERT conflicted").at(3).token(),
        Said::new(3621, 0, "The statement has been terminated.").token(),
        done(MORE | ERROR, 0),
        // Without XACT_ABORT the batch goes on.
        done(MORE | COUNT, 2),
        Said::new(8134, 16, "Divide by zero").at(5).token(),
        done(ERROR, 0),
    ]
    .concat();
    let server = Server::start(Script::tokens(answer)).await;
    let scope = scope();
    let capability = capability(config(&server));
    let mut session = capability.session("test", &scope).await.unwrap();
    let text = "INSERT a\nVALUES (1)\nINSERT b VALUES (1)\nUPDATE c SET d = 1\nSELECT 1/0";
    let (found, result) = all(&mut session, text, &[]).await;
    let affected: Vec<_> = found.iter().map(|found| found.affected).collect();
    assert_eq!(affected, [Some(1), Some(2)]);
    let detail = detail(result.unwrap_err());
    assert_eq!(detail.code, "constraint_violation");
    assert_eq!(detail.message, "The INSERT conflicted");
    assert_eq!(fact(&detail, "mssql-code"), Some("547"));
    assert_eq!(fact(&detail, "line"), Some("3"));
    // Nobody takes the messages of a batch that failed: they are in the log.
    assert!(session.take_messages().is_empty());
    let (output, _) = scope.output().take();
    let log = output.text_of(|_| true);
    let terminated = "info: The statement has been terminated. (3621)";
    assert!(log.contains(terminated), "{log}");
    assert!(log.contains("error: Divide by zero (8134)"), "{log}");
}

#[tokio::test]
async fn failures_are_told_apart() {
    let kinds = [
        (102, 15, "syntax_error"),
        (208, 16, "sql_error"),
        (229, 14, "permission_denied"),
        (1205, 13, "deadlock"),
        (1222, 16, "lock_timeout"),
        (2627, 14, "constraint_violation"),
        (3960, 16, "serialization_failure"),
        (1105, 17, "disk_full"),
        (3906, 16, "read_only"),
        (596, 21, "connection_failed"),
    ];
    for (number, class, code) in kinds {
        let answer = [Said::new(number, class, "said").token(), done(ERROR, 0)].concat();
        let server = Server::start(Script::tokens(answer)).await;
        let mut session = open(&server).await;
        let (_, result) = all(&mut session, "SELECT 1", &[]).await;
        assert_eq!(detail(result.unwrap_err()).code, code, "{number}");
    }
}

#[tokio::test]
async fn a_line_of_a_procedure_is_none_of_the_job() {
    let said = Said {
        procedure: "dbo.inner",
        ..Said::new(8134, 16, "Divide by zero").at(40)
    };
    let answer = [said.token(), done(ERROR, 0)].concat();
    let server = Server::start(Script::tokens(answer)).await;
    let mut session = open(&server).await;
    let (_, result) = all(&mut session, "EXEC dbo.inner", &[]).await;
    let detail = detail(result.unwrap_err());
    assert_eq!(fact(&detail, "line"), None);
    assert_eq!(fact(&detail, "procedure"), Some("dbo.inner"));
    assert_eq!(fact(&detail, "procedure-line"), Some("40"));
}

#[tokio::test]
async fn a_call_carries_its_values_apart_from_its_text() {
    let server = Server::start(Script::tokens(numbers("n", &[1], 0))).await;
    let mut session = open(&server).await;
    let text = "DECLARE @own int = 1; SELECT @name, @own, :price, @name, '@name'";
    let values = [
        ("name", Value::Text("x'; DROP TABLE y --".to_owned())),
        (
            "price",
            Value::Decimal("-12345678901234567890.50".to_owned()),
        ),
    ];
    let (_, result) = all(&mut session, text, &values).await;
    result.unwrap();
    let asked = server.asked();
    let Some(Asked::Call(bytes)) = asked.last() else {
        panic!("{asked:?}");
    };
    // `sp_executesql` by its number, no options.
    assert_eq!(bytes[..6], [0xFF, 0xFF, 10, 0, 0, 0]);
    let (sent, rest) = text_parameter(&bytes[6..]);
    assert_eq!(
        sent,
        "DECLARE @own int = 1; SELECT @P1, @own, @P2, @P1, '@name'"
    );
    let (declared, rest) = text_parameter(rest);
    assert_eq!(declared, "@P1 nvarchar(19), @P2 decimal(38, 2)");
    let (value, rest) = text_parameter(rest);
    assert_eq!(value, "x'; DROP TABLE y --");
    // Its name, no flags, decimal with 17 bytes, 38 digits, 2 of them after
    // the point, then 17 bytes: negative, the digits.
    let name = [&[3][..], &utf16("@P2")].concat();
    assert!(rest.starts_with(&name));
    let rest = &rest[name.len()..];
    assert_eq!(rest[..6], [0, 0x6C, 17, 38, 2, 17]);
    assert_eq!(rest[6], 0);
    let digits = u128::from_le_bytes(rest[7..23].try_into().unwrap());
    assert_eq!(digits, 1_234_567_890_123_456_789_050);
    assert_eq!(rest.len(), 23);
}

/// A parameter of the type `nvarchar`: its value, and what follows.
fn text_parameter(bytes: &[u8]) -> (String, &[u8]) {
    let name = 1 + 2 * usize::from(bytes[0]);
    let (flags, of) = (bytes[name], bytes[name + 1]);
    assert_eq!((flags, of), (0, 0xE7));
    let value = name + 2 + 2 + 5;
    let length = usize::from(u16::from_le_bytes([bytes[value], bytes[value + 1]]));
    let (value, rest) = bytes[value + 2..].split_at(length);
    (crate::server::from_utf16(value), rest)
}

#[tokio::test]
async fn a_query_is_stopped_on_the_server_when_it_is_enough() {
    let rows: Vec<u8> = (0..100).flat_map(|n| row(&[&int(n)])).collect();
    let server = Server::start(Script::new(move |asked| match asked {
        Asked::Batch { text, .. } if text.contains("everything") => vec![
            Act::Send(columns(&[column("n", INT)])),
            Act::Repeat(rows.clone()),
        ],
        _ => vec![Act::Send(done(0, 0))],
    }))
    .await;
    let limits = RunLimits {
        sql_rows: 250,
        ..RunLimits::default()
    };
    let capability = capability(config(&server));
    let mut session = capability.session("test", &scope_of(limits)).await.unwrap();
    let found = query(&mut session, "SELECT n FROM everything").await;
    assert_eq!((found[0].rows.len(), found[0].cut), (250, true));
    assert_eq!(found[0].total, None);
    assert_eq!(server.asked().last(), Some(&Asked::Stop));
    // The connection is free at once.
    assert!(query(&mut session, "SELECT 1").await[0].rows.is_empty());
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_follows_a_cut_result_is_carried_out() {
    let many: Vec<i32> = (0..1_000).collect();
    let answer = [numbers("n", &many, MORE), done(COUNT, 3)].concat();
    let server = Server::start(Script::tokens(answer)).await;
    let limits = RunLimits {
        sql_rows: 10,
        ..RunLimits::default()
    };
    let capability = capability(config(&server));
    let mut session = capability.session("test", &scope_of(limits)).await.unwrap();
    let found = query(&mut session, "SELECT n FROM t UPDATE t SET n = 1").await;
    assert_eq!((found[0].rows.len(), found[0].cut), (10, true));
    assert_eq!(found[0].total, Some(1_000));
    assert_eq!(found[1].affected, Some(3));
    assert!(!server.asked().contains(&Asked::Stop));
}
