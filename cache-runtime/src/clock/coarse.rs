//! What the time is at the latest: for a hit, which need not know it exactly, and pays more for a clock than for its look-up.

use coarsetime::Instant as Coarse;
use once_cell::sync::Lazy;
use tokio::runtime::Builder;

use super::{nanos, now};

/// How far the coarse clock may be behind: a tick of the kernel, and as much again for the moment from which it is counted.
/// The rarest ticks that Linux is built with come 100 times a second.
const BEHIND: u64 = 20_000_000;

/// A coarse clock, which costs a quarter of the exact one.
#[derive(Clone, Copy)]
struct Ticks {
    /// What it showed, and at what time.
    from: Coarse,
    at: u64,
}

impl Ticks {
    fn begin() -> Self {
        let from = Coarse::now_without_cache_update();
        Self {
            from,
            at: nanos(now()),
        }
    }

    #[inline(always)]
    fn latest(self) -> u64 {
        let since = Coarse::now_without_cache_update().duration_since(self.from);
        self.at
            .saturating_add(since.as_nanos())
            .saturating_add(BEHIND)
    }
}

/// `None` where the coarse clock is not to be used.
static TICKS: Lazy<Option<Ticks>> =
    Lazy::new(|| (is_same_clock() && !can_be_paused()).then(Ticks::begin));

/// A moment that is not before now, and at most 30 ms after it, as [`nanos`] counts.
#[inline(always)]
pub(crate) fn latest() -> u64 {
    match *TICKS {
        Some(ticks) => ticks.latest(),
        None => nanos(now()),
    }
}

/// Whether the coarse clock is the clock of instants, read without asking the hardware. Elsewhere the two drift apart.
const fn is_same_clock() -> bool {
    cfg!(any(target_os = "linux", target_os = "android"))
}

/// Whether tokio is built with `test-util`, so that a test may pause its clock, and move it.
fn can_be_paused() -> bool {
    Builder::new_current_thread().start_paused(false).is_there()
}

/// Stands in for the method of tokio's that is only there with `test-util`: a method of the type itself is preferred.
trait Absent {
    fn start_paused(&mut self, _: bool) -> Never {
        Never
    }
}

impl Absent for Builder {}

// Used where the method is not there.
const _: fn(&mut Builder, bool) -> Never = <Builder as Absent>::start_paused;

struct Never;

trait IsThere {
    fn is_there(&self) -> bool;
}

impl IsThere for Never {
    fn is_there(&self) -> bool {
        false
    }
}

impl IsThere for Builder {
    fn is_there(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    #[test]
    fn the_latest_time_is_never_behind_the_clock_and_soon_after_it() {
        let ticks = Ticks::begin();
        let until = clock::after(now(), Duration::from_millis(200));
        while now() < until {
            let before = nanos(now());
            let latest = ticks.latest();
            let after = nanos(now());
            assert!(before <= latest, "{before} {latest}");
            assert!(latest <= after + BEHIND + BEHIND / 2, "{latest} {after}");
        }
    }

    /// This crate is tested with it.
    #[test]
    fn a_clock_that_tests_may_pause_is_read_itself() {
        assert!(can_be_paused());
    }
}
