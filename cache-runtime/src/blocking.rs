//! Waiting by blocking the thread, for functions that are not async, and who of them must not wait.
//!
//! A thread leads the flights whose bodies it runs, one inside the other, and waits for at most one. It does not wait for a
//! flight that waits for itself: one that it leads, or whose leader waits, over however many others, for one that it leads.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::clock;

/// Which thread leads a flight, and for which flight a thread waits; a flight by the address at which it is.
struct Waits {
    leaders: BTreeMap<usize, u64>,
    waiting: BTreeMap<u64, usize>,
}

static WAITS: Mutex<Waits> = Mutex::new(Waits {
    leaders: BTreeMap::new(),
    waiting: BTreeMap::new(),
});

static NEXT_THREAD: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// A number of this thread; 0 until it is asked for.
    static THREAD: Cell<u64> = const { Cell::new(0) };
}

fn this_thread() -> u64 {
    THREAD.with(|number| {
        if number.get() == 0 {
            number.set(NEXT_THREAD.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

fn waits() -> MutexGuard<'static, Waits> {
    WAITS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This thread leads that flight, until this is dropped, which has to be before the seat is free.
#[derive(Debug)]
pub(crate) struct Leading(usize);

impl Leading {
    pub(crate) fn new(flight: usize) -> Self {
        waits().leaders.insert(flight, this_thread());
        Self(flight)
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        waits().leaders.remove(&self.0);
    }
}

/// This thread waits, until this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting(());

impl Waiting {
    /// Leave to wait for that flight; `None` where it would wait for itself.
    pub(crate) fn begin(flight: usize) -> Option<Self> {
        let me = this_thread();
        let mut waits = waits();
        let mut next = Some(flight);
        while let Some(leader) = next.and_then(|flight| waits.leaders.get(&flight)) {
            if *leader == me {
                return None;
            }
            next = waits.waiting.get(leader).copied();
        }
        waits.waiting.insert(me, flight);
        Some(Self(()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        waits().waiting.remove(&this_thread());
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks the thread until the future is done.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    loop_until(future, || {
        thread::park();
        true
    })
    .unwrap_or_else(|| unreachable!("it waits without a limit"))
}

/// The same for at most `limit`; `None` when it did not finish.
pub(crate) fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let begin = clock::wall();
    loop_until(future, || {
        let left = limit.saturating_sub(begin.elapsed());
        thread::park_timeout(left);
        !left.is_zero()
    })
}

/// Polls until it is done, or `pause` says that it has lasted too long.
fn loop_until<F: Future>(future: F, pause: impl Fn() -> bool) -> Option<F::Output> {
    // Without the budget of a tokio task that may be around this, which nobody would renew.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Some(done);
        }
        if !pause() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_future_that_another_thread_completes_is_waited_for() {
        let (send, receive) = tokio::sync::oneshot::channel();
        let sender = thread::spawn(move || send.send(7));
        assert_eq!(wait(receive), Ok(7));
        assert!(sender.join().is_ok());
    }

    #[test]
    fn what_takes_longer_than_its_limit_is_given_up() {
        let never = std::future::pending::<()>();
        assert_eq!(within(Duration::from_millis(1), never), None);
        assert_eq!(within(Duration::ZERO, async { 7 }), Some(7));
    }

    #[test]
    fn nobody_waits_for_a_flight_that_waits_for_itself() {
        // Of no flight that exists.
        let [mine, theirs, others] = [1, 2, 3];
        let _mine = Leading::new(mine);
        assert!(Waiting::begin(mine).is_none(), "its own");

        let (told, tell) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let their_thread = thread::spawn(move || {
            let _theirs = Leading::new(theirs);
            let waiting = Waiting::begin(mine);
            told.send(waiting.is_some()).unwrap();
            ended.recv().unwrap_err();
        });
        assert!(tell.recv().unwrap(), "nothing keeps them from it");
        assert!(Waiting::begin(theirs).is_none(), "they wait for us");
        assert!(Waiting::begin(others).is_some(), "nobody leads it");
        drop(end);
        their_thread.join().unwrap();
        assert!(Waiting::begin(theirs).is_some(), "they are gone");
    }
}
