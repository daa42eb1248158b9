//! Whether Redis is asked at all.
//!
//! Closed: it is. Open: it is not, and costs nothing; once the back-off is over one background probe finds out whether it answers again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{self, Instant};
use crate::random;

/// Timeouts in a row that open the breaker. A refused or broken connection opens it at once.
const TIMEOUTS: u32 = 3;

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        timeouts: u32,
    },
    Open {
        since: Instant,
        until: Instant,
        backoff: Duration,
    },
    HalfOpen {
        since: Instant,
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
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State::Closed { timeouts: 0 }),
        }
    }

    pub(crate) fn gate(&self) -> Gate {
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => Gate::Pass,
            State::HalfOpen { .. } => Gate::Blocked,
            State::Open {
                since,
                until,
                backoff,
            } => {
                if clock::now() < until {
                    return Gate::Blocked;
                }
                *state = State::HalfOpen { since, backoff };
                Gate::Probe
            }
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(*self.lock(), State::Closed { .. })
    }

    pub(crate) fn answered(&self) {
        if let State::Closed { timeouts } = &mut *self.lock() {
            *timeouts = 0;
        }
    }

    /// Notes a timeout; answers whether the breaker opened by it.
    pub(crate) fn timed_out(&self) -> bool {
        let mut state = self.lock();
        if let State::Closed { timeouts } = &mut *state {
            *timeouts += 1;
            if *timeouts >= TIMEOUTS {
                *state = opened(clock::now(), FIRST_BACKOFF);
                return true;
            }
        }
        false
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
        if let State::HalfOpen { since, backoff } = *state {
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
        *state = State::Closed { timeouts: 0 };
        since.map_or(Duration::ZERO, |since| {
            clock::now().saturating_duration_since(since)
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[tokio::test(start_paused = true)]
    async fn one_caller_probes_once_the_back_off_is_over() {
        let breaker = Breaker::new();
        assert!(breaker.open());
        assert_eq!(breaker.gate(), Gate::Blocked);

        tokio::time::advance(Duration::from_millis(200)).await;

        assert_eq!(breaker.gate(), Gate::Probe);
        assert_eq!(breaker.gate(), Gate::Blocked);
    }

    #[tokio::test(start_paused = true)]
    async fn each_failed_probe_doubles_the_wait_up_to_a_limit() {
        let breaker = Breaker::new();
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

    #[test]
    fn timeouts_open_it_only_in_a_row() {
        let breaker = Breaker::new();
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
}
