//! What is known of the ids of one call, and what is asked for.

use std::any::type_name;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use crate::__private::asks_near;
use crate::call::{Call, Ttl};
use crate::collection::{Collection, Grip, Holding};
use crate::entry;
use crate::held::Held;
use crate::inner::Inner;
use crate::intent::{Intent, Purpose};
use crate::key::{Key, KeyWriter, Unwritable};
use crate::near::{Asker, Kept};
use crate::policy::Terms;
use crate::site::{Bound, CallSite};
use crate::traced::{Source, Trace};
use crate::value::{Kind, Shared};
use crate::variable;

/// What is asked for: each key once, however often its id was given.
pub(super) struct Asked<Id, C, V> {
    pub(super) site: &'static CallSite,
    pub(super) bound: Arc<Bound>,
    pub(super) grip: Grip<Id, C, V>,
    /// Which key each id has.
    pub(super) keys: Vec<usize>,
    /// What is known of each key: its value, or that there is none.
    pub(super) known: Vec<Option<Option<V>>>,
    /// The others: which id, which key, which call.
    pub(super) calls: Vec<(usize, usize, Call)>,
}

/// What every call of one batch has in common.
pub(super) struct Site<'a> {
    pub(super) site: &'static CallSite,
    pub(super) cache: &'a Arc<Inner>,
    pub(super) bound: &'a Arc<Bound>,
    pub(super) kind: Kind,
    pub(super) intent: Option<&'a Arc<Intent>>,
}

impl Site<'_> {
    /// What the process has under a key.
    fn kept<T>(&self, key: &str, asker: Asker, taken: fn(&Shared) -> Option<T>) -> Option<T> {
        let traced = self.intent.filter(|intent| intent.traces());
        let mut found = None;
        let take = |kept: &Kept| {
            found = taken(kept.value());
            if let (Some(intent), Some(_)) = (traced, &found) {
                intent.note(Trace::found(Source::Near, kept.age()));
            }
            found.is_some()
        };
        entry::near(self.cache, (key, None), (asker, self.kind.identity()), take);
        found
    }

    /// What the process has of these ids, and the calls of those that it does not have.
    pub(super) fn ask<Id, C, H, K>(
        &self,
        text: &mut String,
        ids: &[Id],
        key: K,
    ) -> Result<Asked<Id, C, C::Value>, Unwritable>
    where
        C: Collection<Id>,
        H: Holding<Id, C>,
        K: Fn(&mut KeyWriter<'_>, &Id),
    {
        let cache = self.cache;
        let policy = self.site.policy();
        let mut terms = cache.terms(policy, policy.draw());
        let purpose = self.intent.map(|intent| intent.purpose);
        if purpose == Some(Purpose::Refresh) {
            terms.early = f64::INFINITY;
        }
        // While Redis is away a call goes on, because one of them has to find it again.
        let traced = self.intent.is_some_and(|intent| intent.traces());
        let near = asks_near(purpose) || traced;
        let near = near && terms.near.allow() && cache.is_settled();
        let ttl = Ttl::Fixed(cache.ttl(self.site.ttl(variable::ttl)));
        let mut named: HashMap<Box<str>, usize> = HashMap::with_capacity(ids.len());
        let mut asked = Asked {
            site: self.site,
            bound: Arc::clone(self.bound),
            grip: Grip::of::<H>(),
            keys: Vec::with_capacity(ids.len()),
            known: Vec::new(),
            calls: Vec::new(),
        };
        for (place, id) in ids.iter().enumerate() {
            text.clear();
            let instance = (type_name::<K>(), self.kind.identity().type_id);
            let write = |writer: &mut KeyWriter<'_>| key(writer, id);
            let origin = (self.bound).write(text, cache.hash_key(), instance, &write)?;
            let number = asked.known.len();
            match named.entry(text.as_str().into()) {
                Slot::Occupied(same) => {
                    asked.keys.push(*same.get());
                    continue;
                }
                Slot::Vacant(slot) => slot.insert(number),
            };
            asked.keys.push(number);
            let asker = Asker::new(origin, &terms);
            let found = near.then(|| self.kept(text, asker, asked.grip.take));
            let found = found.flatten();
            match &found {
                Some(_) => self.bound.counters.near_hit(),
                None => {
                    let key = Key::new(text, self.bound.levels(text), origin);
                    asked
                        .calls
                        .push((place, number, self.call(key, ttl, terms)));
                }
            }
            asked.known.push(found);
        }
        Ok(asked)
    }

    fn call(&self, key: Key, ttl: Ttl, terms: Terms) -> Call {
        Call {
            site: Some(self.site),
            key,
            kind: self.kind,
            ttl,
            ruling: None,
            terms,
            counters: Held::Own(Arc::clone(&self.bound.counters)),
            limit: self.bound.limit.clone(),
            cache: Held::Own(Arc::clone(self.cache)),
            intent: self.intent.map(Arc::clone),
        }
    }
}

impl<Id, C, V> Asked<Id, C, V> {
    /// What the function returns for its ids.
    pub(super) fn finish(mut self, ids: Vec<Id>) -> C {
        let mut uses = vec![0_usize; self.known.len()];
        for key in &self.keys {
            if let Some(uses) = uses.get_mut(*key) {
                *uses += 1;
            }
        }
        let values = ids.into_iter().zip(&self.keys).map(|(id, key)| {
            let uses = uses.get_mut(*key);
            let left = uses.map(|uses| {
                *uses = uses.saturating_sub(1);
                *uses
            });
            let value = match (left, self.known.get_mut(*key)) {
                (_, None) => None,
                // The last one needs no copy.
                (Some(0), Some(known)) => known.take().flatten(),
                (_, Some(known)) => known.as_ref().and_then(|known| {
                    let value = known.as_ref()?;
                    Some((self.grip.clone)(value))
                }),
            };
            (id, value)
        });
        (self.grip.put_together)(values.collect())
    }
}
