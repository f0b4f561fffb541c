//! TLS on the server's side: the handshake comes in packets of the first
//! message's kind, everything after it comes bare.

use std::io::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jobcell_host_sql::{Tls, TlsMode};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::server::{HELLO, Script, Server, Stream};
use crate::support::{capability, config, query, scope};
use crate::tokens::numbers;

/// The kind of TLS records after the handshake.
const APPLICATION: u8 = 0x17;

async fn accept(stream: TcpStream, acceptor: TlsAcceptor) -> Result<TlsStream<DuplexStream>> {
    let (inner, outer) = tokio::io::duplex(1 << 16);
    let over = Arc::new(AtomicBool::new(false));
    tokio::spawn(carry(stream, outer, Arc::clone(&over)));
    let stream = acceptor.accept(inner).await?;
    over.store(true, Ordering::SeqCst);
    Ok(stream)
}

/// Carries bytes between the two, with and without packets around them.
async fn carry(stream: TcpStream, outer: DuplexStream, over: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = stream.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(outer);
    let inwards = async {
        let mut header = [0; 5];
        loop {
            from_client.read_exact(&mut header).await?;
            let length = if header[0] == HELLO {
                let length = usize::from(u16::from_be_bytes([header[2], header[3]])) - 8;
                let mut rest = [0; 3];
                from_client.read_exact(&mut rest).await?;
                length
            } else {
                assert!(
                    over.load(Ordering::SeqCst),
                    "a bare record in the handshake"
                );
                to_server.write_all(&header).await?;
                usize::from(u16::from_be_bytes([header[3], header[4]]))
            };
            let mut bytes = vec![0; length];
            from_client.read_exact(&mut bytes).await?;
            to_server.write_all(&bytes).await?;
        }
        #[expect(unreachable_code, reason = "tells the type of the errors")]
        Result::Ok(())
    };
    let outwards = async {
        let mut header = [0; 5];
        loop {
            from_server.read_exact(&mut header).await?;
            let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
            let mut record = header.to_vec();
            record.resize(5 + length, 0);
            from_server.read_exact(&mut record[5..]).await?;
            if header[0] != APPLICATION {
                let length = u16::try_from(record.len() + 8).unwrap().to_be_bytes();
                to_client
                    .write_all(&[HELLO, 1, length[0], length[1], 0, 0, 1, 0])
                    .await?;
            }
            to_client.write_all(&record).await?;
        }
        #[expect(unreachable_code, reason = "tells the type of the errors")]
        Result::Ok(())
    };
    tokio::select! {
        ended = inwards => drop(ended),
        ended = outwards => drop(ended),
    }
}

/// A script that demands TLS, and the certificate that vouches for it.
fn demanding() -> (Script, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![cert.der().clone()],
            PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let script = Script {
        encryption: 3,
        secure: Some(Arc::new(move |stream| {
            let acceptor = acceptor.clone();
            Box::pin(async move {
                let stream = accept(stream, acceptor).await?;
                Ok(Box::new(stream) as Box<dyn Stream>)
            })
        })),
        ..Script::tokens(numbers("n", &[1], 0))
    };
    (script, cert.pem())
}

async fn answers(server: &Server, tls: Tls) -> std::result::Result<(), String> {
    let mut config = config(server);
    "localhost".clone_into(&mut config.host);
    config.tls = tls;
    let session = capability(config).session("test", &scope()).await;
    let mut session = session.map_err(|error| error.to_string())?;
    assert_eq!(query(&mut session, "SELECT 1").await[0].rows.len(), 1);
    Ok(())
}

#[tokio::test]
async fn tls_is_agreed_on_before_the_login() {
    let (script, _) = demanding();
    let server = Server::start(script).await;
    for mode in [TlsMode::Prefer, TlsMode::Require] {
        let tls = Tls {
            mode,
            ca_file: None,
        };
        answers(&server, tls).await.unwrap();
    }
    let refused = Tls {
        mode: TlsMode::Disable,
        ca_file: None,
    };
    let refused = answers(&server, refused).await.unwrap_err();
    assert!(refused.contains("the server wants TLS"), "{refused}");
}

#[tokio::test]
async fn a_certificate_is_checked_where_that_is_asked_for() {
    let (script, certificate) = demanding();
    let server = Server::start(script).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, certificate).unwrap();
    let known = Tls {
        mode: TlsMode::VerifyFull,
        ca_file: Some(file.clone()),
    };
    answers(&server, known).await.unwrap();
    let (other, _) = demanding();
    let stranger = Server::start(other).await;
    let known = Tls {
        mode: TlsMode::VerifyFull,
        ca_file: Some(file),
    };
    let refused = answers(&stranger, known).await.unwrap_err();
    assert!(refused.contains("no TLS connection was made"), "{refused}");
    assert!(refused.contains("certificate"), "{refused}");
}

#[tokio::test]
async fn a_server_without_tls_is_told_where_tls_is_asked_for() {
    let server = Server::start(Script::tokens(numbers("n", &[1], 0))).await;
    let tls = Tls {
        mode: TlsMode::Require,
        ca_file: None,
    };
    let refused = answers(&server, tls).await.unwrap_err();
    assert!(refused.contains("the server has no TLS"), "{refused}");
    // No password went over the line.
    assert!(server.asked().is_empty());
}
