//! What is measured. Each scenario runs one candidate in a process of its own, which the driver starts and whose figures it reads.

use std::time::Duration;

use redis::AsyncConnectionConfig;

use crate::candidate::Outcome;
use crate::work::Keys;

mod beside;
mod hits;
mod memory;
mod misses;
mod prefix;
mod proxy;
pub mod scale;
mod sizes;
mod storm;

pub use hits::Load;

/// How long the server may take for what is not measured.
const PATIENCE: Duration = Duration::from_secs(30);

/// One scenario.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Hits by so many tasks on so many threads.
    Hits { keys: Keys, load: Load },
    /// Hits by one task, beside another process that does the same.
    Beside,
    /// A thousand callers of one cold key.
    Storm,
    /// Round trips of a call that finds nothing.
    Misses,
    /// Invalidating a prefix with so many entries under it.
    Prefix { entries: usize },
    /// What an entry in the process takes beside its key and its value.
    Memory,
    /// How large a call is beside its body.
    Sizes,
}

/// Figures of one run, by name.
pub type Figures = Vec<(&'static str, f64)>;

/// What the driver tells the process that measures.
#[derive(Debug, Clone)]
pub struct Order {
    pub kind: Kind,
    pub candidate: String,
    /// Where the server listens.
    pub redis: String,
    /// How long to measure.
    pub time: Duration,
}

impl Kind {
    fn threads(self) -> usize {
        match self {
            Self::Hits { load, .. } => load.threads,
            _ => 1,
        }
    }
}

/// Runs one scenario for one candidate.
pub fn run(order: &Order) -> Outcome<Figures> {
    let runtime = match order.kind.threads() {
        1 => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
        threads => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()?,
    };
    runtime.block_on(async {
        empty(&order.redis).await?;
        match order.kind {
            Kind::Hits { keys, load } => hits::run(order, keys, load).await,
            Kind::Beside => beside::run(order).await,
            Kind::Storm => storm::run(order).await,
            Kind::Misses => misses::run(order).await,
            Kind::Prefix { entries } => prefix::run(order, entries).await,
            Kind::Memory => memory::run(order).await,
            Kind::Sizes => sizes::run(),
        }
    })
}

/// Nothing of an earlier run is there. The server is the driver's own.
async fn empty(redis: &str) -> Outcome<()> {
    let client = redis::Client::open(redis)?;
    // Half a second, which is the default, is too short for a server with a million entries.
    let patience = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    let connection = client.get_multiplexed_async_connection_with_config(&patience);
    let mut connection = connection.await?;
    Ok(redis::cmd("FLUSHALL").exec_async(&mut connection).await?)
}
