//! A socket whose answers leave together: those to requests of one breath go out with one write, when the server wants to
//! read on, waits for a decision, closes, or has a bufferful.
//!
//! hyper's own way of that (`pipeline_flush`) throws answers away when a malformed request follows them, and buffers
//! without bound for a client that never reads.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Answers that wait to leave, bytes; beyond it nothing is answered before the client has read.
const UNSENT: usize = 64 << 10;

/// The socket and what has not left yet.
pub struct Together {
    socket: TokioIo<TcpStream>,
    unsent: BytesMut,
    /// The server has taken all that came and waits for more: nothing else will come to go along.
    hungry: bool,
}

impl Together {
    /// Around a socket.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        Self { socket: TokioIo::new(stream), unsent: BytesMut::new(), hungry: false }
    }

    /// The socket, to be closed.
    #[must_use]
    pub fn into_inner(self) -> TcpStream {
        self.socket.into_inner()
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_write(context, &self.unsent))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.unsent.advance(sent),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Read for Together {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context))?;
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        self.hungry = read.is_pending();
        read
    }
}

impl Write for Together {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.unsent.len() >= UNSENT {
            ready!(self.poll_send(context))?;
        }
        for part in parts {
            self.unsent.extend_from_slice(part);
        }
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is kept leaves with the next read, which follows every answer.
        if self.hungry { self.poll_send(context) } else { Poll::Ready(Ok(())) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
