//! Making a connection: to whichever address of the server answers first.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::task::Poll;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisResult};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::AbortHandle;

use super::wire::{self, Wire};

/// Where a server is.
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// The task that writes and reads for a connection; it ends with this.
pub(super) struct Driver(AbortHandle);

/// A connection, for those who ask beside the client.
pub(super) type Line = wire::Line<TcpStream>;

/// A connection on which the server has accepted the login.
pub(super) struct Dialled {
    pub(super) connection: MultiplexedConnection,
    pub(super) line: Line,
    pub(super) driver: Driver,
}

impl Address {
    pub(super) async fn dial(
        &self,
        login: &RedisConnectionInfo,
        settings: AsyncConnectionConfig,
    ) -> RedisResult<Dialled> {
        let addresses = lookup_host((self.host.as_str(), self.port)).await?;
        let socket = connect(addresses).await?;
        socket.set_nodelay(true)?;
        let wire = Wire::new(socket);
        let line = wire.line();
        let connected = MultiplexedConnection::new_with_config(login, wire, settings);
        let (connection, driver) = connected.await?;
        let driver = Driver(tokio::spawn(driver).abort_handle());
        Ok(Dialled {
            connection,
            line,
            driver,
        })
    }
}

/// Tries all addresses at once: one that never answers keeps nobody from another one. In no task of their own, which would end
/// before this does where the runtime ends, as if nobody were there.
async fn connect(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let attempts = addresses.map(|address| Box::pin(TcpStream::connect(address)));
    let mut attempts: Vec<_> = attempts.collect();
    let mut last = None;
    poll_fn(|context| {
        let mut connected = None;
        attempts.retain_mut(|attempt| {
            if connected.is_some() {
                return true;
            }
            match attempt.as_mut().poll(context) {
                Poll::Pending => return true,
                Poll::Ready(Ok(socket)) => connected = Some(socket),
                Poll::Ready(Err(error)) => last = Some(error),
            }
            false
        });
        match connected {
            Some(socket) => Poll::Ready(Ok(socket)),
            None if attempts.is_empty() => {
                let nowhere = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                Poll::Ready(Err(last.take().unwrap_or_else(nowhere)))
            }
            None => Poll::Pending,
        }
    })
    .await
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_address_at_which_nobody_is_keeps_nobody_from_another_one() {
        let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = here.local_addr().unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nowhere = gone.local_addr().unwrap();
        drop(gone);

        for addresses in [
            vec![there],
            vec![nowhere, there],
            vec![nowhere, nowhere, there],
        ] {
            let socket = connect(addresses.into_iter()).await.unwrap();
            assert_eq!(socket.peer_addr().unwrap(), there);
        }
        let error = connect([nowhere].into_iter()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(connect(std::iter::empty()).await.is_err());
    }
}
