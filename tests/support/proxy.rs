//! A TCP proxy on a loopback port, with the faults of a real network to switch on.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::server::free_listener;
use super::wait_until;

/// What the network does, to open connections and to new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: bytes pass, both ways.
    None,
    /// Every read, in each direction, is passed on this much later.
    Delay(Duration),
    /// Connections open, bytes go in, none come out. A connection that lost bytes is closed when
    /// the fault ends: TCP loses none in the middle, so a client must never see that.
    BlackHole,
    /// Nobody listens, and open connections are closed.
    Refuse,
    /// Each connection brings the client this many more bytes, then closes.
    CutAfter(usize),
    /// Connections are reset: the open ones, and new ones once accepted.
    Reset,
    /// The first byte of every answer is inverted, so that it is no RESP.
    Garble,
}

/// Stands between clients and the server at `upstream`; gone, with its connections, when dropped.
///
/// It runs on a thread of its own, so a test's runtime may block, or have its clock paused.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    fault: watch::Sender<Fault>,
    changes: Mutex<u64>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    changes: AtomicU64,
    connections: AtomicU64,
    upstream: AtomicU16,
}

impl Proxy {
    /// A faultless proxy for the server at that loopback port.
    pub fn start(upstream: u16) -> Self {
        let listener = free_listener();
        let port = listener.local_addr().expect("it is bound").port();
        let (fault, faults) = watch::channel(Fault::None);
        let counts = Arc::<Counts>::default();
        counts.upstream.store(upstream, Ordering::Relaxed);
        let accepting = accept_all(listener, faults, Arc::clone(&counts));
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().expect("a runtime");
            // It ends when the proxy, and with it the sender of faults, is dropped.
            let _ = runtime.block_on(accepting);
        });
        Self {
            port,
            fault,
            changes: Mutex::default(),
            counts,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Leads new connections to the server at another port.
    pub fn lead_to(&self, upstream: u16) {
        self.counts.upstream.store(upstream, Ordering::Relaxed);
    }

    /// How many connections it has accepted so far.
    pub fn accepted(&self) -> u64 {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Switches to another fault, in force for new connections and new bytes when this returns.
    pub fn set(&self, fault: Fault) {
        // Held until the end: two changes at once could be seen, and so counted, as one.
        let mut changes = self.changes.lock().expect("no switch has failed");
        *changes += 1;
        self.fault.send_replace(fault);
        let applied = || self.counts.changes.load(Ordering::Acquire) == *changes;
        wait_until(applied, "the proxy has switched");
    }
}

async fn accept_all(
    listener: std::net::TcpListener,
    mut faults: watch::Receiver<Fault>,
    counts: Arc<Counts>,
) -> Result<(), Box<dyn std::error::Error>> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let mut listener = Some(TcpListener::from_std(listener)?);
    loop {
        tokio::select! {
            biased;
            changed = faults.changed() => {
                changed?;
                if *faults.borrow_and_update() == Fault::Refuse {
                    listener = None;
                } else if listener.is_none() {
                    listener = Some(TcpListener::bind(address).await?);
                }
                // Pairs with the load in `set`: whoever sees it sees the listener as it is now.
                counts.changes.fetch_add(1, Ordering::Release);
            }
            client = accept(listener.as_ref()) => {
                counts.connections.fetch_add(1, Ordering::Relaxed);
                let upstream = counts.upstream.load(Ordering::Relaxed);
                tokio::spawn(connection(client?, upstream, faults.clone()));
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(client, _)| client),
        None => std::future::pending().await,
    }
}

/// One client's connection, until either side or a fault ends it.
async fn connection(
    mut client: TcpStream,
    upstream: u16,
    faults: watch::Receiver<Fault>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    if *faults.borrow() != Fault::Reset {
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            _ = pump(from_client, to_server, Way::There, faults.clone()) => {}
            _ = pump(from_server, to_client, Way::Back, faults.clone()) => {}
        }
    }
    if *faults.borrow() == Fault::Reset {
        client.set_zero_linger()?;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    There,
    Back,
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    way: Way,
    mut faults: watch::Receiver<Fault>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut swallowed = false;
    let mut allowance = None;
    loop {
        let length = tokio::select! {
            biased;
            changed = faults.changed() => {
                let fault = *faults.borrow_and_update();
                if changed.is_err() || swallowed || matches!(fault, Fault::Refuse | Fault::Reset) {
                    return Ok(());
                }
                allowance = None;
                continue;
            }
            length = from.read(&mut buffer) => length?,
        };
        let bytes = &mut buffer[..length];
        let fault = *faults.borrow();
        match (fault, way) {
            _ if bytes.is_empty() => return Ok(()),
            (Fault::Refuse | Fault::Reset, _) => return Ok(()),
            (Fault::BlackHole, _) => {
                swallowed = true;
                continue;
            }
            (Fault::CutAfter(limit), Way::Back) => {
                let left = allowance.get_or_insert(limit);
                let passed = bytes.len().min(*left);
                to.write_all(&bytes[..passed]).await?;
                *left -= passed;
                if *left == 0 {
                    return Ok(());
                }
                continue;
            }
            (Fault::Garble, Way::Back) => bytes[0] = !bytes[0],
            (Fault::Delay(delay), _) => tokio::time::sleep(delay).await,
            (Fault::None | Fault::CutAfter(_) | Fault::Garble, _) => {}
        }
        to.write_all(bytes).await?;
    }
}
