//! What of a returned value may be cached: the `Ok` of a `Result`, else all of it.
//!
//! The type checker tells the two apart, not the name of the type, so an alias of `Result` is a `Result`.
//! `(&Returns::<R>::HERE).outcome()` finds the impl on `Returns<Result<..>>` before the one on `&Returns<..>`, which needs one more reference.

use std::marker::PhantomData;

/// How to get at the cacheable part of what a function returns, and back.
pub trait Outcome {
    /// What the function returns.
    type Returned;
    /// What of it is cached. That it is a [`Value`](crate::Value) is asked where a call begins, so that it is asked once.
    type Value;

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
pub struct OkOf<T, E>(PhantomData<fn() -> (T, E)>);

/// The outcome of a function that returns anything else.
#[derive(Debug)]
pub struct Whole<T>(PhantomData<fn() -> T>);

impl<T, E> Outcome for OkOf<T, E> {
    type Returned = Result<T, E>;
    type Value = T;

    const CAN_FAIL: bool = true;

    fn split(returned: Self::Returned) -> Result<T, Self::Returned> {
        returned.map_err(Err)
    }

    fn join(value: T) -> Self::Returned {
        Ok(value)
    }
}

impl<T> Outcome for Whole<T> {
    type Returned = T;
    type Value = T;

    const CAN_FAIL: bool = false;

    fn split(returned: T) -> Result<T, T> {
        Ok(returned)
    }

    fn join(value: T) -> T {
        value
    }
}

/// Finds `OkOf` for a `Result`.
pub trait ViaResult {
    /// The outcome found.
    type Outcome;
    /// Names it.
    fn outcome(&self) -> Self::Outcome;
}

impl<T, E> ViaResult for Returns<Result<T, E>> {
    type Outcome = OkOf<T, E>;
    fn outcome(&self) -> Self::Outcome {
        OkOf(PhantomData)
    }
}

/// Finds `Whole` for every other type.
pub trait ViaValue {
    /// The outcome found.
    type Outcome;
    /// Names it.
    fn outcome(&self) -> Self::Outcome;
}

impl<T> ViaValue for &Returns<T> {
    type Outcome = Whole<T>;
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
