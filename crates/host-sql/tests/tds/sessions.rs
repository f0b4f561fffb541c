//! Logins, transactions, cancels, and what is left of a run for the next.

use std::time::{Duration, Instant};

use jobcell_plugin_host::scope::StopReason;

use crate::server::{Act, Asked, Script, Server};
use crate::support::{PASSWORD, USER, all, capability, config, detail, fact, open, query, scope};
use crate::tokens::{ERROR, Said, done, numbers, route, transaction};

fn batch(text: &str, transaction: u64, reset: bool) -> Asked {
    Asked::Batch {
        text: text.to_owned(),
        transaction,
        reset,
    }
}

#[tokio::test]
async fn who_logs_in_is_told_and_the_password_is_not() {
    let script = Script {
        login: [
            Said::new(18456, 14, "Login failed for user 'josé'.").token(),
            done(ERROR, 0),
        ]
        .concat(),
        ..Script::tokens(Vec::new())
    };
    let server = Server::start(script).await;
    let refused = capability(config(&server)).session("test", &scope()).await;
    let detail = detail(refused.err().unwrap());
    assert_eq!(detail.code, "authentication_failed");
    assert_eq!(fact(&detail, "mssql-code"), Some("18456"));
    assert!(!detail.message.contains(PASSWORD), "{}", detail.message);
    let login = Asked::Login(USER.to_owned(), PASSWORD.to_owned(), "test".to_owned());
    assert_eq!(server.asked(), [login]);
}

#[tokio::test]
async fn a_login_is_followed_to_another_server() {
    let target = Server::start(Script::tokens(numbers("n", &[7], 0))).await;
    let to = route("127.0.0.1", target.address.port());
    let login = Script::tokens(Vec::new()).login;
    let end = login.len() - done(0, 0).len();
    let gateway = Script {
        login: [&login[..end], &to, &login[end..]].concat(),
        ..Script::tokens(Vec::new())
    };
    let gateway = Server::start(gateway).await;
    let mut session = open(&gateway).await;
    assert_eq!(query(&mut session, "SELECT 7").await[0].rows.len(), 1);
    assert_eq!(target.batches(), ["SELECT 7"]);
}

#[tokio::test]
async fn a_cancel_stops_the_server_and_ends_the_connection() {
    let server = Server::start(Script::new(|asked| match asked {
        Asked::Batch { text, .. } if text.starts_with("WAITFOR") => vec![Act::Wait],
        _ => vec![Act::Send(numbers("n", &[1], 0))],
    }))
    .await;
    let capability = capability(config(&server));
    let stopped = scope();
    let mut session = capability.session("test", &stopped).await.unwrap();
    let stopping = async {
        while server.batches().is_empty() {
            tokio::task::yield_now().await;
        }
        let begun = Instant::now();
        stopped.stop(StopReason::Cancelled);
        while server.asked().last() != Some(&Asked::Stop) {
            tokio::task::yield_now().await;
        }
        begun.elapsed()
    };
    let (ended, took) = tokio::join!(all(&mut session, "WAITFOR DELAY '0:10'", &[]), stopping);
    assert!(ended.1.is_err());
    assert!(took < Duration::from_millis(200), "{took:?}");
    session.close().await;
    // A stop that comes late hits nobody else.
    let mut next = capability.session("test", &scope()).await.unwrap();
    query(&mut next, "SELECT 1").await;
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_transaction_is_followed_and_rolled_back_at_the_end() {
    let server = Server::start(Script::new(|asked| {
        let tokens = match asked {
            Asked::Batch { text, .. } if text.starts_with("BEGIN") => {
                [transaction(8, 0x0102_0304_0506), done(0, 0)].concat()
            }
            Asked::Batch { text, .. } if text.contains("ROLLBACK") => {
                [transaction(10, 0x0102_0304_0506), done(0, 0)].concat()
            }
            _ => done(0, 0),
        };
        vec![Act::Send(tokens)]
    }))
    .await;
    let capability = capability(config(&server));
    let mut session = capability.session("test", &scope()).await.unwrap();
    query(&mut session, "BEGIN TRAN").await;
    assert!(session.in_transaction());
    query(&mut session, "DELETE t").await;
    assert!(session.close().await.rolled_back);
    let mut next = capability.session("test", &scope()).await.unwrap();
    assert!(!next.in_transaction());
    query(&mut next, "SELECT 1").await;
    let number = 0x0102_0304_0506;
    assert_eq!(
        server.asked()[1..],
        [
            batch("BEGIN TRAN", 0, false),
            batch("DELETE t", number, false),
            batch("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION", number, false),
            // Nothing of a session is left for the next run.
            batch("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", 0, true),
            batch("SELECT 1", 0, false),
        ]
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_lost_connection_is_told_and_the_next_run_works() {
    let server = Server::start(Script::new(|asked| match asked {
        Asked::Batch { text, .. } if text == "SELECT 0" => {
            let half = numbers("n", &[1, 2, 3], 0);
            vec![Act::Send(half[..20].to_vec()), Act::HangUp]
        }
        _ => vec![Act::Send(numbers("n", &[1], 0))],
    }))
    .await;
    let capability = capability(config(&server));
    let mut session = capability.session("test", &scope()).await.unwrap();
    let (_, result) = all(&mut session, "SELECT 0", &[]).await;
    let detail = detail(result.unwrap_err());
    assert_eq!(detail.code, "connection_failed");
    session.close().await;
    let mut next = capability.session("test", &scope()).await.unwrap();
    assert_eq!(query(&mut next, "SELECT 1").await[0].rows.len(), 1);
}

#[tokio::test]
async fn nonsense_is_told_and_never_followed() {
    let answers: [&[u8]; 5] = [
        b"\x00\x01\x02",
        b"\xD1\x01\x02",
        b"\x81\x01\x00\x00\x00\x00\x00\x00\x00\xF3",
        b"\xAA\x02\x00\x01\x02",
        b"\xFD\x00",
    ];
    for answer in answers {
        let server = Server::start(Script::tokens(answer.to_vec())).await;
        let mut session = open(&server).await;
        let (_, result) = all(&mut session, "SELECT 1", &[]).await;
        let detail = detail(result.unwrap_err());
        assert_eq!(detail.code, "connection_failed", "{answer:?}");
        assert!(detail.message.contains("the server sent"), "{answer:?}");
    }
}

#[tokio::test]
async fn read_only_is_refused_where_no_database_keeps_to_it() {
    let server = Server::start(Script::tokens(Vec::new())).await;
    let mut config = config(&server);
    config.read_only = true;
    let refused = capability(config).session("test", &scope()).await;
    let message = refused.err().unwrap().to_string();
    assert!(message.contains("no read-only sessions"), "{message}");
    assert_eq!(server.connections(), 0);
}
