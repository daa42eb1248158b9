//! What stands where the cache looks for Redis: a relay that can be turned to another server, and programs that are none.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Accepts connections on a port of its own and does the same with each, until it is dropped.
#[derive(Debug)]
struct Listener {
    port: u16,
    accepted: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    fn start(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (accepted, ends) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, end) = (Arc::clone(&accepted), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let serve = serve.clone();
                std::thread::spawn(move || serve(client));
            }
        });
        Self {
            port,
            accepted,
            ends,
            thread: Some(thread),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // It is waiting for the next connection.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One address behind which servers take each other's place, as after a failover: a connection stays with the server that it
/// was made to.
#[derive(Debug)]
pub struct Relay {
    listener: Listener,
    upstream: Arc<AtomicU16>,
}

impl Relay {
    pub fn to(port: u16) -> Self {
        let upstream = Arc::new(AtomicU16::new(port));
        let target = Arc::clone(&upstream);
        let listener = Listener::start(move |client| {
            let port = target.load(Ordering::SeqCst);
            if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                let _ = relay(&client, &server);
            }
        });
        Self { listener, upstream }
    }

    /// Where new connections lead from here on.
    pub fn turn_to(&self, port: u16) {
        self.upstream.store(port, Ordering::SeqCst);
    }

    /// How many connections there have been.
    pub fn accepted(&self) -> u64 {
        self.listener.accepted.load(Ordering::SeqCst)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.listener.port)
    }
}

/// Passes on what comes from either side, until one of them ends.
fn relay(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let back = {
        let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
        std::thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        })
    };
    let (mut from, mut to) = (client, server);
    let _ = io::copy(&mut from, &mut to);
    server.shutdown(Shutdown::Both)?;
    let _ = back.join();
    Ok(())
}

/// A program that is not Redis: it answers whatever comes with the same bytes, and ends the connection.
#[derive(Debug)]
pub struct Impostor(Listener);

impl Impostor {
    pub fn saying(answer: &'static [u8]) -> Self {
        Self(Listener::start(move |mut client| {
            let mut question = [0; 4096];
            if answer.is_empty() || client.read(&mut question).is_ok() {
                let _ = client.write_all(answer);
            }
            // Said to the end: closing with something unread would take back what was written.
            let _ = client.shutdown(Shutdown::Write);
            while client.read(&mut question).is_ok_and(|length| length > 0) {}
        }))
    }

    pub fn port(&self) -> u16 {
        self.0.port
    }
}
