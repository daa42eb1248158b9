//! cargo run --release --example prefix_cost
//!
//! What invalidating a prefix costs when 1,000, 100,000 and 1,000,000 entries lie under it, as a multiple of a `PING` over
//! the same connection, measured alternately. Uses `REDIS_URL`, of which it fills and clears the prefixes `cost-..`; else it
//! starts a `redis-server` of its own.

use std::fmt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, Mode};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
const ROUNDS: usize = 2_000;

/// A server that ends with the example.
struct Server(Child);

impl Server {
    fn start() -> Outcome<(Self, String)> {
        // The listener is dropped before the server starts; nobody else is likely to take the port in between.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok((Self(server), format!("redis://127.0.0.1:{port}/")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn open(url: &str) -> Outcome<Cache> {
    for _ in 0..100 {
        let cache = Cache::builder()
            .redis_url(url)
            .response_timeout(Duration::from_secs(10))
            .open()
            .await?;
        if cache.mode() == Mode::Redis {
            return Ok(cache);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("no server answers at {url}").into())
}

/// Real entries, as `set` writes them.
async fn fill(cache: &Cache, prefix: &str, entries: usize) -> Outcome<()> {
    let keys: Vec<(String, u64)> = (0..entries)
        .map(|number| (format!("{prefix}:{number}"), number as u64))
        .collect();
    for batch in keys.chunks(5_000) {
        cache.set_many(batch, Duration::from_secs(3_600)).await?;
    }
    Ok(())
}

/// The times of one operation.
struct Times(Vec<Duration>);

impl Times {
    fn sorted(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    fn median(&self) -> f64 {
        micros(self.0[self.0.len() / 2])
    }
}

/// Median, least and most, in microseconds.
impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (self.0[0], self.0[self.0.len() - 1]);
        let text = format!(
            "{:.1} ({:.1} .. {:.1})",
            self.median(),
            micros(least),
            micros(most)
        );
        f.pad(&text)
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let (_server, url) = match std::env::var("REDIS_URL") {
        Ok(url) => (None, url),
        Err(_) => Server::start().map(|(server, url)| (Some(server), url))?,
    };
    let cache = open(&url).await?;
    println!("medians (least .. most) of {ROUNDS} rounds, in microseconds");
    println!(
        "{:>9}{:>30}{:>30}{:>8}",
        "entries", "invalidate_prefix", "PING", "ratio"
    );
    for size in SIZES {
        let prefix = format!("cost-{size}");
        fill(&cache, &prefix, size).await?;
        let (mut invalidations, mut pings) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            // So that each invalidation finds a generation to delete.
            let key = format!("{prefix}:{}", round % size);
            cache.set(&key, &1_u64, Duration::from_secs(3_600)).await?;
            let ping = cache.health().await.round_trip.ok_or("no round trip")?;
            let start = Instant::now();
            let told = cache.invalidate_prefix(&prefix).await?;
            invalidations.push(start.elapsed());
            pings.push(ping);
            assert!(told.is_confirmed(), "{told:?}");
        }
        let first = cache.get::<u64>(&format!("{prefix}:0")).await?;
        assert_eq!(first, None, "it was invalidated");
        let (invalidations, pings) = (Times::sorted(invalidations), Times::sorted(pings));
        let ratio = invalidations.median() / pings.median();
        println!("{size:>9}{invalidations:>30}{pings:>30}{ratio:>8.2}");
    }
    cache.close().await;
    Ok(())
}
