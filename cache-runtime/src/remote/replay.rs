//! Replaying what Redis has not confirmed: by one task in the background, again and again with a back-off, until it has.
//!
//! Meanwhile the keys that it covers do not use Redis, and all others do. A call of such a key waits for the first attempt,
//! of which nobody knows yet how it ends; once one has failed, nobody waits.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::{Doing, Probe, Remote, lock, spawn};
use crate::breaker::{Gate, jittered};
use crate::clock::{self, Instant};
use crate::key::Key;
use crate::log;
use crate::outage::Journal;
use crate::store::Trouble;

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// A task that gives no sign of life for so long is not waited for: its runtime may be one that nobody drives.
const LONGEST_SILENCE: Duration = Duration::from_secs(15);

/// How far the replaying has come.
#[derive(Debug, Default)]
pub(super) struct Replays {
    state: Mutex<State>,
    /// Notified after each attempt.
    attempted: Notify,
    /// One attempt at a time.
    attempting: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// The task that is there, and when it last gave a sign of life.
    running: Option<(u64, Instant)>,
    /// How many tasks there were.
    tasks: u64,
    /// Failed attempts since something was owed.
    failures: u32,
    closed: bool,
}

impl State {
    fn is_run_by(&self, task: u64) -> bool {
        self.running.is_some_and(|(running, _)| running == task)
    }
}

impl Replays {
    /// A deletion has just failed: trying it again at once would fail as well.
    pub(super) fn failed(&self) {
        let mut state = lock(&self.state);
        state.failures = state.failures.max(1);
    }

    /// Whether nobody knows yet that it will fail.
    fn is_hopeful(&self) -> bool {
        let state = lock(&self.state);
        state.running.is_some() && state.failures == 0
    }

    /// The number of a task that may begin now, unless another is at work.
    fn begin(&self) -> Option<u64> {
        let mut state = lock(&self.state);
        let now = clock::now();
        let is_at_work = |(_, sign): (u64, Instant)| now < clock::after(sign, LONGEST_SILENCE);
        if state.closed || state.running.is_some_and(is_at_work) {
            return None;
        }
        state.tasks += 1;
        state.running = Some((state.tasks, now));
        Some(state.tasks)
    }

    /// Lets it be known that a task is at work; answers whether it still is the one that is to be.
    fn goes_on(&self, task: u64) -> bool {
        let mut state = lock(&self.state);
        let is_it = state.is_run_by(task);
        if is_it {
            state.running = Some((task, clock::now()));
        }
        is_it
    }

    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
    }

    fn back_off(&self) -> Option<Duration> {
        let doublings = lock(&self.state).failures.checked_sub(1)?.min(16);
        let whole = FIRST_BACKOFF.saturating_mul(1 << doublings);
        Some(jittered(whole.min(LONGEST_BACKOFF)))
    }
}

impl Remote {
    /// Passes if what Redis says of this key would be believed.
    pub(super) async fn believed(self: &Arc<Self>, key: &Key) -> Result<(), Trouble> {
        if self.journal.is_pending() {
            // Boxed, since it is rare, and would make every look-up's future larger.
            Box::pin(self.settled(|journal| journal.covers(key))).await;
        }
        self.still_believed(key)
    }

    /// Whether what has just been read is believed: a connection made for it may have found another data set, and an
    /// invalidation may have failed meanwhile.
    pub(super) fn still_believed(&self, key: &Key) -> Result<(), Trouble> {
        match self.journal.covers(key) {
            true => Err(Trouble::Quarantined),
            false => Ok(()),
        }
    }

    /// Has what is owed replayed, and waits, where it `concerns` the caller, for an attempt that may well succeed.
    pub(super) async fn settled(self: &Arc<Self>, concerns: impl Fn(&Journal) -> bool) {
        if !self.journal.is_pending() {
            return;
        }
        // Before the look into the journal, so that no attempt that ends in between is missed.
        let attempted = self.replays.attempted.notified();
        self.replay_soon();
        if concerns(&self.journal) && self.replays.is_hopeful() && self.store.is_fit() {
            let _ = clock::within(self.patience, attempted).await;
        }
    }

    /// Has what is owed replayed in the background, where there is a runtime.
    pub(super) fn replay_soon(self: &Arc<Self>) {
        if !self.journal.is_pending() || !self.store.is_fit() {
            return;
        }
        let Some(number) = self.replays.begin() else {
            return;
        };
        let task = Task {
            number,
            remote: Arc::downgrade(self),
            has_ended: false,
        };
        spawn(task.run(Arc::clone(self)));
    }

    /// Deletes all that is owed; answers how many names and patterns that were.
    pub(super) async fn replay(&self) -> Result<usize, Trouble> {
        // Whoever holds it may be in a runtime that nobody drives any more.
        let attempting = self.replays.attempting.lock();
        let Some(_attempting) = clock::within(LONGEST_SILENCE, attempting).await else {
            return Err(Trouble::Timeout);
        };
        let mut replayed = 0;
        while self.journal.is_pending() {
            let debt = self.journal.debt();
            self.store.unlink(&debt.names).await?;
            for pattern in &debt.patterns {
                self.store.clear(pattern.as_str()).await?;
            }
            self.journal.settle(&debt, || self.near.end_all());
            replayed += debt.names.len() + debt.patterns.len();
        }
        Ok(replayed)
    }

    async fn attempt(self: &Arc<Self>) -> Result<usize, Trouble> {
        match self.breaker.gate() {
            Gate::Pass => self.note(Doing::Deleting, self.replay().await),
            Gate::Blocked => Err(Trouble::Open),
            Gate::Probe => {
                Probe::new(self).run().await;
                Err(Trouble::Open)
            }
        }
    }

    /// Notes how an attempt went; answers whether there is nothing left to do.
    fn attempted(&self, task: u64, attempt: Result<usize, Trouble>) -> bool {
        let mut state = lock(&self.replays.state);
        if !state.is_run_by(task) {
            // It was silent for too long, and another has begun.
            return true;
        }
        let failures = state.failures;
        // Under the lock: what is remembered from here on finds that nobody runs.
        let settled = !self.journal.is_pending();
        state.failures = if settled {
            0
        } else {
            failures.saturating_add(1)
        };
        let ends = settled || state.closed || attempt == Err(Trouble::NoRuntime);
        state.running = (!ends).then(|| (task, clock::now()));
        drop(state);
        self.replays.attempted.notify_waiters();
        if let (Ok(replayed), true) = (attempt, failures > 0) {
            log::replayed(replayed);
        }
        ends
    }
}

/// The task that replays. However it ends, another can begin. It keeps what it needs alive for an attempt that may well
/// succeed, and not for further ones.
struct Task {
    number: u64,
    remote: Weak<Remote>,
    has_ended: bool,
}

impl Task {
    async fn run(mut self, mut remote: Arc<Remote>) {
        loop {
            if let Some(wait) = remote.replays.back_off() {
                drop(remote);
                clock::sleep(wait).await;
                let Some(still) = self.remote.upgrade() else {
                    return;
                };
                remote = still;
            }
            if !remote.replays.goes_on(self.number) {
                self.has_ended = true;
                return;
            }
            let attempt = remote.attempt().await;
            self.has_ended = remote.attempted(self.number, attempt);
            if self.has_ended {
                return;
            }
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let remote = self.remote.upgrade().filter(|_| !self.has_ended);
        if let Some(remote) = remote {
            let mut state = lock(&remote.replays.state);
            if state.is_run_by(self.number) {
                state.running = None;
            }
            drop(state);
            remote.replays.attempted.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_silent_for_too_long_gives_way_to_another() {
        let replays = Replays::default();
        assert_eq!(replays.begin(), Some(1));
        assert_eq!(replays.begin(), None);

        tokio::time::advance(LONGEST_SILENCE / 2).await;
        assert!(replays.goes_on(1));
        tokio::time::advance(LONGEST_SILENCE - Duration::from_millis(1)).await;
        assert_eq!(replays.begin(), None, "it gave a sign of life");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(replays.begin(), Some(2));

        assert!(!replays.goes_on(1));
        assert!(replays.goes_on(2));
    }
}
