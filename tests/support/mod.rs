//! What the integration tests share: real servers, caches on them, a faulty network, captured log events, waiting.
//!
//! A test file says `mod support;` and takes what it needs.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test file is a crate of its own and uses a part of this"
)]

pub mod bodies;
pub mod caches;
pub mod dice;
pub mod envelope;
pub mod log;
pub mod process;
pub mod proxy;
pub mod resp;
pub mod server;
pub mod stall;

use std::time::{Duration, Instant};

pub use bodies::{Bodies, Unwritable};
pub use caches::{in_process, on};
pub use dice::Dice;
pub use log::{Event, Log};
pub use process::Process;
pub use proxy::{Fault, Proxy};
pub use resp::Reply;
pub use server::RedisServer;
pub use stall::Stopwatch;

/// How long anything that is bound to happen may take before a test gives up on it.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How long to look away between two looks.
const POLL: Duration = Duration::from_millis(5);

/// Blocks the thread until `condition` holds; panics after [`DEADLINE`], saying `what` did not happen.
#[track_caller]
pub fn wait_until(mut condition: impl FnMut() -> bool, what: &str) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < DEADLINE,
            "{DEADLINE:?} passed and still not: {what}"
        );
        std::thread::sleep(POLL);
    }
}

/// [`wait_until`] for an asynchronous condition, which leaves the runtime free meanwhile.
///
/// It counts real time, also in a runtime whose clock is paused.
pub async fn wait_until_async(mut condition: impl AsyncFnMut() -> bool, what: &str) {
    let start = Instant::now();
    while !condition().await {
        assert!(
            start.elapsed() < DEADLINE,
            "{DEADLINE:?} passed and still not: {what}"
        );
        tokio::time::sleep(POLL).await;
    }
}
