//! What time it is for the server.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::{self, Instant};

/// The server's clock, read at each connect and carried on by ours: expiry is compared with one clock only, the server's.
pub(super) struct ServerClock {
    base: Instant,
    /// Server time, in milliseconds since 1970, at `base`.
    at_base: AtomicU64,
}

impl ServerClock {
    pub(super) fn new() -> Self {
        Self {
            base: clock::now(),
            at_base: AtomicU64::new(clock::unix_ms()),
        }
    }

    /// Takes over what the server said, `answered` at this moment: behind by the way of the answer, so that nothing expires early.
    pub(super) fn set(&self, answered: Instant, time: Option<(u64, u64)>) {
        if let Some((seconds, micros)) = time {
            let server = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
            let since = clock::millis(answered.saturating_duration_since(self.base));
            // Relaxed: the number stands for itself.
            self.at_base
                .store(server.saturating_sub(since), Ordering::Relaxed);
        }
    }

    pub(super) fn now_ms(&self) -> u64 {
        let since = clock::millis(clock::now().saturating_duration_since(self.base));
        self.at_base.load(Ordering::Relaxed).saturating_add(since)
    }
}
