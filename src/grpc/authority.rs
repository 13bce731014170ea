//! Lets clients connect that name a Unix socket by its path.
//!
//! gRPC's C core (Python, Ruby, PHP, C++), gRPC-Java and others send the path of
//! the socket, or its percent-encoding, as `:authority`. That is no authority
//! (RFC 3986 §3.2), and the HTTP/2 library resets such a stream. Nothing here uses
//! the authority, so this reader changes the bytes in it that no authority may
//! have, before the library sees them.
//!
//! It changes bytes in place and never their number: a field line that the client
//! adds to the compression table keeps its size, so that both sides' tables stay
//! the same (RFC 7541 §4.1). It follows frames (RFC 9113 §4.1) and field lines
//! (RFC 7541 §6) only far enough to find the value; what it does not understand it
//! leaves alone, for the library to refuse. A value in Huffman code is left alone.

mod frames;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use frames::Frames;

/// A connection whose incoming `:authority` values have the form of one.
pub(super) struct LenientAuthority<S> {
    stream: S,
    frames: Frames,
}

impl<S> LenientAuthority<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, frames: Frames::new() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LenientAuthority<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if matches!(polled, Poll::Ready(Ok(()))) {
            let received = buf.filled_mut().get_mut(before..).unwrap_or_default();
            self.frames.follow(received);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LenientAuthority<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
