//! How long the machine did not let this process run: no bound on a wait is to blame the code under test for that.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a thread looks whether it is let run.
const TICK: Duration = Duration::from_millis(5);

static STALLED: AtomicU64 = AtomicU64::new(0);

/// How long this process was kept waiting since this was first called.
fn stalled() -> Duration {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        std::thread::spawn(|| {
            loop {
                let slept = Instant::now();
                std::thread::sleep(TICK);
                let late = slept.elapsed().saturating_sub(TICK * 2);
                let late = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
                STALLED.fetch_add(late, Ordering::Relaxed);
            }
        });
    });
    Duration::from_nanos(STALLED.load(Ordering::Relaxed))
}

/// A clock that stands still while the machine lets this process wait.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    began: Instant,
    stalled: Duration,
}

impl Stopwatch {
    pub fn start() -> Self {
        Self {
            began: Instant::now(),
            stalled: stalled(),
        }
    }

    pub fn elapsed(&self) -> Duration {
        let stalled = stalled() - self.stalled;
        self.began.elapsed().saturating_sub(stalled)
    }
}
