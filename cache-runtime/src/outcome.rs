//! What of a returned value may be cached: the `Ok` of a `Result`, else all of it.
//!
//! The type checker tells them apart, not the name of the type, so an alias of `Result` is a `Result`, and one of `Arc` an `Arc`.
//! `(&&&&Returns::<R>::HERE).outcome()` finds the impl with the most references first, which is the one for the most special type.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::value::{self, Shared, Value};

/// How to get at the cacheable part of what a function returns, and back.
pub trait Outcome {
    /// What the function returns.
    type Returned;
    /// What of it is cached. That it is a [`Value`](crate::Value) is asked where a call begins, so that it is asked once.
    type Value;
    /// How a hit in the process gets at it.
    type Held: Held<Self::Value>;

    /// Whether there may be nothing to cache because the function failed.
    const CAN_FAIL: bool;

    /// The value to cache, or what was returned where there is none.
    fn split(returned: Self::Returned) -> Result<Self::Value, Self::Returned>;

    /// What the function would have returned for this value.
    fn join(value: Self::Value) -> Self::Returned;
}

/// A value of no size that stands for the return type `R`.
#[derive(Debug)]
pub struct Returns<R>(PhantomData<fn() -> R>);

impl<R> Returns<R> {
    /// The only value.
    pub const HERE: Self = Self(PhantomData);
}

/// The outcome of a function that returns `Result<T, E>`.
#[derive(Debug)]
pub struct OkOf<T, E, H>(PhantomData<fn(T, E, H)>);

/// The outcome of a function that returns anything else.
#[derive(Debug)]
pub struct Whole<T, H>(PhantomData<fn(T, H)>);

impl<T, E, H: Held<T>> Outcome for OkOf<T, E, H> {
    type Returned = Result<T, E>;
    type Value = T;
    type Held = H;

    const CAN_FAIL: bool = true;

    fn split(returned: Self::Returned) -> Result<T, Self::Returned> {
        returned.map_err(Err)
    }

    fn join(value: T) -> Self::Returned {
        Ok(value)
    }
}

impl<T, H: Held<T>> Outcome for Whole<T, H> {
    type Returned = T;
    type Value = T;
    type Held = H;

    const CAN_FAIL: bool = false;

    fn split(returned: T) -> Result<T, T> {
        Ok(returned)
    }

    fn join(value: T) -> T {
        value
    }
}

/// What a hit takes a value from, and how.
pub trait Held<V> {
    /// What stands for the value where hits look first.
    fn core(value: &Shared) -> Shared
    where
        V: Value;

    /// Puts a clone of the value into its place, which is held by itself or by its core, unless that is of another type. It is
    /// made there, and not copied.
    fn take(held: &Shared, place: &mut Option<V>)
    where
        V: Value;
}

/// By itself.
#[derive(Debug)]
pub struct Itself;

/// An [`Arc`] by what it points to: there is one pointer to follow, and not two.
#[derive(Debug)]
pub struct Pointee;

impl<V> Held<V> for Itself {
    fn core(value: &Shared) -> Shared {
        Arc::clone(value)
    }

    #[inline(always)]
    fn take(held: &Shared, place: &mut Option<V>)
    where
        V: Value,
    {
        if let Some(value) = held.downcast_ref::<V>() {
            *place = Some(value.clone());
        }
    }
}

impl<T: Any + Send + Sync> Held<Arc<T>> for Pointee {
    fn core(value: &Shared) -> Shared {
        match value.downcast_ref::<Arc<T>>() {
            Some(pointer) => Arc::<T>::clone(pointer),
            None => Arc::clone(value),
        }
    }

    #[inline(always)]
    fn take(held: &Shared, place: &mut Option<Arc<T>>)
    where
        Arc<T>: Value,
    {
        *place = match Shared::clone(held).downcast() {
            Ok(value) => Some(value),
            Err(whole) => take_from(&whole),
        }
    }
}

/// The same of a value that has no core.
#[cold]
fn take_from<V: Value>(whole: &Shared) -> Option<V> {
    value::take(whole)
}

/// Finds the outcome of a function that returns `Result<Arc<T>, E>`.
pub trait ViaResultOfArc {
    /// The outcome found.
    type Outcome;
    /// Names it.
    fn outcome(&self) -> Self::Outcome;
}

impl<T: Any + Send + Sync, E> ViaResultOfArc for &&&Returns<Result<Arc<T>, E>> {
    type Outcome = OkOf<Arc<T>, E, Pointee>;
    fn outcome(&self) -> Self::Outcome {
        OkOf(PhantomData)
    }
}

/// Finds that of one that returns another `Result`.
pub trait ViaResult {
    /// The outcome found.
    type Outcome;
    /// Names it.
    fn outcome(&self) -> Self::Outcome;
}

impl<T, E> ViaResult for &&Returns<Result<T, E>> {
    type Outcome = OkOf<T, E, Itself>;
    fn outcome(&self) -> Self::Outcome {
        OkOf(PhantomData)
    }
}

/// Finds that of one that returns an [`Arc`].
pub trait ViaArc {
    /// The outcome found.
    type Outcome;
    /// Names it.
    fn outcome(&self) -> Self::Outcome;
}

impl<T: Any + Send + Sync> ViaArc for &Returns<Arc<T>> {
    type Outcome = Whole<Arc<T>, Pointee>;
    fn outcome(&self) -> Self::Outcome {
        Whole(PhantomData)
    }
}

/// Finds that of every other one.
pub trait ViaValue {
    /// The outcome found.
    type Outcome;
    /// Names it.
    fn outcome(&self) -> Self::Outcome;
}

impl<T> ViaValue for Returns<T> {
    type Outcome = Whole<T, Itself>;
    fn outcome(&self) -> Self::Outcome {
        Whole(PhantomData)
    }
}

/// Whether a mutating function succeeded: `Ok` of a `Result`.
pub trait SucceedsIfOk<R> {
    /// The question, as a function.
    fn success(&self) -> fn(&R) -> bool;
}

impl<T, E> SucceedsIfOk<Result<T, E>> for Returns<Result<T, E>> {
    fn success(&self) -> fn(&Result<T, E>) -> bool {
        Result::is_ok
    }
}

/// Whether a mutating function succeeded: always, where it cannot say that it failed.
pub trait SucceedsAlways<R> {
    /// The question, as a function.
    fn success(&self) -> fn(&R) -> bool;
}

impl<R> SucceedsAlways<R> for &Returns<R> {
    fn success(&self) -> fn(&R) -> bool {
        |_| true
    }
}

#[cfg(test)]
mod tests {
    use std::any::type_name_of_val;

    use super::*;

    type Alias<T> = Arc<T>;

    struct Local;

    fn took<V: Value, H: Held<V>>(held: &Shared) -> Option<V> {
        let mut place = None;
        H::take(held, &mut place);
        place
    }

    #[test]
    #[expect(clippy::needless_borrow, reason = "as an expansion does it")]
    fn the_most_special_type_is_found() {
        let result = (&&&&Returns::<Result<u8, String>>::HERE).outcome();
        let of_arc = (&&&&Returns::<Result<Arc<u8>, String>>::HERE).outcome();
        let arc = (&&&&Returns::<Alias<u8>>::HERE).outcome();
        let unsized_arc = (&&&&Returns::<Arc<str>>::HERE).outcome();
        let local = (&&&&Returns::<Arc<std::cell::Cell<u8>>>::HERE).outcome();
        let other = (&&&&Returns::<Local>::HERE).outcome();
        let _: OkOf<u8, String, Itself> = result;
        let _: OkOf<Arc<u8>, String, Pointee> = of_arc;
        let _: Whole<Arc<u8>, Pointee> = arc;
        // What cannot be a value of no known type stays whole.
        let _: Whole<Arc<str>, Itself> = unsized_arc;
        let _: Whole<Arc<std::cell::Cell<u8>>, Itself> = local;
        let _: Whole<Local, Itself> = other;
    }

    #[test]
    fn an_arc_is_taken_from_what_it_points_to_and_from_itself() {
        let value = Arc::new(String::from("one"));
        let whole: Shared = Arc::new(Arc::clone(&value));
        let core = <Pointee as Held<Arc<String>>>::core(&whole);
        assert!(core.is::<String>(), "{}", type_name_of_val(&core));
        for held in [&whole, &core] {
            let taken = took::<Arc<String>, Pointee>(held);
            assert!(taken.is_some_and(|taken| Arc::ptr_eq(&taken, &value)));
        }
        assert_eq!(took::<Arc<u64>, Pointee>(&core), None);
        assert_eq!(took::<String, Itself>(&whole), None);
        assert_eq!(Arc::strong_count(&value), 3, "nothing else is left");
    }
}
