//! Who is woken when something comes in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// What the socket wakes, whoever has last asked it.
///
/// One who asks beside the client is woken where nobody else waits, so that his answer wakes no task but his. Else the client
/// is, which tells each: unlike a caller, who may wait for something else meanwhile, it always goes on.
#[derive(Default)]
pub(super) struct Bell {
    wakers: Mutex<Wakers>,
    /// Whether the socket will wake: it does so once, and is then to be asked again.
    is_set: AtomicBool,
}

#[derive(Default)]
struct Wakers {
    client: Option<Waker>,
    /// Whether the client has asked for something.
    client_waits: bool,
    /// Of those who ask beside it and have no answer.
    askers: Vec<(u64, Waker)>,
}

impl Bell {
    /// Notes whom to wake for the client. The waker that stood there is the caller's to drop, outside of all locks.
    pub(super) fn client_is(&self, waker: &Waker) -> Option<Waker> {
        let mut wakers = self.lock();
        match &wakers.client {
            Some(known) if known.will_wake(waker) => None,
            _ => wakers.client.replace(waker.clone()),
        }
    }

    pub(super) fn client_waits(&self, waits: bool) {
        self.lock().client_waits = waits;
    }

    /// Notes whom to wake for one who asks beside the client.
    pub(super) fn asker_is(&self, id: u64, waker: &Waker) -> Option<Waker> {
        let mut wakers = self.lock();
        let known = wakers.askers.iter_mut().find(|(known, _)| *known == id);
        match known {
            Some((_, known)) if known.will_wake(waker) => None,
            Some((_, known)) => Some(std::mem::replace(known, waker.clone())),
            None => {
                wakers.askers.push((id, waker.clone()));
                None
            }
        }
    }

    /// Forgets one who asked: his waker is the caller's.
    pub(super) fn forget(&self, id: u64) -> Option<Waker> {
        let mut wakers = self.lock();
        let at = wakers.askers.iter().position(|(known, _)| *known == id)?;
        Some(wakers.askers.swap_remove(at).1)
    }

    /// One who asked goes away: what he was woken for is somebody else's.
    pub(super) fn pass_on(self: &Arc<Self>) {
        if !self.is_set() {
            self.wake_by_ref();
        }
    }

    /// Notes whether the socket will wake: before it is asked that it will, since it may do so at once.
    pub(super) fn set(&self, is_set: bool) {
        self.is_set.store(is_set, Ordering::Release);
    }

    /// Whether the socket will wake whoever was noted before this was asked.
    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// The client has gone. Its waker is the caller's.
    pub(super) fn client_goes(&self) -> Option<Waker> {
        self.lock().client.take()
    }

    pub(super) fn of_client(&self) -> Option<Waker> {
        self.lock().client.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Wakers> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Before the look at who waits: whoever comes after that finds that he has to ask the socket himself.
        self.set(false);
        let wakers = self.lock();
        let woken = match wakers.askers.as_slice() {
            [(_, asker)] if !wakers.client_waits => Some(asker.clone()),
            _ => wakers.client.clone(),
        };
        drop(wakers);
        if let Some(woken) = woken {
            woken.wake();
        }
    }
}
