//! How the results of a function are kept, and by whom its body is run.

use super::plain;
use crate::args::{CachedArgs, Given, Slot};
use crate::errors::Errors;
use crate::function::Function;
use crate::options::{Coalesce, Ttl};
use std::time::Duration;
use syn::{Error, Expr, Result};

/// How its results are kept, as far as the user said.
pub(crate) struct Policy {
    pub(crate) cache: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) ttl: Slot<Ttl>,
    pub(crate) version: Option<u32>,
    pub(crate) cache_if: Slot<Expr>,
    pub(crate) negative_ttl: Slot<Duration>,
    pub(crate) bypass: Slot<Expr>,
    pub(crate) codec: Option<&'static str>,
    pub(crate) compress: Slot<bool>,
    pub(crate) near: Option<bool>,
    pub(crate) near_ttl: Option<Duration>,
    pub(crate) coalesce: Option<Coalesce>,
    pub(crate) stale_while_revalidate: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
    pub(crate) early_refresh: bool,
    pub(crate) load_timeout: Option<Duration>,
    pub(crate) max_loads: Option<usize>,
    pub(crate) run: Run,
}

/// How the body is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// By the caller, who returns what it returns.
    Here,
    /// By the caller, who may return something else where it fails.
    OrStale,
    /// Where nobody waits for it, by a task of its own.
    Owned,
    /// By the caller, whose thread is blocked where it waits: the function is not `async`.
    Plain,
}

impl Policy {
    /// Takes the options that say how results are kept, and checks them.
    pub(super) fn new(args: &mut CachedArgs, function: &Function, errors: &mut Errors) -> Self {
        errors.keep(has_effect(args));
        let run = errors.keep(match function.is_async() {
            true => run(args, function),
            false => plain::run(args),
        });
        Self {
            cache: args.cache.take().map(|cache| cache.value.0),
            prefix: args.prefix.take().map(|prefix| prefix.value.0),
            ttl: args.ttl.take(),
            version: args.version.take().map(|version| version.value),
            cache_if: args.cache_if.take(),
            negative_ttl: args.negative_ttl.take(),
            bypass: args.bypass.take(),
            codec: args.codec.take().map(|codec| codec.value.0),
            compress: args.compress.take(),
            near: args.near.take().map(|near| near.value),
            near_ttl: args.near_ttl.take().map(|near_ttl| near_ttl.value),
            coalesce: args.coalesce.take().map(|coalesce| coalesce.value),
            stale_while_revalidate: duration(&mut args.stale_while_revalidate),
            stale_if_error: duration(&mut args.stale_if_error),
            early_refresh: args.early_refresh.take().is_some_and(|early| early.value),
            load_timeout: duration(&mut args.load_timeout),
            max_loads: args.max_loads.take().map(|loads| loads.value),
            run: run.unwrap_or(Run::Here),
        }
    }
}

fn duration(slot: &mut Slot<Duration>) -> Option<Duration> {
    slot.take().map(|duration| duration.value)
}

/// Options that another one makes pointless.
fn has_effect(args: &CachedArgs) -> Result<()> {
    let mut errors = Errors::default();
    if let (Some(_), Some(skip)) = (&args.key, &args.skip) {
        let message = "`skip` has no effect with `key`; remove it";
        errors.push(Error::new(skip.name.span(), message));
    }
    if let (Some(Given { value: false, .. }), Some(near_ttl)) = (&args.near, &args.near_ttl) {
        let message = "`near_ttl` has no effect with `near = false`; remove it";
        errors.push(Error::new(near_ttl.name.span(), message));
    }
    if let (Some(timeout), None) = (&args.load_timeout, &args.stale_if_error) {
        let message = "`load_timeout` returns an expired value once the load takes longer; say how old that may be, such as `stale_if_error = \"1h\"`";
        errors.push(Error::new(timeout.name.span(), message));
    }
    errors.finish(())
}

/// Who runs the body. A task of its own may outlive the caller, so it is for bodies that borrow nothing.
fn run(args: &CachedArgs, function: &Function) -> Result<Run> {
    let early = args.early_refresh.as_ref().is_some_and(|early| early.value);
    let ahead = early || args.stale_while_revalidate.is_some();
    let or_stale = early || args.stale_if_error.is_some();
    let background = args.background.as_ref();
    let borrowed = function.borrowed();
    let owned = borrowed.is_none();
    let mut errors = Errors::default();
    if let (Some(background), false, None) = (background, ahead, &args.load_timeout) {
        let message = "`background` says who loads while an expired value is returned; add `stale_while_revalidate = \"1m\"`, or remove it";
        errors.push(Error::new(background.name.span(), message));
    }
    match (background, &args.load_timeout, borrowed) {
        (Some(Given { value: false, .. }), Some(timeout), _) => {
            let message = "with `background = false` no load goes on after its call has returned; remove that, or `load_timeout`";
            errors.push(Error::new(timeout.name.span(), message));
        }
        (_, Some(Given { name, .. }), Some(place))
        | (Some(Given { name, value: true }), None, Some(place)) => {
            let message = format!(
                "`{name}` has a load go on after its call has returned, but `{place}` may be borrowed from the caller; take it owned, such as in an `Arc`, or remove `{name}`"
            );
            errors.push(Error::new(name.span(), message));
        }
        _ => {}
    }
    let wanted = (ahead && background.is_none_or(|background| background.value))
        || args.load_timeout.is_some();
    errors.finish(match (wanted && owned, or_stale) {
        (true, _) => Run::Owned,
        (false, true) => Run::OrStale,
        (false, false) => Run::Here,
    })
}
