//! A call that its caller acts on: see [`crate::intent`].

use std::fmt;
use std::future::pending;

use super::{Boxed, Call, Turn};
use crate::entry::Found;
use crate::intent::{Intent, Purpose, Reached};
use crate::invalidate::Pending;
use crate::policy::{Age, Coalesce};
use crate::remote::entry_names;
use crate::seen::Seen;
use crate::value::Shared;

impl Call {
    /// Does what is intended in place of an ordinary turn. Unless it answers, it waits to be dropped.
    pub(super) fn act<'a>(&'a self, intent: &'a Intent) -> Boxed<'a, Turn> {
        Box::pin(self.do_what_is_intended(intent))
    }

    async fn do_what_is_intended(&self, intent: &Intent) -> Turn {
        let reached = match intent.purpose {
            Purpose::Refresh => return self.take_turn().await,
            Purpose::Trace | Purpose::Warm => {
                // Where Redis is away a call goes on, because one of them has to find it again.
                let near = self.cache.is_settled().then(|| self.query().near());
                return match near.flatten() {
                    Some(value) => Turn::Found(value),
                    None => self.take_turn().await,
                };
            }
            Purpose::Name => Reached::Entry(Box::new(Self {
                intent: None,
                ..self.clone()
            })),
            Purpose::Peek => match self.peek().await {
                Some(value) => return Turn::Found(value),
                None => Reached::Nothing,
            },
        };
        intent.reach(reached);
        pending().await
    }

    /// What a call would return without running the body.
    async fn peek(&self) -> Option<Shared> {
        match self.query().look_up().await {
            Found::Value(value) => Some(value),
            Found::Aged(aged, _) if self.terms.return_while_loading(aged.age) => {
                self.count(aged.age);
                Some(aged.value)
            }
            Found::Aged(..) | Found::Nothing(_) => {
                self.counters.misses.one();
                None
            }
        }
    }

    /// Whether all it does is say which entry it is about.
    pub(crate) fn is_named_only(&self) -> bool {
        let intent = self.intent.as_deref();
        intent.is_some_and(|intent| intent.purpose == Purpose::Name)
    }

    /// Whether it loads whatever is cached.
    pub(super) fn refreshes(&self) -> bool {
        let intent = self.intent.as_deref();
        intent.is_some_and(|intent| intent.purpose == Purpose::Refresh)
    }

    /// What there is; to a call that loads in any case, that is nothing.
    pub(super) async fn look(&self) -> Found {
        match self.query().fetch().await {
            Found::Aged(_, seen) if self.refreshes() => Found::Nothing(seen),
            found if self.warms() => self.unexpired(found),
            found => found,
        }
    }

    /// What tells the entry that was seen from the next one, for a call to which that is a difference.
    pub(super) fn stamp(&self, seen: &Seen) -> Option<Vec<u8>> {
        let remote = seen.remote.as_ref().filter(|_| self.refreshes());
        remote.map(|remote| remote.stamp.clone())
    }

    /// What Redis has after somebody else has been waited for, whose value is new. It may be shared with whoever follows.
    pub(super) async fn look_again(&self, before: Option<Vec<u8>>) -> Found {
        let renews = self.refreshes() || self.warms();
        let found = match self.query().fetch_to_share().await {
            // What the process has is not what somebody else has put there.
            Found::Aged(_, seen) if renews && seen.remote.is_none() => Found::Nothing(seen),
            Found::Aged(aged, seen) if self.refreshes() => {
                match aged.age == Age::Early && self.stamp(&seen) != before {
                    true => Found::Value(aged.value),
                    false => Found::Nothing(seen),
                }
            }
            found if self.warms() => self.unexpired(found),
            found => found,
        };
        if let Found::Value(_) = found {
            self.note_wait();
        }
        found
    }

    /// The lease that may be taken from its holder. Whoever loads whatever is cached takes anybody's, unless they are to
    /// be one: what the holder loads may be older.
    pub(super) fn overtakes(&self, seen: &Seen) -> Option<u64> {
        let remote = seen.remote.as_ref()?;
        let any = self.refreshes() && self.terms.coalesce != Coalesce::Fleet;
        remote.overtaken().or(remote.lease.filter(|_| any))
    }

    /// Sees to it that a value which could not take the place of the old one does not leave that behind.
    pub(super) async fn forget_the_old(&self) {
        if self.refreshes() {
            let _ = Pending::of_entries(&self.cache, [&self.key]).settle().await;
        }
    }

    /// The same without waiting for a Redis that does not answer; in Redis alone, where the new value is `kept` in process.
    pub(super) fn forget_the_old_later(&self, kept: bool) {
        match &self.cache.remote {
            _ if !self.refreshes() => {}
            Some(remote) if kept => remote.unlink_later(&entry_names(self.key.as_str())),
            None if kept => {}
            // Dropped before it has ended, it is forgotten everywhere.
            _ => Pending::of_entries(&self.cache, [&self.key]).begin(),
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
