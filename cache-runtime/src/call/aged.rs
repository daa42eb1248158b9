//! Values that have expired, or soon will: when one is returned, and what is counted then.

use std::time::Duration;

use super::{Boxed, Call, Turn};
use crate::clock::{self, Instant};
use crate::entry::{Aged, Found};
use crate::log;
use crate::policy::Age;
use crate::value::Shared;

impl Call {
    /// How long a load is waited for before an expired value is returned; `None`: to its end.
    pub(super) fn patience(&self, aged: Option<&Aged>) -> Option<Duration> {
        let limit = self.terms.load_timeout?;
        let returnable = aged.is_some_and(|aged| self.terms.return_on_error(aged.age));
        returnable.then_some(limit)
    }

    /// Whether to return a value, found a moment ago, rather than to wait for the one that another process has been asked
    /// for since.
    pub(super) fn is_waited_enough(&self, aged: &Aged, since: Instant) -> bool {
        let waited = clock::now().saturating_duration_since(since);
        self.terms.return_while_loading(aged.age)
            || self
                .patience(Some(aged))
                .is_some_and(|limit| waited >= limit)
    }

    /// A value that calls for another one, which somebody loads.
    pub(super) fn aged(&self, aged: Aged) -> Turn {
        self.count(aged.age);
        Turn::Found(aged.value)
    }

    pub(super) fn count(&self, age: Age) {
        self.note_age(age);
        match age {
            Age::Early => self.counters.store_hits.one(),
            Age::Expired(_) => self.counters.stale_served.one(),
        }
    }

    /// What may be returned instead of what cannot be loaded, or takes too long: looked for anew, because it may have been
    /// invalidated since it was found.
    pub(super) fn instead(&self) -> Boxed<'_, Option<Shared>> {
        Box::pin(async {
            match self.query().fetch().await {
                Found::Value(value) => Some(value),
                Found::Aged(aged, _) if self.terms.return_on_error(aged.age) => {
                    self.count(aged.age);
                    log::stale(self.key.as_str());
                    Some(aged.value)
                }
                Found::Aged(..) | Found::Nothing(_) => None,
            }
        })
    }
}
