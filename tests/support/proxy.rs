//! A TCP proxy on a loopback port, with the faults of a real network to switch on.

mod pump;

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use self::pump::{Way, pump};
use super::server::free_listener;
use super::wait_until;

/// What the network does, to open connections and to new ones.
///
/// Those that take an answer for a whole are to be set while none is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: bytes pass, both ways.
    None,
    /// Every read, in each direction, is passed on this much later.
    Delay(Duration),
    /// Connections open, bytes go in, none come out. A connection that lost bytes is closed when
    /// the fault ends: TCP loses none in the middle, so a client must never see that.
    BlackHole,
    /// The same for what the client sends alone.
    LoseRequests,
    /// The same for what the server sends alone: what is asked for happens.
    LoseAnswers,
    /// Nobody listens, and open connections are closed.
    Refuse,
    /// Each connection brings the client this many more bytes, then closes.
    CutAfter(usize),
    /// Connections are reset: the open ones, and new ones once accepted.
    Reset,
    /// The server's end of each open connection is gone and the client is not told. New connections are good.
    HalfOpen,
    /// The first byte of every answer is inverted, so that it is no RESP.
    Garble,
    /// These bytes come instead of every answer.
    Replace(&'static str),
    /// They come instead of one answer on each connection.
    ReplaceOne(&'static str),
    /// What the server sends comes byte by byte, so far apart.
    Drip(Duration),
    /// What the server sends comes at no more than so many bytes a millisecond.
    Throttle(usize),
    /// One answer on each connection is lost, and those after it are not. No network does that, a program in between can.
    Swallow,
    /// One answer on each connection comes twice.
    Repeat,
}

/// Stands between clients and the server at `upstream`; gone, with its connections, when dropped.
///
/// It runs on a thread of its own, so a test's runtime may block, or have its clock paused.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    switch: Arc<Switch>,
    counts: Arc<Counts>,
}

/// Where faults are switched, by the test or by what a client asks.
#[derive(Debug)]
struct Switch {
    /// The fault, and how often it was switched.
    fault: watch::Sender<(Fault, u64)>,
    /// What is switched to once a client sends these bytes.
    trap: Mutex<Option<(&'static str, Fault)>>,
}

impl Switch {
    /// Answers which switch it was.
    fn to(&self, fault: Fault) -> u64 {
        let mut number = 0;
        self.fault.send_modify(|(current, switched)| {
            *current = fault;
            *switched += 1;
            number = *switched;
        });
        number
    }

    /// Answers whether what the client sends has switched.
    fn asked(&self, bytes: &[u8]) -> bool {
        let mut trap = self.trap();
        let sprung = trap.take_if(|(asked, _)| {
            let asked = asked.as_bytes();
            bytes.windows(asked.len()).any(|window| window == asked)
        });
        if let Some((_, fault)) = sprung {
            self.to(fault);
        }
        sprung.is_some()
    }

    fn trap(&self) -> MutexGuard<'_, Option<(&'static str, Fault)>> {
        self.trap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Counts {
    switched: AtomicU64,
    accepted: AtomicU64,
    open: AtomicU64,
    upstream: AtomicU16,
}

impl Proxy {
    /// A faultless proxy for the server at that loopback port.
    pub fn start(upstream: u16) -> Self {
        let listener = free_listener();
        let port = listener.local_addr().expect("it is bound").port();
        let (fault, faults) = watch::channel((Fault::None, 0));
        let switch = Arc::new(Switch {
            fault,
            trap: Mutex::default(),
        });
        let counts = Arc::<Counts>::default();
        counts.upstream.store(upstream, Ordering::Relaxed);
        let accepting = accept_all(
            listener,
            faults,
            Arc::downgrade(&switch),
            Arc::clone(&counts),
        );
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().expect("a runtime");
            // It ends when the proxy, and with it the sender of faults, is dropped.
            let _ = runtime.block_on(accepting);
        });
        Self {
            port,
            switch,
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

    /// What the network does now.
    pub fn fault(&self) -> Fault {
        self.switch.fault.borrow().0
    }

    /// Leads new connections to the server at another port.
    pub fn lead_to(&self, upstream: u16) {
        self.counts.upstream.store(upstream, Ordering::Relaxed);
    }

    /// How many connections it has accepted so far.
    pub fn accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::Relaxed)
    }

    /// How many connections neither side has closed.
    pub fn open(&self) -> u64 {
        self.counts.open.load(Ordering::Relaxed)
    }

    /// Switches to another fault, in force for new connections and new bytes when this returns.
    ///
    /// A fault that closes the open connections has closed them by then: were the next one set before each had seen this one,
    /// they would live on.
    pub fn set(&self, fault: Fault) {
        *self.switch.trap() = None;
        let number = self.switch.to(fault);
        let applied = || self.counts.switched.load(Ordering::Acquire) >= number;
        wait_until(applied, "the proxy has switched");
        if matches!(fault, Fault::Refuse | Fault::Reset) {
            wait_until(|| self.open() == 0, "the open connections are closed");
        }
    }

    /// Switches to another fault once a client sends these bytes, in force for them too.
    pub fn set_once_asked(&self, asked: &'static str, fault: Fault) {
        *self.switch.trap() = Some((asked, fault));
    }
}

async fn accept_all(
    listener: std::net::TcpListener,
    mut faults: watch::Receiver<(Fault, u64)>,
    switch: Weak<Switch>,
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
                let (fault, number) = *faults.borrow_and_update();
                if fault == Fault::Refuse {
                    listener = None;
                } else if listener.is_none() {
                    listener = Some(TcpListener::bind(address).await?);
                }
                // Pairs with the load in `set`: whoever sees it sees the listener as it is now.
                counts.switched.store(number, Ordering::Release);
            }
            client = accept(listener.as_ref()) => {
                let client = client?;
                counts.accepted.fetch_add(1, Ordering::Relaxed);
                let open = Open::new(&counts);
                let upstream = counts.upstream.load(Ordering::Relaxed);
                let (faults, switch) = (faults.clone(), Weak::clone(&switch));
                tokio::spawn(async move {
                    let _ = connection(client, upstream, faults, switch).await;
                    drop(open);
                });
            }
        }
    }
}

/// Counted while it lives.
struct Open(Arc<Counts>);

impl Open {
    fn new(counts: &Arc<Counts>) -> Self {
        counts.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counts))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
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
    faults: watch::Receiver<(Fault, u64)>,
    switch: Weak<Switch>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    if faults.borrow().0 != Fault::Reset {
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let passed = async {
            tokio::select! {
                _ = pump(from_client, to_server, Way::There, faults.clone(), &switch) => {}
                _ = pump(from_server, to_client, Way::Back, faults.clone(), &switch) => {}
            }
        };
        let lost = tokio::select! {
            () = passed => false,
            () = half_opened(faults.clone()) => true,
        };
        if lost {
            drop(server);
            lose_all(&mut client, faults.clone()).await?;
        }
    }
    if faults.borrow().0 == Fault::Reset {
        client.set_zero_linger()?;
    }
    Ok(())
}

/// Waits until open connections lose their server.
async fn half_opened(mut faults: watch::Receiver<(Fault, u64)>) {
    // What has been seen when it was accepted does not count: those that are opened under that fault are good.
    while faults.changed().await.is_ok() {
        if faults.borrow_and_update().0 == Fault::HalfOpen {
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// Takes what the client sends, and answers nothing, until the fault ends or the client goes.
async fn lose_all(
    client: &mut TcpStream,
    mut faults: watch::Receiver<(Fault, u64)>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    while faults.borrow_and_update().0 == Fault::HalfOpen {
        tokio::select! {
            changed = faults.changed() => if changed.is_err() {
                return Ok(());
            },
            length = client.read(&mut buffer) => if length? == 0 {
                return Ok(());
            },
        }
    }
    Ok(())
}
