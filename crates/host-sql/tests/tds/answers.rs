//! The server of the tests is understood by a client of other people, so what
//! it says is what a SQL Server says.

use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncWriteCompatExt;

use crate::server::{Act, Asked, Script, Server};
use crate::tokens::{ERROR, MORE, Said, changed, done, numbers, transaction};

async fn client(server: &Server) -> Client<tokio_util::compat::Compat<TcpStream>> {
    let mut config = Config::new();
    config.host("127.0.0.1");
    config.port(server.address.port());
    config.database("test");
    config.authentication(AuthMethod::sql_server("sa", "secret"));
    config.encryption(EncryptionLevel::NotSupported);
    let stream = TcpStream::connect(server.address).await.unwrap();
    Client::connect(config, stream.compat_write())
        .await
        .unwrap()
}

#[tokio::test]
async fn another_client_understands_the_server_of_the_tests() {
    let server = Server::start(Script::new(|asked| {
        let tokens = match asked {
            Asked::Batch { text, .. } if text.contains("fails") => {
                [Said::new(547, 16, "said").at(3).token(), done(ERROR, 0)].concat()
            }
            Asked::Batch { .. } => [
                changed(1, "other", "test"),
                transaction(8, 77),
                Said::new(0, 0, "printed").token(),
                numbers("first", &[1, 2], MORE),
                numbers("second", &[3], MORE),
                transaction(9, 77),
                done(0, 0),
            ]
            .concat(),
            _ => numbers("n", &[1], 0),
        };
        vec![Act::Send(tokens)]
    }))
    .await;
    let mut client = client(&server).await;
    let results = client.simple_query("SELECT both").await.unwrap();
    let results = results.into_results().await.unwrap();
    let found: Vec<Vec<i32>> = results
        .iter()
        .map(|rows| rows.iter().map(|row| row.get(0).unwrap()).collect())
        .collect();
    assert_eq!(found, [vec![1, 2], vec![3]]);
    let failed = client.simple_query("fails").await.map(drop).unwrap_err();
    let tiberius::error::Error::Server(said) = failed else {
        panic!("{failed:?}");
    };
    assert_eq!((said.code(), said.line(), said.message()), (547, 3, "said"));
    assert_eq!(server.batches(), ["SELECT both", "fails"]);
}

#[tokio::test]
async fn another_client_can_stop_the_server_of_the_tests() {
    let server = Server::start(Script::new(|asked| match asked {
        Asked::Batch { text, .. } if text == "wait" => {
            vec![Act::Send(numbers("n", &[1], MORE)), Act::Wait]
        }
        _ => vec![Act::Send(numbers("n", &[2], 0))],
    }))
    .await;
    let mut client = client(&server).await;
    drop(client.simple_query("wait").await.unwrap());
    client.cancel_query().await.unwrap();
    assert_eq!(server.asked().last(), Some(&Asked::Stop));
    let row = client.simple_query("SELECT 2").await.unwrap();
    let row = row.into_row().await.unwrap().unwrap();
    assert_eq!(row.get::<i32, _>(0), Some(2));
}
