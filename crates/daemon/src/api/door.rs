//! Who may come in: connections of our own user, and not more of them than files can be kept open for.

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time;

/// Connections at the same time; the others wait in the socket's queue. A decision that runs out of descriptors would
/// overlook pins, so this stays far below the limit of 1,024 that systems begin with.
const MOST: usize = 256;

/// How long to wait after an error that another try at once would only repeat.
const PAUSE: Duration = Duration::from_millis(100);

/// Lets connections in, from one listener after the other.
pub(super) struct Door {
    listener: UnixListener,
    replaced: watch::Receiver<Arc<StdListener>>,
    uid: u32,
    room: Arc<Semaphore>,
}

impl Door {
    pub(super) fn new(mut listeners: watch::Receiver<Arc<StdListener>>, uid: u32) -> anyhow::Result<Door> {
        let first = listen(&listeners.borrow_and_update()).context("cannot listen for requests")?;
        Ok(Door { listener: first, replaced: listeners, uid, room: Arc::new(Semaphore::new(MOST)) })
    }

    async fn next(&mut self) -> io::Result<Option<UnixStream>> {
        tokio::select! {
            accepted = self.listener.accept() => {
                let (connection, _) = accepted?;
                let peer = connection.peer_cred()?;
                if peer.uid() == self.uid {
                    return Ok(Some(connection));
                }
                tracing::warn!(uid = peer.uid(), "another user was turned away");
                Ok(None)
            }
            Ok(()) = self.replaced.changed() => {
                self.listener = listen(&self.replaced.borrow_and_update())?;
                Ok(None)
            }
        }
    }
}

fn listen(listener: &StdListener) -> io::Result<UnixListener> {
    UnixListener::from_std(listener.try_clone()?)
}

impl Listener for Door {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        loop {
            let room = Arc::clone(&self.room).acquire_owned().await.expect("the semaphore is never closed");
            match self.next().await {
                Ok(Some(connection)) => match connection.peer_addr() {
                    Ok(address) => return (Guest { connection, _room: room }, address),
                    Err(error) => tracing::debug!(%error, "a client has gone"),
                },
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "no request can be taken");
                    time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection and the room it takes.
pub(super) struct Guest {
    connection: UnixStream,
    _room: OwnedSemaphorePermit,
}

impl AsyncRead for Guest {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}
