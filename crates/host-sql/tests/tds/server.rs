//! A server for the tests: logins, batches and calls are read and kept, and
//! answered by a script.

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::tokens::{ATTENTION, changed, done, welcome};

/// Kinds of messages.
const BATCH: u8 = 0x01;
const CALL: u8 = 0x03;
const ANSWER: u8 = 0x04;
const STOP: u8 = 0x06;
const LOGIN: u8 = 0x10;
pub(crate) const HELLO: u8 = 0x12;

/// A part of an answer.
#[derive(Clone)]
pub(crate) enum Act {
    Send(Vec<u8>),
    /// These tokens for ever, until the client stops them.
    Repeat(Vec<u8>),
    /// Nothing, until the client stops it.
    Wait,
    /// Ends the connection.
    HangUp,
}

/// What a client asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// User, password, database.
    Login(String, String, String),
    Batch {
        text: String,
        transaction: u64,
        reset: bool,
    },
    /// The bytes of a call behind its headers.
    Call(Vec<u8>),
    Stop,
}

/// A connection of any kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection that is being opened.
pub(crate) type Opening = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>>> + Send>>;

/// Puts TLS on a connection.
pub(crate) type Secure = Arc<dyn Fn(TcpStream) -> Opening + Send + Sync>;

/// Answers a batch or call.
type Answers = Arc<dyn Fn(&Asked) -> Vec<Act> + Send + Sync>;

/// How the server behaves.
#[derive(Clone)]
pub(crate) struct Script {
    /// What it answers to a batch or call.
    pub(crate) answer: Answers,
    /// What it answers to a login.
    pub(crate) login: Vec<u8>,
    /// Bytes in one packet of an answer.
    pub(crate) packets: usize,
    /// The encryption it offers: 0 off, 1 on, 2 not supported, 3 required.
    pub(crate) encryption: u8,
    pub(crate) secure: Option<Secure>,
}

impl Script {
    pub(crate) fn new(answer: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self {
            answer: Arc::new(answer),
            login: [
                changed(1, "test", "master"),
                changed(4, "8000", "4096"),
                welcome(),
                done(0, 0),
            ]
            .concat(),
            packets: 4000,
            encryption: 2,
            secure: None,
        }
    }

    /// Always the same tokens.
    pub(crate) fn tokens(tokens: Vec<u8>) -> Self {
        Self::new(move |_| vec![Act::Send(tokens.clone())])
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new(0));
        let (kept, counted) = (Arc::clone(&asked), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *counted.lock().unwrap() += 1;
                let (script, kept) = (script.clone(), Arc::clone(&kept));
                open.spawn(async move { drop(converse(stream, script, kept).await) });
            }
        });
        Self {
            address,
            asked,
            connections,
            task,
        }
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The texts of the batches so far.
    pub(crate) fn batches(&self) -> Vec<String> {
        let asked = self.asked();
        let texts = asked.into_iter().filter_map(|asked| match asked {
            Asked::Batch { text, .. } => Some(text),
            _ => None,
        });
        texts.collect()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

type Kept = Arc<Mutex<Vec<Asked>>>;

async fn converse(mut stream: TcpStream, script: Script, kept: Kept) -> Result<()> {
    stream.set_nodelay(true)?;
    let (kind, _, _hello) = message(&mut stream).await?;
    assert_eq!(kind, HELLO);
    // Two options, VERSION and ENCRYPTION, then their values.
    let mut hello = vec![0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF];
    hello.extend([16, 0, 0, 1, 0, 0, script.encryption]);
    send(&mut stream, ANSWER, &hello, 4096).await?;
    let stream: Box<dyn Stream> = match &script.secure {
        Some(secure) => secure(stream).await?,
        None => Box::new(stream),
    };
    serve(stream, script, kept).await
}

async fn serve(stream: Box<dyn Stream>, script: Script, kept: Kept) -> Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (bring, mut messages) = mpsc::channel(8);
    // A statement is stopped while its answer is being sent.
    let reading = tokio::spawn(async move {
        while let Ok(message) = message(&mut reader).await {
            if bring.send(message).await.is_err() {
                break;
            }
        }
    });
    while let Some((kind, status, bytes)) = messages.recv().await {
        let asked = read(kind, status, &bytes);
        kept.lock().unwrap().push(asked.clone());
        match asked {
            Asked::Login(..) => send(&mut writer, ANSWER, &script.login, script.packets).await?,
            // It came when the answer had ended.
            Asked::Stop => {
                send(&mut writer, ANSWER, &done(ATTENTION, 0), script.packets).await?;
            }
            asked => {
                let acts = (script.answer)(&asked);
                if !answer(&mut writer, acts, &script, &mut messages, &kept).await? {
                    break;
                }
            }
        }
    }
    reading.abort();
    writer.shutdown().await
}

/// False when the connection is to end.
async fn answer(
    writer: &mut (impl AsyncWrite + Unpin),
    acts: Vec<Act>,
    script: &Script,
    messages: &mut mpsc::Receiver<(u8, u8, Vec<u8>)>,
    kept: &Kept,
) -> Result<bool> {
    let mut tokens = Vec::new();
    for act in acts {
        match act {
            Act::Send(more) => tokens.extend(more),
            Act::HangUp => {
                packets(writer, ANSWER, &tokens, script.packets, false).await?;
                return Ok(false);
            }
            Act::Wait => {
                packets(writer, ANSWER, &tokens, script.packets, false).await?;
                stopped(messages.recv().await, kept)?;
                send(writer, ANSWER, &done(ATTENTION, 0), script.packets).await?;
                return Ok(true);
            }
            Act::Repeat(more) => {
                packets(writer, ANSWER, &tokens, script.packets, false).await?;
                loop {
                    tokio::select! {
                        biased;
                        message = messages.recv() => break stopped(message, kept)?,
                        sent = packets(writer, ANSWER, &more, script.packets, false) => sent?,
                    }
                }
                send(writer, ANSWER, &done(ATTENTION, 0), script.packets).await?;
                return Ok(true);
            }
        }
    }
    send(writer, ANSWER, &tokens, script.packets).await?;
    Ok(true)
}

fn stopped(message: Option<(u8, u8, Vec<u8>)>, kept: &Kept) -> Result<()> {
    let (kind, ..) = message.ok_or_else(|| Error::other("the client is gone"))?;
    assert_eq!(
        kind, STOP,
        "only a stop may come in the middle of an answer"
    );
    kept.lock().unwrap().push(Asked::Stop);
    Ok(())
}

fn read(kind: u8, status: u8, bytes: &[u8]) -> Asked {
    match kind {
        LOGIN => login(bytes),
        BATCH => {
            let (transaction, rest) = headers(bytes);
            let text = from_utf16(rest);
            let reset = status & 0x08 != 0;
            Asked::Batch {
                text,
                transaction,
                reset,
            }
        }
        CALL => Asked::Call(headers(bytes).1.to_vec()),
        STOP => Asked::Stop,
        other => panic!("a message of the kind {other}"),
    }
}

/// ALL_HEADERS: the transaction, and what follows.
fn headers(bytes: &[u8]) -> (u64, &[u8]) {
    let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    assert_eq!(length, 22);
    assert_eq!(bytes[4..10], [18, 0, 0, 0, 2, 0]);
    let transaction = u64::from_le_bytes(bytes[10..18].try_into().unwrap());
    (transaction, &bytes[length..])
}

/// LOGIN7: texts lie where a table of offsets says.
fn login(bytes: &[u8]) -> Asked {
    let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    assert_eq!(length, bytes.len());
    assert_eq!(bytes[4..8], [4, 0, 0, 0x74], "TDS 7.4");
    let part = |at: usize| {
        let number = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let (start, units) = (number(at), number(at + 2));
        &bytes[start..start + 2 * units]
    };
    let password: Vec<u8> = part(44)
        .iter()
        .map(|byte| (byte ^ 0xA5).rotate_left(4))
        .collect();
    Asked::Login(
        from_utf16(part(40)),
        from_utf16(&password),
        from_utf16(part(68)),
    )
}

pub(crate) fn from_utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2);
    let units: Vec<u16> = units
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    String::from_utf16(&units).unwrap()
}

/// A message: its kind, the first packet's status, what it holds.
async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Result<(u8, u8, Vec<u8>)> {
    let (mut bytes, mut first) = (Vec::new(), None);
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header).await?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let before = bytes.len();
        bytes.resize(before + length - 8, 0);
        stream.read_exact(&mut bytes[before..]).await?;
        first.get_or_insert(header[1]);
        if header[1] & 1 == 1 {
            return Ok((header[0], first.unwrap(), bytes));
        }
    }
}

async fn send(
    writer: &mut (impl AsyncWrite + Unpin),
    kind: u8,
    bytes: &[u8],
    most: usize,
) -> Result<()> {
    packets(writer, kind, bytes, most, true).await
}

async fn packets(
    writer: &mut (impl AsyncWrite + Unpin),
    kind: u8,
    bytes: &[u8],
    most: usize,
    last: bool,
) -> Result<()> {
    let mut rest = bytes;
    let mut sent = Vec::new();
    while !rest.is_empty() || (last && bytes.is_empty()) {
        let (part, after) = rest.split_at(rest.len().min(most));
        let length = u16::try_from(part.len() + 8).unwrap().to_be_bytes();
        let status = u8::from(last && after.is_empty());
        sent.extend([kind, status, length[0], length[1], 0, 51, 1, 0]);
        sent.extend(part);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    writer.write_all(&sent).await?;
    writer.flush().await
}
