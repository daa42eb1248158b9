//! The background attempts: to find Redis again, and to find it willing to be written to.

use std::sync::Arc;

use super::{Doing, Remote, spawn};
use crate::breaker::Gate;
use crate::key::Key;
use crate::store::{Class, Trouble};

/// The one background attempt to find Redis again. However it ends, the breaker is not left half open.
pub(super) struct Probe {
    remote: Arc<Remote>,
    succeeded: bool,
}

impl Probe {
    pub(super) fn new(remote: &Arc<Remote>) -> Self {
        Self {
            remote: Arc::clone(remote),
            succeeded: false,
        }
    }

    pub(super) async fn run(mut self) {
        let remote = Arc::clone(&self.remote);
        if remote.refusals.keeps_away() {
            // Whoever refuses may have been replaced, and only a new connection leads to its successor.
            remote.store.disconnect();
        }
        if let Err(trouble) = remote.store.ping().await {
            return remote.refusals.still_away(&trouble);
        }
        let replayed = match remote.replay().await {
            Ok(replayed) => replayed,
            // It answers. What it does not delete is not believed, and all the rest is.
            Err(trouble) if trouble.is_of_one_command() => {
                remote.replays.failed();
                let _ = remote.note::<()>(Doing::Deleting, Err(trouble));
                remote.replay_soon();
                0
            }
            Err(trouble) => return remote.refusals.still_away(&trouble),
        };
        self.succeeded = true;
        let away = remote.breaker.close();
        remote.near.end_all();
        remote.refusals.back(away, replayed);
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if !self.succeeded {
            self.remote.breaker.reopen();
        }
    }
}

/// The one background attempt to write. However it ends, writing is not left half allowed.
struct WriteProbe {
    remote: Arc<Remote>,
    succeeded: bool,
}

impl Remote {
    /// Passes while Redis can be asked and lets itself be written to. What it refuses is not asked for again by every
    /// call: after a back-off one background attempt finds out, and nobody waits for it.
    pub(super) async fn ready_to_write(self: &Arc<Self>, key: &Key) -> Result<(), Trouble> {
        self.ready(key).await?;
        match self.refusals.writing.gate() {
            Gate::Pass => return Ok(()),
            Gate::Blocked => {}
            Gate::Probe => {
                let probe = WriteProbe {
                    remote: Arc::clone(self),
                    succeeded: false,
                };
                spawn(probe.run());
            }
        }
        match self.refusals.of_writing() {
            Some(refusal) => Err(Trouble::Withheld(refusal)),
            // It was allowed a moment ago.
            None => Ok(()),
        }
    }
}

impl WriteProbe {
    async fn run(mut self) {
        let remote = Arc::clone(&self.remote);
        match remote.store.try_to_write().await {
            Ok(()) => self.succeeded = true,
            Err(Trouble::Refused(refusal)) => return remote.refusals.unwritable(&refusal),
            Err(_) => return,
        }
        let refused = remote.refusals.of_writing();
        if refused.is_some_and(|refusal| refusal.class == Class::ReadOnly) {
            // The connections that there are lead to what was a replica, and may still be one.
            remote.store.disconnect();
        }
        remote.refusals.writable();
    }
}

impl Drop for WriteProbe {
    fn drop(&mut self) {
        if !self.succeeded {
            self.remote.refusals.writing.reopen();
        }
    }
}
