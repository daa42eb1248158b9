//! Making a connection: to whichever address of the server answers first.

use std::io;
use std::net::SocketAddr;
use std::panic::resume_unwind;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisResult};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::wire::Wire;

/// Where a server is.
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// The task that writes and reads for a connection; it ends with this.
pub(super) struct Driver(AbortHandle);

impl Address {
    /// A connection on which the server has accepted the login.
    pub(super) async fn dial(
        &self,
        login: &RedisConnectionInfo,
        settings: AsyncConnectionConfig,
    ) -> RedisResult<(MultiplexedConnection, Driver)> {
        let addresses = lookup_host((self.host.as_str(), self.port)).await?;
        let socket = connect(addresses).await?;
        socket.set_nodelay(true)?;
        let wire = Wire::new(socket);
        let connected = MultiplexedConnection::new_with_config(login, wire, settings);
        let (connection, driver) = connected.await?;
        let driver = Driver(tokio::spawn(driver).abort_handle());
        Ok((connection, driver))
    }
}

/// Tries all addresses at once: one that never answers keeps nobody from another one.
async fn connect(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    for address in addresses {
        attempts.spawn(TcpStream::connect(address));
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    while let Some(attempt) = attempts.join_next().await {
        match attempt.map_err(JoinError::try_into_panic) {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => last = error,
            // The runtime has no IO driver.
            Err(Ok(panic)) => resume_unwind(panic),
            // The runtime is ending.
            Err(Err(_)) => {}
        }
    }
    Err(last)
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
