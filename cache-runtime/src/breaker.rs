//! Whether Redis is asked at all.
//!
//! Closed: it is. Open: it is not, and costs nothing; once the back-off is over one background probe finds out whether it answers again.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{self, Instant};
use crate::random;

/// Timeouts in a row that open the breaker. A refused or broken connection opens it at once.
const TIMEOUTS: u32 = 3;

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// When another probe is sent: one in a runtime that nobody drives any more never ends, and others must not wait for it.
const LONGEST_PROBE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Breaker {
    state: Mutex<State>,
    /// Whether the state is anything but closed with no timeout counted: else nobody need ask for it.
    stirred: AtomicBool,
    /// How long an answer is waited for.
    patience: Duration,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        timeouts: u32,
        /// From when on a timeout counts: what times out earlier was asked before the breaker opened.
        counts_from: Instant,
    },
    Open {
        since: Instant,
        until: Instant,
        backoff: Duration,
    },
    HalfOpen {
        since: Instant,
        until: Instant,
        backoff: Duration,
    },
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Pass,
    Blocked,
    /// The caller is the one to start a probe; everybody else stays blocked.
    Probe,
}

impl Breaker {
    /// A closed one, for a server whose answers are waited for so long.
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            state: Mutex::new(State::Closed {
                timeouts: 0,
                counts_from: clock::now(),
            }),
            stirred: AtomicBool::new(false),
            patience,
        }
    }

    pub(crate) fn gate(&self) -> Gate {
        // Acquire, with the Release of `Held`: who sees that it is at rest sees what was done before.
        if !self.stirred.load(Ordering::Acquire) {
            return Gate::Pass;
        }
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => Gate::Pass,
            State::Open {
                since,
                until,
                backoff,
            }
            | State::HalfOpen {
                since,
                until,
                backoff,
            } => {
                let now = clock::now();
                if now < until {
                    return Gate::Blocked;
                }
                *state = State::HalfOpen {
                    since,
                    until: clock::after(now, LONGEST_PROBE),
                    backoff,
                };
                Gate::Probe
            }
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        // Each hit asks.
        !self.stirred.load(Ordering::Acquire) || matches!(*self.lock(), State::Closed { .. })
    }

    pub(crate) fn answered(&self) {
        if !self.stirred.load(Ordering::Acquire) {
            return;
        }
        if let State::Closed { timeouts, .. } = &mut *self.lock() {
            *timeouts = 0;
        }
    }

    /// Notes a timeout; answers whether the breaker opened by it.
    pub(crate) fn timed_out(&self) -> bool {
        let mut state = self.lock();
        let now = clock::now();
        match &mut *state {
            State::Closed {
                timeouts,
                counts_from,
            } if now >= *counts_from => {
                *timeouts += 1;
                if *timeouts < TIMEOUTS {
                    return false;
                }
            }
            _ => return false,
        }
        *state = opened(now, FIRST_BACKOFF);
        true
    }

    /// Opens the breaker; answers whether it was closed before.
    pub(crate) fn open(&self) -> bool {
        let mut state = self.lock();
        let closed = matches!(*state, State::Closed { .. });
        if closed {
            *state = opened(clock::now(), FIRST_BACKOFF);
        }
        closed
    }

    /// The probe failed: wait longer.
    pub(crate) fn reopen(&self) {
        let mut state = self.lock();
        if let State::HalfOpen { since, backoff, .. } = *state {
            *state = opened(since, backoff.saturating_mul(2).min(LONGEST_BACKOFF));
        }
    }

    /// The probe succeeded; answers how long the breaker was open.
    pub(crate) fn close(&self) -> Duration {
        let mut state = self.lock();
        let since = match *state {
            State::Closed { .. } => None,
            State::Open { since, .. } | State::HalfOpen { since, .. } => Some(since),
        };
        *state = State::Closed {
            timeouts: 0,
            counts_from: clock::after(clock::now(), self.patience),
        };
        since.map_or(Duration::ZERO, |since| {
            clock::now().saturating_duration_since(since)
        })
    }

    fn lock(&self) -> Held<'_> {
        Held {
            state: self.state.lock().unwrap_or_else(PoisonError::into_inner),
            stirred: &self.stirred,
        }
    }
}

/// The state, which is noted as stirred or not when it is let go.
struct Held<'a> {
    state: MutexGuard<'a, State>,
    stirred: &'a AtomicBool,
}

impl Deref for Held<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let at_rest = matches!(*self.state, State::Closed { timeouts: 0, .. });
        self.stirred.store(!at_rest, Ordering::Release);
    }
}

/// Open until the back-off is over.
fn opened(since: Instant, backoff: Duration) -> State {
    State::Open {
        since,
        until: clock::after(clock::now(), jittered(backoff)),
        backoff,
    }
}

/// A back-off, give or take a quarter of it, so that the processes of a fleet do not knock together.
pub(crate) fn jittered(backoff: Duration) -> Duration {
    let quarter = clock::millis(backoff) / 4;
    let jitter = random::token() % (2 * quarter + 1);
    Duration::from_millis(clock::millis(backoff) - quarter + jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(250);

    #[tokio::test(start_paused = true)]
    async fn one_caller_probes_once_the_back_off_is_over() {
        let breaker = Breaker::new(PATIENCE);
        assert!(breaker.open());
        assert_eq!(breaker.gate(), Gate::Blocked);

        tokio::time::advance(Duration::from_millis(200)).await;

        assert_eq!(breaker.gate(), Gate::Probe);
        assert_eq!(breaker.gate(), Gate::Blocked);
    }

    #[tokio::test(start_paused = true)]
    async fn each_failed_probe_doubles_the_wait_up_to_a_limit() {
        let breaker = Breaker::new(PATIENCE);
        breaker.open();
        let mut waited = Duration::ZERO;
        for _ in 0..20 {
            while breaker.gate() != Gate::Probe {
                tokio::time::advance(Duration::from_millis(50)).await;
                waited += Duration::from_millis(50);
            }
            breaker.reopen();
        }

        assert!(waited > LONGEST_BACKOFF * 8, "{waited:?}");
        assert!(waited < LONGEST_BACKOFF * 25, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_never_ends_gives_way_to_another() {
        let breaker = Breaker::new(PATIENCE);
        breaker.open();
        tokio::time::advance(FIRST_BACKOFF * 2).await;
        assert_eq!(breaker.gate(), Gate::Probe);

        tokio::time::advance(LONGEST_PROBE - Duration::from_millis(1)).await;
        assert_eq!(breaker.gate(), Gate::Blocked);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(breaker.gate(), Gate::Probe);

        breaker.close();
        breaker.reopen();
        assert_eq!(breaker.gate(), Gate::Pass, "the first one ended after all");
    }

    #[test]
    fn timeouts_open_it_only_in_a_row() {
        let breaker = Breaker::new(PATIENCE);
        for _ in 0..10 {
            assert!(!breaker.timed_out());
            assert!(!breaker.timed_out());
            breaker.answered();
        }
        assert!(breaker.is_closed());

        assert!(!breaker.timed_out());
        assert!(!breaker.timed_out());
        assert!(breaker.timed_out());
        assert!(!breaker.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_before_it_opened_does_not_open_it_again() {
        let breaker = Breaker::new(PATIENCE);
        breaker.open();
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(breaker.gate(), Gate::Probe);
        breaker.close();

        tokio::time::advance(PATIENCE / 2).await;
        for _ in 0..10 {
            assert!(!breaker.timed_out());
        }

        tokio::time::advance(PATIENCE / 2).await;
        assert!(!breaker.timed_out());
        assert!(!breaker.timed_out());
        assert!(breaker.timed_out());
    }
}
