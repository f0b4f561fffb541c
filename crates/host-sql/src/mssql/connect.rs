//! Opens connections to a SQL Server (MS-TDS 3.2.5): the first message, TLS,
//! the login. Never runs a job's statements.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use jobcell_sql_text::Dialect;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tds_protocol::Login7;
use tds_protocol::packet::{PacketStatus, PacketType};
use tds_protocol::prelogin::{EncryptionLevel, PreLogin};
use tds_protocol::token::{EnvChange, EnvChangeType, EnvChangeValue};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::answer::{Answer, Piece};
use super::error;
use super::handshake::Wrapped;
use super::link::MsSqlLink;
use super::wire::{self, FIRST_PACKETS, Stream};
use crate::config::{ServerConfig, TlsMode};
use crate::error::SqlError;
use crate::servers::{Link, Server};
use crate::tls;

/// The packets that are asked for: the largest that hold with TLS.
const PACKETS: u32 = 16_383;
/// The most bytes of the server's first message.
const FIRST_MESSAGE: usize = 64 << 10;
/// How often a server may send on to another one.
const MOST_ROUTES: usize = 2;
/// How often the server is asked whether it is still there when nothing moves.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A SQL Server.
pub(crate) struct MsSql(ServerConfig);

/// Where a login led.
enum Login {
    Done(Box<dyn Stream>, usize),
    /// To another server.
    Sent(String, u16),
}

impl MsSql {
    pub(crate) const fn new(config: ServerConfig) -> Self {
        Self(config)
    }

    async fn open(&self, host: &str, port: u16) -> Result<Login, SqlError> {
        let failed = |reason: io::Error| error::unreachable(&self.0, reason);
        let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        keep_alive(&stream).map_err(failed)?;
        let stream = self.secured(stream, host).await?;
        self.log_in(stream).await
    }

    /// Agrees on encryption.
    async fn secured(
        &self,
        mut stream: TcpStream,
        host: &str,
    ) -> Result<Box<dyn Stream>, SqlError> {
        let failed = |reason: io::Error| error::unreachable(&self.0, reason);
        let mode = self.0.tls.mode;
        let wanted = if mode == TlsMode::Disable {
            EncryptionLevel::NotSupported
        } else {
            EncryptionLevel::On
        };
        let hello = PreLogin::new().with_encryption(wanted).encode();
        let (kind, first) = (PacketType::PreLogin, PacketStatus::NORMAL);
        let sent = wire::send(&mut stream, kind, first, &hello, FIRST_PACKETS).await;
        sent.map_err(failed)?;
        let answer = wire::message(&mut stream, FIRST_MESSAGE).await;
        let answer = PreLogin::decode(answer.map_err(failed)?.freeze());
        let answer = answer.map_err(|reason| error::unreachable(&self.0, reason))?;
        let offered = answer.encryption.is_required();
        match mode {
            TlsMode::Disable if offered => Err(error::unreachable(
                &self.0,
                "the server wants TLS; set `tls` to `require` or `verifyFull`",
            )),
            TlsMode::Require | TlsMode::VerifyFull if !offered => Err(error::unreachable(
                &self.0,
                "the server has no TLS; set up a certificate there, or set `tls: disable`",
            )),
            _ if offered => self.encrypted(stream, host).await,
            _ => Ok(Box::new(stream)),
        }
    }

    async fn encrypted(&self, stream: TcpStream, host: &str) -> Result<Box<dyn Stream>, SqlError> {
        // Later versions send of their own accord after the handshake, where
        // this protocol has no place for it.
        let client = tls::client_of(&self.0.tls, &[&rustls::version::TLS12])?;
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|reason| error::unreachable(&self.0, reason))?;
        let (wrapped, over) = Wrapped::new(stream);
        let connecting = TlsConnector::from(Arc::new(client)).connect(name, wrapped);
        let stream = connecting.await.map_err(|reason| {
            error::unreachable(&self.0, format!("no TLS connection was made: {reason}"))
        })?;
        over.store(true, Ordering::Release);
        Ok(Box::new(stream))
    }

    async fn log_in(&self, mut stream: Box<dyn Stream>) -> Result<Login, SqlError> {
        let config = &self.0;
        let password = config.password.as_ref().map_or("", |known| known.reveal());
        let mut login = Login7::new()
            .with_sql_auth(config.username.as_str(), password)
            .with_app_name("jobcell")
            .with_server_name(config.host.as_str())
            .with_packet_size(PACKETS);
        "jobcell".clone_into(&mut login.library_name);
        if let Some(database) = &config.database {
            login = login.with_database(database.as_str());
        }
        let (kind, first) = (PacketType::Tds7Login, PacketStatus::NORMAL);
        let sent = wire::send(&mut stream, kind, first, &login.encode(), FIRST_PACKETS).await;
        sent.map_err(|reason| error::unreachable(config, reason))?;
        self.welcome(stream).await
    }

    /// Reads what the server answers to the login.
    async fn welcome(&self, mut stream: Box<dyn Stream>) -> Result<Login, SqlError> {
        let mut answer = Answer::new(0);
        let (mut refused, mut welcomed, mut route) = (None, false, None);
        let mut packets = FIRST_PACKETS;
        loop {
            let piece = answer.next(&mut stream).await;
            match piece.map_err(|broken| error::unreachable(&self.0, broken))? {
                Some(Piece::Failed(said)) => refused = refused.or(Some(said)),
                Some(Piece::LoggedIn) => welcomed = true,
                Some(Piece::Changed(change)) => match change.env_type {
                    EnvChangeType::PacketSize => packets = size(&change).unwrap_or(packets),
                    EnvChangeType::Routing => {
                        route = change
                            .routing_info()
                            .map(|(host, port)| (host.to_owned(), port));
                    }
                    _ => {}
                },
                Some(_) => {}
                None => break,
            }
        }
        match (refused, route) {
            (Some(said), _) => Err(error::of_login(&said)),
            (None, Some((host, port))) => Ok(Login::Sent(host, port)),
            (None, None) if welcomed => Ok(Login::Done(stream, packets)),
            (None, None) => Err(error::unreachable(
                &self.0,
                "the server did not answer the login",
            )),
        }
    }
}

/// Has the system look whether a silent server is still there.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Another size of packets, where it makes sense.
fn size(change: &EnvChange) -> Option<usize> {
    let EnvChangeValue::String(text) = &change.new_value else {
        return None;
    };
    let size = text.parse().ok()?;
    (512..=32_767).contains(&size).then_some(size)
}

#[async_trait]
impl Server for MsSql {
    async fn connect(&self) -> Result<Box<dyn Link>, SqlError> {
        if self.0.read_only {
            return Err(SqlError::unreachable(
                "SQL Server has no read-only sessions; leave `readOnly` out, and give a user who may only read",
            ));
        }
        let (mut host, mut port) = (self.0.host.clone(), self.0.port.unwrap_or(1433));
        for _ in 0..=MOST_ROUTES {
            match self.open(&host, port).await? {
                Login::Done(stream, packets) => {
                    return Ok(Box::new(MsSqlLink::new(stream, packets)));
                }
                Login::Sent(to, at) => (host, port) = (to, at),
            }
        }
        Err(error::unreachable(
            &self.0,
            "it sends from server to server",
        ))
    }

    fn dialect(&self) -> Dialect {
        Dialect::SqlServer
    }
}
