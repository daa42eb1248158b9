//! A proxy that counts round trips: how often a client speaks after it was answered.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::candidate::Outcome;

/// Lives as long as the process, which measures nothing else.
#[derive(Debug, Clone)]
pub struct Proxy {
    port: u16,
    trips: Arc<AtomicU64>,
}

impl Proxy {
    /// In front of the server at an address of the form `redis://host:port/..`.
    pub fn open(redis: &str) -> Outcome<Self> {
        let server = redis.trim_start_matches("redis://");
        let server = server.split('/').next().unwrap_or(server).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let proxy = Self {
            port: listener.local_addr()?.port(),
            trips: Arc::default(),
        };
        let trips = Arc::clone(&proxy.trips);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(&server) {
                    let _ = join(client, server, &trips);
                }
            }
        });
        Ok(proxy)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// On all connections together, so far.
    pub fn round_trips(&self) -> u64 {
        self.trips.load(Ordering::SeqCst)
    }
}

fn join(client: TcpStream, server: TcpStream, trips: &Arc<AtomicU64>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let asking = Arc::new(AtomicBool::new(false));
    let (to_server, to_client) = (server.try_clone()?, client.try_clone()?);
    let (asked, answered, trips) = (Arc::clone(&asking), asking, Arc::clone(trips));
    std::thread::spawn(move || {
        pump(client, to_server, || {
            if !asked.swap(true, Ordering::SeqCst) {
                trips.fetch_add(1, Ordering::SeqCst);
            }
        });
    });
    std::thread::spawn(move || {
        pump(server, to_client, || {
            answered.store(false, Ordering::SeqCst)
        });
    });
    Ok(())
}

/// `seen` is told of each piece before it goes on.
fn pump(mut from: TcpStream, mut to: TcpStream, seen: impl Fn()) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        seen();
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
