//! Packets (MS-TDS 2.2.3): messages cut into them, and read from them. Never
//! looks into a message.

use std::io;

use bytes::{BufMut, BytesMut};
use tds_protocol::packet::{PACKET_HEADER_SIZE, PacketHeader, PacketStatus, PacketType};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What a connection to a server is made of, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The size of packets before another one was agreed on.
pub(super) const FIRST_PACKETS: usize = 4096;

/// Sends one message.
pub(super) async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: PacketType,
    first: PacketStatus,
    message: &[u8],
    packets: usize,
) -> io::Result<()> {
    let most = packets - PACKET_HEADER_SIZE;
    let mut bytes = BytesMut::with_capacity(message.len() + PACKET_HEADER_SIZE);
    let mut rest = message;
    let mut status = first;
    let mut number = 1_u8;
    loop {
        let (part, after) = rest.split_at(rest.len().min(most));
        if after.is_empty() {
            status |= PacketStatus::END_OF_MESSAGE;
        }
        let length = part.len() + PACKET_HEADER_SIZE;
        let length = u16::try_from(length).map_err(io::Error::other)?;
        PacketHeader::new(kind, status, length)
            .with_packet_id(number)
            .encode(&mut bytes);
        bytes.put_slice(part);
        if after.is_empty() {
            break;
        }
        (rest, status) = (after, PacketStatus::NORMAL);
        number = number.wrapping_add(1);
    }
    stream.write_all(&bytes).await?;
    stream.flush().await
}

/// Puts what the next packet holds behind what is in `into`. Whether it is the
/// last one of its message.
pub(super) async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    into: &mut BytesMut,
) -> io::Result<bool> {
    let mut header = [0; PACKET_HEADER_SIZE];
    stream.read_exact(&mut header).await?;
    let header = PacketHeader::decode(&mut &header[..]).map_err(io::Error::other)?;
    let length = header.payload_length();
    let before = into.len();
    into.resize(before + length, 0);
    stream.read_exact(&mut into[before..]).await?;
    Ok(header.is_end_of_message())
}

/// One whole message, of not more than so many bytes.
pub(super) async fn message(
    stream: &mut (impl AsyncRead + Unpin),
    most: usize,
) -> io::Result<BytesMut> {
    let mut bytes = BytesMut::new();
    while !receive(stream, &mut bytes).await? {
        if bytes.len() > most {
            return Err(io::Error::other("the server's message has no end"));
        }
    }
    Ok(bytes)
}
