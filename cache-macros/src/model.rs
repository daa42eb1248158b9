//! Options and function brought together: what makes the key, which policy holds. Every check that needs both is here.

mod plain;
mod returned;
mod sensitive;

use crate::args::{CachedArgs, Given, InvalidateArgs, Options as _, Slot};
use crate::arguments::{Argument, Arguments, Shown};
use crate::errors::Errors;
use crate::function::Function;
use crate::options::{Coalesce, Prefixes, Tags, Ttl, When};
use crate::template::{Piece, Template};
use proc_macro2::{Span, TokenStream};
use returned::{is_owned, opaque, returns_something};
use sensitive::{all_are_named, none_is_skipped};
use std::time::Duration;
use syn::{Error, Ident, Member, Path, Result, Type};

/// A function whose results are kept.
pub(crate) struct CachedFn {
    pub(crate) frame: Frame,
    pub(crate) policy: Policy,
    pub(crate) key: Key,
    pub(crate) tags: Vec<Vec<Part>>,
}

/// How its results are kept, as far as the user said.
pub(crate) struct Policy {
    pub(crate) cache: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) ttl: Slot<Ttl>,
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

/// A function after which something is forgotten.
pub(crate) struct InvalidatingFn {
    pub(crate) frame: Frame,
    pub(crate) cache: Option<String>,
    pub(crate) when: When,
    pub(crate) targets: Vec<Target>,
}

/// What both attributes need of a function.
pub(crate) struct Frame {
    pub(crate) function: Function,
    pub(crate) arguments: Arguments,
    pub(crate) returned: Type,
    /// Where the runtime is, if not where it is installed.
    pub(crate) runtime: Option<Path>,
}

pub(crate) enum Key {
    /// These arguments, and the function.
    Arguments(Vec<Argument>),
    Template(Vec<Part>),
}

pub(crate) enum Target {
    Prefix(String),
    Entry { prefix: String, key: Vec<Part> },
    Tag(Vec<Part>),
}

/// A piece of a template whose argument was found.
pub(crate) enum Part {
    Text(String),
    /// An argument, or a field of it.
    Value(Ident, Vec<Member>, Shown),
}

impl CachedFn {
    pub(crate) fn new(attribute: TokenStream, item: TokenStream) -> Result<Self> {
        let mut errors = Errors::default();
        let function = Function::new(item, CachedArgs::ATTRIBUTE)?;
        let mut args = CachedArgs::parse(attribute, &mut errors);
        errors.keep(plain::can_run(&function, "a cached function"));
        errors.keep(returns_something(&function));
        let runtime = args.runtime.take();
        let mut frame = Frame::new(function, runtime, "a cached value", &mut errors);
        let sensitive = frame.hash(args.sensitive.take(), &mut errors);
        errors.keep(is_owned(&frame.returned));
        errors.keep(has_effect(&args));
        let run = errors.keep(match frame.function.is_async() {
            true => run(&args, &frame.function),
            false => plain::run(&args),
        });
        let tags = frame.tags(args.tags, &mut errors);
        let skipped = args.skip.map(|skip| skip.value).unwrap_or_default();
        let key = match args.key {
            Some(key) => Key::Template(errors.keep(frame.resolve(key.value)).unwrap_or_default()),
            None => Key::Arguments(frame.arguments.without(&skipped, &mut errors)),
        };
        match &key {
            Key::Arguments(_) => none_is_skipped(&sensitive, &skipped, &mut errors),
            Key::Template(key) => {
                all_are_named(&sensitive, tags.iter().chain([key]), &mut errors);
            }
        }
        let policy = Policy {
            cache: args.cache.map(|cache| cache.value.0),
            prefix: args.prefix.map(|prefix| prefix.value.0),
            ttl: args.ttl,
            near: args.near.map(|near| near.value),
            near_ttl: args.near_ttl.map(|near_ttl| near_ttl.value),
            coalesce: args.coalesce.map(|coalesce| coalesce.value),
            stale_while_revalidate: args.stale_while_revalidate.map(|window| window.value),
            stale_if_error: args.stale_if_error.map(|window| window.value),
            early_refresh: args.early_refresh.is_some_and(|early| early.value),
            load_timeout: args.load_timeout.map(|timeout| timeout.value),
            max_loads: args.max_loads.map(|loads| loads.value),
            run: run.unwrap_or(Run::Here),
        };
        errors.finish(Self {
            frame,
            policy,
            key,
            tags,
        })
    }
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

impl InvalidatingFn {
    pub(crate) fn new(attribute: TokenStream, item: TokenStream) -> Result<Self> {
        let mut errors = Errors::default();
        let function = Function::new(item, InvalidateArgs::ATTRIBUTE)?;
        let mut args = InvalidateArgs::parse(attribute, &mut errors);
        errors.keep(plain::can_run(&function, "an invalidating function"));
        let mut frame = Frame::new(
            function,
            args.runtime.take(),
            "what an invalidating function returns",
            &mut errors,
        );
        let sensitive = frame.hash(args.sensitive.take(), &mut errors);
        let cache = args.cache.take().map(|cache| cache.value.0);
        let when = args.when.take().map(|when| when.value).unwrap_or_default();
        let targets = targets(args, &frame, &mut errors);
        let templates = targets.iter().filter_map(|target| match target {
            Target::Prefix(_) => None,
            Target::Entry { key: template, .. } | Target::Tag(template) => Some(template),
        });
        all_are_named(&sensitive, templates, &mut errors);
        errors.finish(Self {
            frame,
            cache,
            when,
            targets,
        })
    }
}

/// What is forgotten, without what a mistake leaves open.
fn targets(args: InvalidateArgs, frame: &Frame, errors: &mut Errors) -> Vec<Target> {
    // After a mistake in an option, which is reported already, that one does not count as missing.
    let (no_prefix, no_tags) = (!args.attempts("prefix"), !args.attempts("tags"));
    let mut targets = match (args.prefix, args.key) {
        (Some(prefix), None) => {
            let prefixes = prefix.value.0.into_iter();
            prefixes.map(|prefix| Target::Prefix(prefix.0)).collect()
        }
        (Some(prefix), Some(key)) => {
            let entry = errors.keep(entry(prefix.value, key, frame));
            entry.into_iter().collect()
        }
        (None, Some(key)) if no_prefix => {
            let message = "`key` names one entry under a prefix; add `prefix = \"..\"`";
            errors.push(Error::new(key.name.span(), message));
            Vec::new()
        }
        (None, None) if no_prefix && no_tags => {
            let message = "`#[cache_invalidate]` names nothing to invalidate; add `prefix = \"..\"` or `tags = [..]`";
            errors.push(Error::new(Span::call_site(), message));
            Vec::new()
        }
        (None, _) => Vec::new(),
    };
    targets.extend(frame.tags(args.tags, errors).into_iter().map(Target::Tag));
    targets
}

fn entry(prefixes: Prefixes, key: Given<Template>, frame: &Frame) -> Result<Target> {
    let mut prefixes = prefixes.0;
    match (prefixes.pop(), prefixes.is_empty()) {
        (Some(prefix), true) => Ok(Target::Entry {
            prefix: prefix.0,
            key: frame.resolve(key.value)?,
        }),
        _ => {
            let message = "`key` names one entry under one prefix; give a single `prefix`";
            Err(Error::new(key.name.span(), message))
        }
    }
}

impl Frame {
    fn new(function: Function, runtime: Slot<Path>, what: &str, errors: &mut Errors) -> Self {
        let arguments = Arguments::new(&function.signature.inputs);
        let returned = function.returned();
        if let Some(place) = opaque(&returned) {
            let message =
                format!("{what} must have a type with a name; write it in place of `impl ..`");
            errors.push(Error::new(place, message));
        }
        Self {
            function,
            arguments,
            returned,
            runtime: runtime.map(|path| path.value),
        }
    }

    /// The pieces of every tag.
    fn tags(&self, tags: Slot<Tags>, errors: &mut Errors) -> Vec<Vec<Part>> {
        let tags = tags.map(|tags| tags.value.0).unwrap_or_default();
        let resolved = tags.into_iter().map(|tag| self.resolve(tag));
        resolved.filter_map(|tag| errors.keep(tag)).collect()
    }

    /// The pieces of a template, each hole with the argument it names.
    fn resolve(&self, template: Template) -> Result<Vec<Part>> {
        let mut errors = Errors::default();
        let mut parts = Vec::new();
        for piece in template.pieces {
            match piece {
                Piece::Text(text) => parts.push(Part::Text(text)),
                Piece::Hole(hole) => {
                    let found = self
                        .arguments
                        .find(&hole.argument, "a hole names an argument");
                    if let Some(argument) = errors.keep(found) {
                        // It resolves where the argument does, and an error in it underlines the template.
                        let mut value = argument.clone();
                        value.set_span(argument.span().located_at(hole.argument.span()));
                        let shown = self.arguments.shown(argument);
                        parts.push(Part::Value(value, hole.fields, shown));
                    }
                }
            }
        }
        errors.finish(parts)
    }
}

#[cfg(test)]
mod tests;
