//! Options and function brought together: what makes the key, which policy holds. Every check that needs both is here.

mod batch;
mod plain;
mod policy;
mod put;
mod sensitive;
mod shape;

use crate::args::{CachedArgs, Given, InvalidateArgs, Options as _, Slot};
use crate::arguments::{Argument, Arguments, Shown};
use crate::errors::Errors;
use crate::function::Function;
use crate::options::{Prefixes, Tags, When};
use crate::template::{Piece, Template};
pub(crate) use batch::{Batch, mentions};
pub(crate) use policy::{Policy, Run};
use proc_macro2::{Span, TokenStream};
pub(crate) use put::PuttingFn;
use sensitive::{all_are_named, none_is_skipped};
use shape::{is_owned, opaque, returns_something};
use syn::{Error, Expr, Ident, Member, Path, Result, Type};

/// A function whose results are kept.
pub(crate) struct CachedFn {
    pub(crate) frame: Frame,
    pub(crate) policy: Policy,
    pub(crate) key: Key,
    pub(crate) tags: Vec<Vec<Part>>,
    pub(crate) batch: Option<Batch>,
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
    Pattern(Vec<Part>),
    Call(Expr),
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
        errors.keep(returns_something(&function, CachedArgs::ATTRIBUTE));
        let runtime = args.runtime.take();
        let mut frame = Frame::new(function, runtime, "a cached value", &mut errors);
        let place = args.batch.as_ref().map(|batch| batch.name.span());
        let arguments = &mut frame.arguments;
        let batch = Batch::new(&mut args, &frame.function, arguments, &mut errors);
        let sensitive = frame.hash(args.sensitive.take(), &mut errors);
        errors.keep(is_owned(&frame.returned));
        let policy = Policy::new(&mut args, &frame.function, &mut errors);
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
        if let (Some(batch), Some(place)) = (&batch, place) {
            batch.is_in(&key, place, &mut errors);
        }
        errors.finish(Self {
            frame,
            policy,
            key,
            tags,
            batch,
        })
    }
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
            Target::Prefix(_) | Target::Call(_) => None,
            Target::Entry { key: template, .. }
            | Target::Tag(template)
            | Target::Pattern(template) => Some(template),
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
    let no_prefix = !args.attempts("prefix");
    let nothing_else = !["tags", "entry", "pattern"]
        .iter()
        .any(|option| args.attempts(option));
    let mut targets = match (args.prefix, args.key) {
        (Some(prefix), None) => {
            let prefixes = prefix.value.0.into_iter();
            prefixes.map(|prefix| Target::Prefix(prefix.0)).collect()
        }
        (prefix, Some(key)) => {
            if prefix.is_none() && no_prefix {
                let message = "`key` names one entry under a prefix; add `prefix = \"..\"`";
                errors.push(Error::new(key.name.span(), message));
            }
            let entry = entry(prefix.map(|prefix| prefix.value), key, frame, errors);
            entry.into_iter().collect()
        }
        (None, None) if no_prefix && nothing_else => {
            let message = "`#[cache_invalidate]` names nothing to invalidate; add `prefix = \"..\"`, `tags = [..]`, `entry = ..` or `pattern = \"..\"`";
            errors.push(Error::new(Span::call_site(), message));
            Vec::new()
        }
        (None, None) => Vec::new(),
    };
    targets.extend(frame.tags(args.tags, errors).into_iter().map(Target::Tag));
    let patterns = args.pattern.map(|patterns| patterns.value.0);
    let patterns = frame.resolve_all(patterns.unwrap_or_default(), errors);
    targets.extend(patterns.into_iter().map(Target::Pattern));
    let calls = args.entry.map(|calls| calls.value.0).unwrap_or_default();
    targets.extend(calls.into_iter().map(Target::Call));
    targets
}

/// One entry. Its template is looked at whatever is wrong with the prefix, so that all mistakes are shown.
fn entry(
    prefixes: Option<Prefixes>,
    key: Given<Template>,
    frame: &Frame,
    errors: &mut Errors,
) -> Option<Target> {
    let place = key.name.span();
    let key = errors.keep(frame.resolve(key.value));
    let mut prefixes = prefixes?.0;
    match (prefixes.pop(), prefixes.is_empty()) {
        (Some(prefix), true) => Some(Target::Entry {
            prefix: prefix.0,
            key: key?,
        }),
        _ => {
            let message = "`key` names one entry under one prefix; give a single `prefix`";
            errors.push(Error::new(place, message));
            None
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
        self.resolve_all(tags.map(|tags| tags.value.0).unwrap_or_default(), errors)
    }

    /// The pieces of each template, without those that have a mistake.
    fn resolve_all(&self, templates: Vec<Template>, errors: &mut Errors) -> Vec<Vec<Part>> {
        let resolved = templates.into_iter().map(|template| self.resolve(template));
        resolved.filter_map(|parts| errors.keep(parts)).collect()
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
