//! Noting where the value of a call comes from, for a caller who asks. What is noted last is what is returned.

use super::Call;
use crate::entry::Found;
use crate::intent::{Intent, Purpose};
use crate::policy::Age;
use crate::traced::{Source, Trace};

impl Call {
    /// Where it is noted; `None` where nobody asks.
    pub(super) fn tracing(&self) -> Option<&Intent> {
        self.intent.as_deref().filter(|intent| intent.traces())
    }

    pub(super) fn note(&self, trace: Trace) {
        if let Some(intent) = self.tracing() {
            intent.note(trace);
        }
    }

    /// Notes what a body returned.
    pub(super) fn note_load<T, E>(&self, loaded: &Result<T, E>) {
        self.note(match loaded {
            Ok(_) => Trace::loaded(),
            Err(_) => Trace::failed(),
        });
    }

    /// Notes that what was found is returned though it has expired.
    pub(super) fn note_age(&self, age: Age) {
        if let (Some(intent), Age::Expired(_)) = (self.tracing(), age) {
            intent.amend(|trace| trace.source = Source::Stale);
        }
    }

    /// Notes that what was found is what another process was waited for.
    pub(super) fn note_wait(&self) {
        if let Some(intent) = self.tracing() {
            intent.amend(|trace| trace.coalesced = true);
        }
    }

    /// Whether it loads unless there is a value that has not expired.
    pub(super) fn warms(&self) -> bool {
        let intent = self.intent.as_deref();
        intent.is_some_and(|intent| intent.purpose == Purpose::Warm)
    }

    /// What was found, to a call that warms: what has not expired is a value, and all else is nothing.
    pub(super) fn unexpired(&self, found: Found) -> Found {
        match found {
            Found::Aged(aged, seen) => match aged.age {
                Age::Early => {
                    self.count(aged.age);
                    Found::Value(aged.value)
                }
                Age::Expired(_) => Found::Nothing(seen),
            },
            found => found,
        }
    }
}
