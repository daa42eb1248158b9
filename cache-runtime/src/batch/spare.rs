//! The arguments of a batch function, which its body takes each time it runs.

use std::marker::PhantomData;

/// An argument of a batch function, for every run of its body.
#[derive(Debug)]
pub struct Spare<T> {
    again: Option<fn(&T) -> T>,
    value: Option<T>,
}

impl<T> Spare<T> {
    /// This argument, and how to have another one.
    pub fn new(again: Option<fn(&T) -> T>, value: T) -> Self {
        let value = Some(value);
        Self { again, value }
    }

    /// Whether it can be taken more than once.
    #[must_use]
    pub fn repeats(&self) -> bool {
        self.again.is_some()
    }

    /// The argument.
    pub fn take(&mut self) -> T {
        let taken = match (self.again, &self.value) {
            (Some(again), Some(value)) => Some(again(value)),
            _ => self.value.take(),
        };
        match taken {
            Some(value) => value,
            None => unreachable!("a body whose arguments cannot be had again is run once"),
        }
    }
}

/// Stands for the type of an argument: `(&Sort::of(&argument)).again()` finds out whether there can be another one, as in
/// `outcome.rs`.
#[derive(Debug)]
pub struct Sort<T>(PhantomData<fn() -> T>);

impl<T> Sort<T> {
    /// That of this argument.
    pub fn of(_: &T) -> Self {
        Self(PhantomData)
    }
}

/// An argument that can be cloned.
pub trait ViaClone<T> {
    /// How to have another one.
    fn again(&self) -> Option<fn(&T) -> T>;
}

impl<T: Clone> ViaClone<T> for Sort<T> {
    fn again(&self) -> Option<fn(&T) -> T> {
        Some(T::clone)
    }
}

/// Any other argument.
pub trait ViaMove<T> {
    /// There is no other one.
    fn again(&self) -> Option<fn(&T) -> T>;
}

impl<T> ViaMove<T> for &Sort<T> {
    fn again(&self) -> Option<fn(&T) -> T> {
        None
    }
}
