//! Leases in Redis: asked for, prolonged while a load goes on, and given back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::{Doing, Remote, lock, spawn};
use crate::clock;
use crate::key::Key;
use crate::lease::Lease;
use crate::store::{Acquired, Trouble};

/// Signs of life in the lifetime of a lease: two may be lost.
const SIGNS_OF_LIFE: u32 = 3;

/// The answer to a request for the leave to fill.
#[derive(Debug)]
pub(crate) enum Leave {
    Granted(Lease),
    Held(u64),
    Changed,
}

impl Remote {
    /// Asks for the leave to fill, unless the entry is another than the one with the `stamp` that was seen.
    /// `token` will be the lease's: chosen by the caller, so that it is known before the answer.
    /// A lease that was `overtaken` is taken over.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        key: &Key,
        stamp: &[u8],
        token: u64,
        overtaken: Option<u64>,
    ) -> Result<Leave, Trouble> {
        self.ready_to_write(key).await?;
        // One that we give back ourselves is the one that we saw, if we saw one at all.
        let replaceable = overtaken.or_else(|| self.returning.of(key.as_str()));
        // Ours from the moment it is asked for: who is cancelled before the answer gives it back all the same.
        let lease = Lease::asked_for(Arc::clone(self), key.shared(), token);
        let acquired = self
            .store
            .acquire(key, stamp, token, replaceable, self.lease)
            .await;
        match self.note_of(key.as_str(), Doing::Writing, acquired) {
            Ok(Acquired::Granted) => Ok(Leave::Granted(lease)),
            Ok(Acquired::Held(holder)) => {
                lease.spend();
                Ok(Leave::Held(holder))
            }
            Ok(Acquired::Changed) => {
                lease.spend();
                Ok(Leave::Changed)
            }
            Err(trouble) => {
                if trouble.changed_nothing() {
                    lease.spend();
                }
                Err(trouble)
            }
        }
    }

    /// Prolongs a lease again and again, in a task of its own, until that is stopped or the lease is gone.
    pub(crate) fn keep_alive(
        remote: &Arc<Self>,
        entry: Arc<str>,
        token: u64,
    ) -> Option<AbortHandle> {
        let runtime = Handle::try_current().ok()?;
        let remote = Arc::clone(remote);
        let task = runtime.spawn(async move {
            loop {
                clock::sleep(remote.lease / SIGNS_OF_LIFE).await;
                if remote.is_up() {
                    let extended = remote.store.extend(&entry, token, remote.lease).await;
                    if let Ok(false) = remote.note_aside(&entry, Doing::Writing, extended) {
                        return;
                    }
                }
            }
        });
        Some(task.abort_handle())
    }

    /// Gives a lease back in the background. Where that is impossible, it ends by itself.
    pub(crate) fn release_later(remote: &Arc<Self>, entry: Arc<str>, token: u64) {
        let returning = remote.returning.one(remote, entry, token);
        spawn(async move {
            let remote = &returning.remote;
            if remote.is_up() {
                let released = remote.store.release(&returning.entry, token).await;
                let _ = remote.note_aside(&returning.entry, Doing::Writing, released);
                // What we do ourselves we are not told.
                remote.near.told_of_lease(&returning.entry);
            }
        });
    }
}

/// Leases on their way back, by entry: their release is under way, and this process may take them over until it arrives.
#[derive(Debug, Default)]
pub(super) struct Returning(Mutex<HashMap<Arc<str>, u64>>);

impl Returning {
    fn of(&self, entry: &str) -> Option<u64> {
        lock(&self.0).get(entry).copied()
    }

    fn one(&self, remote: &Arc<Remote>, entry: Arc<str>, token: u64) -> ReturningOne {
        lock(&self.0).insert(Arc::clone(&entry), token);
        ReturningOne {
            remote: Arc::clone(remote),
            entry,
            token,
        }
    }
}

/// A lease on its way back, until it has arrived or been lost.
struct ReturningOne {
    remote: Arc<Remote>,
    entry: Arc<str>,
    token: u64,
}

impl Drop for ReturningOne {
    fn drop(&mut self) {
        let mut returning = lock(&self.remote.returning.0);
        if returning.get(&self.entry) == Some(&self.token) {
            returning.remove(&self.entry);
        }
    }
}
