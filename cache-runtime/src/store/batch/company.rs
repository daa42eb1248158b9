//! Those who travel together: told one by one, each within his own deadline.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::{Asked, Told, concerns_one_key};
use crate::clock::{self, Instant};
use crate::store::Trouble;
use crate::store::slots::Slot;

/// Those who travel together, whoever waits longest first.
///
/// If it is lost with the task that carries it, they are told so.
pub(super) struct Batch {
    slot: Arc<Slot>,
    pub(super) asked: Vec<Asked>,
    /// From when on those wait of whom nothing else is known.
    since: Instant,
    /// How many of them, from the front, have waited as long as an answer may take.
    late: usize,
    /// Whether one of them was told that this is a timeout, which counts as one.
    said_late: bool,
}

impl Batch {
    pub(super) fn new(slot: &Arc<Slot>, asked: Vec<Asked>) -> Self {
        Self {
            slot: Arc::clone(slot),
            asked,
            since: clock::now(),
            late: 0,
            said_late: false,
        }
    }

    /// When the next of them has waited long enough; `None`: nobody waits any more.
    pub(super) fn due(&self, timeout: Duration) -> Option<Instant> {
        let next = self.asked.get(self.late)?;
        Some(clock::after(self.since_of(next), timeout))
    }

    fn since_of(&self, asked: &Asked) -> Instant {
        asked.since.unwrap_or(self.since)
    }

    /// Tells those who have waited long enough.
    pub(super) fn give_up(&mut self, now: Instant, timeout: Duration) {
        while self.due(timeout).is_some_and(|due| due <= now) {
            self.tell_next_late();
        }
    }

    fn tell_next_late(&mut self) {
        if let Some(asked) = self.asked.get_mut(self.late)
            && let Some(place) = asked.place.take()
        {
            // What times out together is one timeout.
            let trouble = match self.said_late {
                false => Trouble::Timeout,
                true => Trouble::TimeoutOfAnother,
            };
            let told = Told::Read(Err(trouble));
            let waker = self.slot.batches.lock().cells.tell(place, told);
            self.said_late |= waker.is_some();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        self.late += 1;
    }

    /// Tells each of them who was not told yet, and wakes them once all are.
    pub(super) fn tell_all(&mut self, mut told: impl FnMut(&Asked) -> Told) {
        let mut wakers = Vec::with_capacity(self.asked.len());
        let mut state = self.slot.batches.lock();
        for asked in &mut self.asked {
            let told = told(asked);
            if let Some(place) = asked.place.take() {
                wakers.extend(state.cells.tell(place, told));
            }
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn wait_longer(&mut self, duration: Duration) {
        self.since = clock::after(self.since, duration);
        for since in self
            .asked
            .iter_mut()
            .filter_map(|asked| asked.since.as_mut())
        {
            *since = clock::after(*since, duration);
        }
    }

    pub(super) fn fail(&mut self, trouble: &Trouble) {
        if *trouble == Trouble::Timeout {
            while self.late < self.asked.len() {
                self.tell_next_late();
            }
            return;
        }
        let one_of_them = self.asked.len() > 1 && concerns_one_key(trouble);
        let since = self.since;
        self.tell_all(|asked| match one_of_them {
            true => Told::AskAlone {
                since: asked.since.unwrap_or(since),
            },
            false => Told::Read(Err(trouble.clone())),
        });
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.asked.iter().any(|asked| asked.place.is_some()) {
            self.tell_all(|_| Told::Read(Err(lost())));
        }
    }
}

pub(super) fn lost() -> Trouble {
    Trouble::Unreachable("the runtime in which it was asked has ended".to_owned())
}
