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
    label = "a batch function returns the values of its ids, each of type `{Id}`",
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

impl<Id, K, V, S> Collection<Id> for HashMap<K, V, S>
where
    Id: Clone,
    K: From<Id> + Eq + Hash,
    V: Value,
    S: BuildHasher + Default,
{
    type Value = V;
    type OrNone = Option<V>;
    const LACKS: bool = true;

    fn take_apart(mut self, ids: &[Id]) -> Result<Vec<Option<V>>, Self> {
        let values = ids.iter().map(|id| self.remove(&K::from(id.clone())));
        Ok(values.collect())
    }

    fn put_together(values: impl Iterator<Item = (Id, Option<V>)>) -> Self {
        let there = values.filter_map(|(id, value)| Some((K::from(id), value?)));
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
    K: From<Id> + Ord,
    V: Value,
{
    type Value = V;
    type OrNone = Option<V>;
    const LACKS: bool = true;

    fn take_apart(mut self, ids: &[Id]) -> Result<Vec<Option<V>>, Self> {
        let values = ids.iter().map(|id| self.remove(&K::from(id.clone())));
        Ok(values.collect())
    }

    fn put_together(values: impl Iterator<Item = (Id, Option<V>)>) -> Self {
        let there = values.filter_map(|(id, value)| Some((K::from(id), value?)));
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

/// The value of an id as others see it.
pub(crate) fn share<Id, C: Collection<Id>, H: Holding<Id, C>>(
    value: Option<&C::Value>,
) -> Option<Shared> {
    H::hold(value).map(|held| -> Shared { Arc::new(held) })
}

/// The value of an id that others have found or loaded; the outer `None` where it is of another type.
pub(crate) fn take<Id, C: Collection<Id>, H: Holding<Id, C>>(
    value: &Shared,
) -> Option<Option<C::Value>> {
    if C::LACKS && value.is::<Absent>() {
        return Some(None);
    }
    let held = value.downcast_ref::<H::Held>()?;
    Some(H::value(held.clone()))
}
