//! Invalidations that Redis has not confirmed, to be replayed before it is trusted again.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names remembered one by one; beyond, everything is forgotten in their stead.
const CAPACITY: usize = 10_000;

/// A bounded set of names that must be deleted in Redis.
#[derive(Debug)]
pub(crate) struct Journal {
    names: Mutex<HashSet<String>>,
    /// Whether `names` holds anything, readable without the lock.
    pending: AtomicBool,
    /// The name whose deletion covers every other: the generation of the root.
    everything: String,
}

impl Journal {
    pub(crate) fn new(everything: String) -> Self {
        Self {
            names: Mutex::default(),
            pending: AtomicBool::new(false),
            everything,
        }
    }

    pub(crate) fn remember(&self, names: &[String]) {
        let mut remembered = self.lock();
        remembered.extend(names.iter().cloned());
        if remembered.len() > CAPACITY {
            remembered.clear();
            remembered.insert(self.everything.clone());
        }
        // Release, with the Acquire below: who sees the flag finds the names.
        self.pending
            .store(!remembered.is_empty(), Ordering::Release);
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    /// These have been deleted. What was remembered meanwhile stays.
    pub(crate) fn settle(&self, names: &[String]) {
        let mut remembered = self.lock();
        for name in names {
            remembered.remove(name);
        }
        self.pending
            .store(!remembered.is_empty(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_is_remembered_as_everything() {
        let journal = Journal::new("gen@".into());
        for number in 0..=CAPACITY {
            journal.remember(&[format!("video:{number}")]);
        }

        assert_eq!(journal.names(), ["gen@"]);
        journal.settle(&["gen@".into()]);
        assert!(!journal.is_pending());
    }
}
