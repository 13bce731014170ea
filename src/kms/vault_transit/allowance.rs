//! How much a server may say.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes of a TLS handshake: some 4 KiB are a chain of certificates.
/// With one read more, it is what rustls rounds its buffer up to, 32 KiB.
pub(super) const HANDSHAKE_MAX: usize = 28 * 1024;

/// How many bytes, as they come from the network, may yet come. Shared with the
/// stream that they come from.
///
/// rustls alone would buffer handshake messages of 64 KiB, and whatever reads
/// above it buffers the same bytes again. What a connection can cost is therefore
/// bounded here, below all of them: the heap that they are on is fixed, and a
/// server that could overflow it would end this process.
#[derive(Clone)]
pub(super) struct Allowance(Arc<AtomicUsize>);

/// A stream that fails once its allowance is used up.
pub(super) struct Allowed<S> {
    stream: S,
    allowance: Allowance,
}

/// The server said more than it may.
#[derive(Debug, thiserror::Error)]
#[error("the server sent too much at a time")]
pub(super) struct TooMuch;

impl Allowance {
    pub(super) fn of(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// From now on, so many may come.
    pub(super) fn renew(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn over<S>(&self, stream: S) -> Allowed<S> {
        Allowed { stream, allowance: self.clone() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Allowed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let came = buffer.filled().len() - before;
        let left = &self.allowance.0;
        match left.load(Ordering::Relaxed).checked_sub(came) {
            Some(rest) => left.store(rest, Ordering::Relaxed),
            None => return Poll::Ready(Err(io::Error::other(TooMuch))),
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Allowed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn it_ends_and_is_renewed() {
        let allowance = Allowance::of(100);
        let mut stream = allowance.over(tokio::io::repeat(0));
        let mut all = [0; 100];
        stream.read_exact(&mut all).await.unwrap();
        let error = stream.read_u8().await.unwrap_err();
        assert!(error.get_ref().unwrap().is::<TooMuch>());
        allowance.renew(100);
        stream.read_exact(&mut all).await.unwrap();
        stream.read_u8().await.unwrap_err();
    }
}
