//! The leave to fill. It is taken before the load begins, a fill consumes it, and whatever drops it gives it back.

use std::sync::Arc;

use tokio::task::AbortHandle;

use crate::remote::Remote;

/// What the leader of a flight may do with its value.
#[derive(Debug)]
pub(crate) enum Permit {
    /// Store it in Redis, while this lease stands there.
    Leased(Lease),
    /// Keep it in process, unless the entry was invalidated meanwhile.
    Local,
    /// Return it, and store it nowhere: another process is loading, or the entry changes too fast.
    None,
}

/// A lease that Redis was asked for, and granted, for one entry.
#[derive(Debug)]
pub(crate) struct Lease {
    remote: Arc<Remote>,
    entry: Arc<str>,
    token: u64,
    spent: bool,
    renewal: Option<AbortHandle>,
}

impl Lease {
    pub(crate) fn asked_for(remote: Arc<Remote>, entry: Arc<str>, token: u64) -> Self {
        Self {
            remote,
            entry,
            token,
            spent: false,
            renewal: None,
        }
    }

    pub(crate) fn token(&self) -> u64 {
        self.token
    }

    pub(crate) fn entry(&self) -> &str {
        &self.entry
    }

    /// Keeps it alive from now on, until it is spent or dropped: as long as this runtime lives, however long the load takes.
    pub(crate) fn keep_alive(&mut self) {
        let renewal = Remote::keep_alive(&self.remote, Arc::clone(&self.entry), self.token);
        // Outside of any runtime the one that there is goes on.
        if let Some(renewal) = renewal
            && let Some(before) = self.renewal.replace(renewal)
        {
            before.abort();
        }
    }

    /// There is nothing to give back: the fill has removed the lease, or it was not granted.
    pub(crate) fn spend(mut self) {
        self.spent = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(renewal) = &self.renewal {
            renewal.abort();
        }
        if !self.spent {
            Remote::release_later(&self.remote, Arc::clone(&self.entry), self.token);
        }
    }
}
