//! What a batch function returns, id by id.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use crate::value::{Shared, Value};

/// In the place of a value: the load has found that there is none. Given to those who wait for it, and never stored.
pub(crate) struct Absent;

/// The values of many ids: a map from the id, where an id may have none; or a list, with one value for each id in order.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which value is whose",
    label = "a batch function returns the values of its ids",
    note = "return a `HashMap` or `BTreeMap` from the id to its value, a `Vec` with one value for each id in order, or a `Result` of one of these; a value is `Clone + serde::Serialize + serde::de::DeserializeOwned + Send + Sync + 'static`"
)]
pub trait Collection<Id>: Sized {
    /// The value of one id.
    type Value: Value;
    /// The same, or that there is none, as the entry of an id holds it.
    type OrNone: Value;
    /// Whether an id may have none.
    const LACKS: bool;

    /// The value of each of these ids, in their order. Where it is not said which is whose, the whole is given back.
    ///
    /// # Errors
    /// The whole.
    fn take_apart(self, ids: &[Id]) -> Result<Vec<Option<Self::Value>>, Self>;

    /// The whole for these ids and their values.
    fn put_together(values: impl Iterator<Item = (Id, Option<Self::Value>)>) -> Self;

    /// What the entry of an id holds that may have no value; `None`: there is no entry.
    fn or_none(value: Option<&Self::Value>) -> Option<Self::OrNone>;

    /// The value in such an entry.
    fn value(held: Self::OrNone) -> Option<Self::Value>;
}

/// What stands for an id in a map: the id, or what it is turned into by `From`.
#[diagnostic::on_unimplemented(
    message = "this map is by `{Self}`, but the ids are of type `{Id}`",
    label = "whose value is whose is not known",
    note = "return a map by `{Id}`, or by a type that is `From<{Id}>`"
)]
pub trait Names<Id> {
    /// The name of this id.
    fn name(id: Id) -> Self;
}

#[diagnostic::do_not_recommend]
impl<Id, K: From<Id>> Names<Id> for K {
    fn name(id: Id) -> Self {
        id.into()
    }
}

impl<Id, K, V, S> Collection<Id> for HashMap<K, V, S>
where
    Id: Clone,
    K: Names<Id> + Eq + Hash,
    V: Value,
    S: BuildHasher + Default,
{
    type Value = V;
    type OrNone = Option<V>;
    const LACKS: bool = true;

    fn take_apart(mut self, ids: &[Id]) -> Result<Vec<Option<V>>, Self> {
        let values = ids.iter().map(|id| self.remove(&K::name(id.clone())));
        Ok(values.collect())
    }

    fn put_together(values: impl Iterator<Item = (Id, Option<V>)>) -> Self {
        let there = values.filter_map(|(id, value)| Some((K::name(id), value?)));
        there.collect()
    }

    fn or_none(value: Option<&V>) -> Option<Option<V>> {
        Some(value.cloned())
    }

    fn value(held: Option<V>) -> Option<V> {
        held
    }
}

impl<Id, K, V> Collection<Id> for BTreeMap<K, V>
where
    Id: Clone,
    K: Names<Id> + Ord,
    V: Value,
{
    type Value = V;
    type OrNone = Option<V>;
    const LACKS: bool = true;

    fn take_apart(mut self, ids: &[Id]) -> Result<Vec<Option<V>>, Self> {
        let values = ids.iter().map(|id| self.remove(&K::name(id.clone())));
        Ok(values.collect())
    }

    fn put_together(values: impl Iterator<Item = (Id, Option<V>)>) -> Self {
        let there = values.filter_map(|(id, value)| Some((K::name(id), value?)));
        there.collect()
    }

    fn or_none(value: Option<&V>) -> Option<Option<V>> {
        Some(value.cloned())
    }

    fn value(held: Option<V>) -> Option<V> {
        held
    }
}

impl<Id, V: Value> Collection<Id> for Vec<V> {
    type Value = V;
    type OrNone = V;
    const LACKS: bool = false;

    fn take_apart(self, ids: &[Id]) -> Result<Vec<Option<V>>, Self> {
        match self.len() == ids.len() {
            true => Ok(self.into_iter().map(Some).collect()),
            false => Err(self),
        }
    }

    fn put_together(values: impl Iterator<Item = (Id, Option<V>)>) -> Self {
        values.filter_map(|(_, value)| value).collect()
    }

    fn or_none(value: Option<&V>) -> Option<V> {
        value.cloned()
    }

    fn value(held: V) -> Option<V> {
        Some(held)
    }
}

/// What the entry of one id holds.
pub trait Holding<Id, C: Collection<Id>> {
    /// The type of it, which is that of a function of a single id that has the same key.
    type Held: Value;

    /// What it is to hold; `None`: there is to be none.
    #[doc(hidden)]
    fn hold(value: Option<&C::Value>) -> Option<Self::Held>;

    /// The value that it holds.
    #[doc(hidden)]
    fn value(held: Self::Held) -> Option<C::Value>;
}

/// The value: an id without one has no entry.
#[derive(Debug)]
pub struct HoldsValue;

/// The value, or that there is none.
#[derive(Debug)]
pub struct HoldsOption;

impl<Id, C: Collection<Id>> Holding<Id, C> for HoldsValue {
    type Held = C::Value;

    fn hold(value: Option<&C::Value>) -> Option<C::Value> {
        value.cloned()
    }

    fn value(held: C::Value) -> Option<C::Value> {
        Some(held)
    }
}

impl<Id, C: Collection<Id>> Holding<Id, C> for HoldsOption {
    type Held = C::OrNone;

    fn hold(value: Option<&C::Value>) -> Option<C::OrNone> {
        C::or_none(value)
    }

    fn value(held: C::OrNone) -> Option<C::Value> {
        C::value(held)
    }
}

/// The values of some ids, or the whole where it is not said which is whose.
type Apart<C, V> = Result<Vec<Option<V>>, C>;

/// How to get at what a batch function returns, and back, for code that knows none of its traits: so that what cannot be
/// cached is one error, where a call begins.
pub(crate) struct Grip<Id, C, V> {
    /// The value of an id as others see it.
    pub(crate) share: fn(Option<&V>) -> Option<Shared>,
    /// The value of an id that others have found or loaded; the outer `None` where it is of another type.
    pub(crate) take: fn(&Shared) -> Option<Option<V>>,
    pub(crate) clone: fn(&V) -> V,
    pub(crate) take_apart: fn(C, &[Id]) -> Apart<C, V>,
    pub(crate) put_together: fn(Vec<(Id, Option<V>)>) -> C,
    /// Whether an id may have no value.
    pub(crate) lacks: bool,
}

impl<Id, C: Collection<Id>> Grip<Id, C, C::Value> {
    pub(crate) fn of<H: Holding<Id, C>>() -> Self {
        Self {
            share: share::<Id, C, H>,
            take: take::<Id, C, H>,
            clone: C::Value::clone,
            take_apart: C::take_apart,
            put_together: |values| C::put_together(values.into_iter()),
            lacks: C::LACKS,
        }
    }
}

fn share<Id, C: Collection<Id>, H: Holding<Id, C>>(value: Option<&C::Value>) -> Option<Shared> {
    H::hold(value).map(|held| -> Shared { Arc::new(held) })
}

fn take<Id, C: Collection<Id>, H: Holding<Id, C>>(value: &Shared) -> Option<Option<C::Value>> {
    if C::LACKS && value.is::<Absent>() {
        return Some(None);
    }
    let held = value.downcast_ref::<H::Held>()?;
    Some(H::value(held.clone()))
}
