//! A future driven by hand, and dropped after so many polls.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::sync::Notify;

/// What is driven: anything, for its effects.
pub type Driven = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What happens between two polls, and between the last one and the drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// Polled when it is woken; dropped right after its last poll, so what that asked for has not been sent.
    AtOnce,
    /// Dropped with its request on the way.
    Sent,
    /// Dropped once it is woken again, so with an answer that it has not looked at.
    Answered,
    /// Polled a second time though nothing has woken it.
    Needless,
    /// Another process changes the entry and invalidates it.
    Told,
    /// Somebody else in this process asks for the entry.
    Read,
    /// Dropped by a thread outside of any runtime.
    Elsewhere,
}

impl Between {
    pub const ALL: &[Self] = &[
        Self::AtOnce,
        Self::Sent,
        Self::Answered,
        Self::Needless,
        Self::Told,
        Self::Read,
        Self::Elsewhere,
    ];
}

/// How long a future waits for something else than an answer before what holds it up is let go.
const HELD: Duration = Duration::from_millis(15);

/// Polls after which it is let go in any case.
const HELD_POLLS: usize = 20;

/// Tells when the future is woken.
#[derive(Default)]
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Polls so many times at most and drops it; answers whether it completed.
///
/// `meanwhile` runs after each poll. `let_go` ends what holds the future up, when nothing wakes it any more; it is told how
/// often it was asked in vain.
pub async fn drop_after(
    mut future: Driven,
    polls: usize,
    between: Between,
    mut meanwhile: impl AsyncFnMut(),
    mut let_go: impl FnMut(usize),
) -> bool {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    for poll in 1..=polls {
        if future.as_mut().poll(&mut context).is_ready() {
            return true;
        }
        if between == Between::Needless && future.as_mut().poll(&mut context).is_ready() {
            return true;
        }
        meanwhile().await;
        if poll == polls {
            break;
        }
        // Those who wait for another process look again now and then, of themselves.
        if poll > HELD_POLLS {
            let_go(poll);
        }
        let mut times = 0;
        while !is_woken(&woken).await {
            assert!(times < 1_000, "nothing wakes it after {poll} polls");
            let_go(times);
            times += 1;
        }
    }
    match between {
        Between::Sent => {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        }
        // What holds it up may be no answer, but somebody who is then let go.
        Between::Answered if polls > 0 && !is_woken(&woken).await => {
            let_go(0);
            is_woken(&woken).await;
        }
        Between::Elsewhere => {
            std::thread::spawn(move || drop(future)).join().unwrap();
        }
        _ => {}
    }
    false
}

async fn is_woken(woken: &Woken) -> bool {
    let woken = tokio::time::timeout(HELD, woken.0.notified());
    woken.await.is_ok()
}

/// Gives way so many times, in any executor.
pub async fn pause(times: usize) {
    let mut left = times;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
