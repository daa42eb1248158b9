//! The only file that knows time.
//! Instants are tokio's, so that a test that pauses tokio's clock moves this one.
#![expect(
    clippy::disallowed_methods,
    reason = "the rule is that time is asked for here and nowhere else"
)]

#[cfg(feature = "fallback")]
mod coarse;

use std::future::Future;
use std::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(feature = "fallback")]
pub(crate) use coarse::latest;
use once_cell::sync::Lazy;

pub(crate) use tokio::time::Instant;

/// As far as anything is planned: 100 years.
pub(crate) const FAR: Duration = Duration::from_secs(100 * 365 * 86_400);

pub(crate) fn now() -> Instant {
    Instant::now()
}

/// What [`nanos`] counts from: long before anything it is asked of, also where a clock has been paused for a while.
static START: Lazy<std::time::Instant> = Lazy::new(|| {
    const LONG: Duration = Duration::from_secs(86_400);
    let now = std::time::Instant::now();
    now.checked_sub(LONG).unwrap_or(now)
});

/// A moment as a number that fits an atomic: nanoseconds after a fixed one, 0 for what lies before that.
pub(crate) fn nanos(moment: Instant) -> u64 {
    let since = moment.saturating_duration_since(Instant::from_std(*START));
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The moment that [`nanos`] says this of.
pub(crate) fn moment(nanos: u64) -> Instant {
    let start = Instant::from_std(*START);
    let since = Duration::from_nanos(nanos);
    start.checked_add(since).unwrap_or(start)
}

/// Milliseconds since 1970 by this machine's clock: until a server has told its own time, and for days.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    millis(since)
}

/// How long it is until the next midnight in UTC, by this machine's clock; a whole day at midnight itself, never zero.
///
/// ```
/// # use cache_runtime::{cached, until_midnight};
/// #[cached(ttl = until_midnight())]
/// async fn visitors_today() -> u64 {
///     42
/// }
/// ```
#[must_use]
pub fn until_midnight() -> Duration {
    left_of_the_day(unix_ms())
}

fn left_of_the_day(unix_ms: u64) -> Duration {
    // A day of POSIX time has no leap second.
    const DAY: u64 = 86_400_000;
    Duration::from_millis(DAY - unix_ms % DAY)
}

/// Runs `future` for at most `limit`; `None` when it did not finish.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}

/// The machine's clock, which no test pauses: for threads that are blocked.
pub(crate) fn wall() -> std::time::Instant {
    std::time::Instant::now()
}

/// Waits.
pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Whether the runtime we are in has a time driver. tokio has no other way to tell than to panic where there is none.
#[cfg(feature = "redis")]
pub(crate) fn has_timers() -> bool {
    std::panic::catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok()
}

/// A duration as whole milliseconds, saturating.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `start + duration`, or a day in the far future where that would overflow.
pub(crate) fn after(start: Instant, duration: Duration) -> Instant {
    start.checked_add(duration.min(FAR)).unwrap_or(start)
}

/// `end - duration`, or `end` where no clock goes back that far.
pub(crate) fn before(end: Instant, duration: Duration) -> Instant {
    end.checked_sub(duration).unwrap_or(end)
}

/// Moves a paused clock.
#[cfg(all(test, any(feature = "fallback", feature = "redis")))]
pub(crate) async fn advance(duration: Duration) {
    tokio::time::advance(duration).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_in_utc_and_the_next_begins() {
        for (unix_ms, left) in [
            (0, 86_400_000),
            (1, 86_399_999),
            (86_399_999, 1),
            (86_400_000, 86_400_000),
            // 2024-02-29T23:30:00Z
            (1_709_249_400_000, 1_800_000),
        ] {
            assert_eq!(left_of_the_day(unix_ms), Duration::from_millis(left));
        }
        assert!(!until_midnight().is_zero());
    }
}
