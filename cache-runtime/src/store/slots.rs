//! The connection of each runtime: a process may have many of them, one after another or side by side.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::{Handle, Id};

use super::Trouble;
use super::batch::Batches;
use super::connect::Link;
use crate::clock;

/// Runtimes remembered at once. Beyond, the oldest connections are dropped, and made again when asked for.
const MAX_RUNTIMES: usize = 64;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Everything that is not to be held up.
    Reading,
    /// Waiting for replicas, which holds up whatever comes after it on the same connection.
    Confirming,
}

/// The connection of one runtime.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) link: Mutex<Option<Link>>,
    /// Held while connecting, so that those who come meanwhile wait for the same attempt.
    pub(super) connecting: tokio::sync::Mutex<()>,
    /// How many attempts have failed, and why the last did: whoever waited for one does not make another.
    pub(super) failed: Mutex<(u64, Option<Trouble>)>,
    /// Reads that wait to travel together.
    pub(super) batches: Batches,
    /// Whether the runtime was built without its time or IO driver, so that nothing can be asked from within it.
    pub(super) unfit: AtomicBool,
}

/// The connections of all runtimes.
#[derive(Default)]
pub(super) struct Slots(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The oldest first. Few enough to look at each.
    slots: Vec<(Id, Purpose, Arc<Slot>)>,
}

impl Slots {
    /// That of the runtime that asks.
    pub(super) fn here(&self, purpose: Purpose) -> Result<Arc<Slot>, Trouble> {
        let runtime = Handle::try_current().map_err(|_| Trouble::NoRuntime)?.id();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slots = known.slots.iter();
        if let Some((.., slot)) = slots.find(|(id, of, _)| (*id, *of) == (runtime, purpose)) {
            return Ok(Arc::clone(slot));
        }
        if known.slots.len() >= MAX_RUNTIMES {
            known.slots.remove(0);
        }
        let slot = Arc::new(Slot {
            unfit: AtomicBool::new(!clock::has_timers()),
            ..Slot::default()
        });
        known.slots.push((runtime, purpose, Arc::clone(&slot)));
        Ok(slot)
    }

    pub(super) fn clear(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.slots.clear();
    }
}
