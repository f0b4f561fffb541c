//! The TLS handshake as SQL Server wants it before TDS 8: in packets of the
//! kind of the first message, until it is over (MS-TDS 2.2.6.5). Never decides
//! whom to trust.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tds_protocol::packet::{PACKET_HEADER_SIZE, PacketHeader, PacketStatus, PacketType};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::FIRST_PACKETS;

/// A stream that wraps what it carries until it is told that the handshake is
/// over.
pub(super) struct Wrapped<S> {
    inner: S,
    over: Arc<AtomicBool>,
    /// What is to be sent, not yet in packets.
    written: BytesMut,
    /// What is to be sent, in packets.
    packets: BytesMut,
    header: Vec<u8>,
    /// How much of the present packet is still to come.
    left: usize,
}

impl<S> Wrapped<S> {
    /// The stream, and what ends the wrapping once it is set.
    pub(super) fn new(inner: S) -> (Self, Arc<AtomicBool>) {
        let over = Arc::new(AtomicBool::new(false));
        let wrapped = Self {
            inner,
            over: Arc::clone(&over),
            written: BytesMut::new(),
            packets: BytesMut::new(),
            header: Vec::new(),
            left: 0,
        };
        (wrapped, over)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn pack(&mut self) {
        while !self.written.is_empty() {
            let length = self.written.len().min(FIRST_PACKETS - PACKET_HEADER_SIZE);
            let part = self.written.split_to(length);
            let status = if self.written.is_empty() {
                PacketStatus::END_OF_MESSAGE
            } else {
                PacketStatus::NORMAL
            };
            let length = u16::try_from(length + PACKET_HEADER_SIZE).unwrap_or(u16::MAX);
            PacketHeader::new(PacketType::PreLogin, status, length).encode(&mut self.packets);
            self.packets.extend_from_slice(&part);
        }
    }
}

impl<S: AsyncRead + Unpin> Wrapped<S> {
    /// Reads headers until a packet with something in it begins.
    fn poll_header(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.left == 0 {
            let mut rest = [0; PACKET_HEADER_SIZE];
            let mut buffer = ReadBuf::new(&mut rest[self.header.len()..]);
            ready!(Pin::new(&mut self.inner).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.header.extend_from_slice(buffer.filled());
            if self.header.len() == PACKET_HEADER_SIZE {
                let header = PacketHeader::decode(&mut &self.header[..]);
                self.left = header.map_err(io::Error::other)?.payload_length();
                self.header.clear();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wrapped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.left == 0 {
            if this.is_over() {
                return Pin::new(&mut this.inner).poll_read(context, out);
            }
            ready!(this.poll_header(context))?;
        }
        let mut bytes = [0; FIRST_PACKETS];
        let most = this.left.min(out.remaining()).min(FIRST_PACKETS);
        let mut part = ReadBuf::new(&mut bytes[..most]);
        ready!(Pin::new(&mut this.inner).poll_read(context, &mut part))?;
        this.left -= part.filled().len();
        out.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Wrapped<S> {
    fn poll_packets(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.packets.is_empty() {
            let sent = ready!(Pin::new(&mut self.inner).poll_write(context, &self.packets))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.packets.advance(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wrapped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_over() {
            ready!(self.poll_packets(context))?;
            return Pin::new(&mut self.inner).poll_write(context, bytes);
        }
        // One flight of the handshake is one message: it ends with a flush.
        self.written.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pack();
        ready!(self.poll_packets(context))?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
