//! What the user wrote between the parentheses: every option with the word that names it, so that an error can underline
//! it. What may stand after that word is in `options`.
//!
//! A new option is a slot, a name in `NAMES` and a line in `read`.

use crate::errors::{Errors, remedy};
use crate::options::{
    self, Batch, CacheName, Calls, Coalesce, Codec, Patterns, Prefix, Prefixes, Tags, Ttl, When,
};
use crate::template::Template;
use proc_macro2::{Group, TokenStream, TokenTree};
use std::time::Duration;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Ident, Path, Result, Token};

/// An option, once it was given.
pub(crate) type Slot<T> = Option<Given<T>>;

/// The word that names an option, and its value.
pub(crate) struct Given<T> {
    pub(crate) name: Ident,
    pub(crate) value: T,
}

/// The options of one attribute.
pub(crate) trait Options: Default {
    const ATTRIBUTE: &str;
    const NAMES: &[&str];

    /// Reads what follows `name`; `None` when there is no such option.
    fn read(&mut self, name: &Ident, input: ParseStream<'_>) -> Option<Result<()>>;

    /// Reads all options and keeps the mistakes; what was read correctly is there in any case.
    fn parse(attribute: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        let parser = |input: ParseStream<'_>| {
            while !input.is_empty() {
                if errors.keep(options.option(input)).is_none() {
                    step_over(input);
                }
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        };
        if let Err(error) = parser.parse2(attribute) {
            errors.push(error);
        }
        options
    }

    fn option(&mut self, input: ParseStream<'_>) -> Result<()> {
        let name = input.call(Ident::parse_any).map_err(|error| {
            let message = format!(
                "an option starts with its name, one of {}",
                quoted(Self::NAMES)
            );
            Error::new(error.span(), message)
        })?;
        self.read(&name, input).unwrap_or_else(|| {
            let word = name.to_string();
            let list = || format!("its options are {}", quoted(Self::NAMES));
            let remedy = remedy(&word, Self::NAMES.iter().copied(), list);
            Err(Error::new(
                name.span(),
                format!(
                    "`{word}` is not an option of `#[{}]`; {remedy}",
                    Self::ATTRIBUTE
                ),
            ))
        })?;
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(());
        }
        Err(input.error("two options need a `,` between them"))
    }
}

/// Options of `#[cached]`.
#[derive(Default)]
pub(crate) struct CachedArgs {
    pub(crate) ttl: Slot<Ttl>,
    pub(crate) prefix: Slot<Prefix>,
    pub(crate) key: Slot<Template>,
    pub(crate) batch: Slot<Batch>,
    pub(crate) skip: Slot<Vec<Ident>>,
    pub(crate) sensitive: Slot<Vec<Ident>>,
    pub(crate) tags: Slot<Tags>,
    pub(crate) version: Slot<u32>,
    pub(crate) cache_if: Slot<Expr>,
    pub(crate) negative_ttl: Slot<Duration>,
    pub(crate) bypass: Slot<Expr>,
    pub(crate) codec: Slot<Codec>,
    pub(crate) compress: Slot<bool>,
    pub(crate) near: Slot<bool>,
    pub(crate) near_ttl: Slot<Duration>,
    pub(crate) coalesce: Slot<Coalesce>,
    pub(crate) stale_while_revalidate: Slot<Duration>,
    pub(crate) stale_if_error: Slot<Duration>,
    pub(crate) early_refresh: Slot<bool>,
    pub(crate) load_timeout: Slot<Duration>,
    pub(crate) max_loads: Slot<usize>,
    pub(crate) background: Slot<bool>,
    pub(crate) cache: Slot<CacheName>,
    pub(crate) runtime: Slot<Path>,
}

impl Options for CachedArgs {
    const ATTRIBUTE: &str = "cached";
    const NAMES: &[&str] = &[
        "ttl",
        "prefix",
        "key",
        "batch",
        "skip",
        "sensitive",
        "tags",
        "version",
        "cache_if",
        "negative_ttl",
        "bypass",
        "codec",
        "compress",
        "near",
        "near_ttl",
        "coalesce",
        "stale_while_revalidate",
        "stale_if_error",
        "early_refresh",
        "load_timeout",
        "max_loads",
        "background",
        "cache",
        "crate",
    ];

    fn read(&mut self, name: &Ident, input: ParseStream<'_>) -> Option<Result<()>> {
        Some(match name.to_string().as_str() {
            "ttl" => assign(&mut self.ttl, name, input),
            "prefix" => assign(&mut self.prefix, name, input),
            "key" => assign(&mut self.key, name, input),
            "batch" => options::batch(name, input).and_then(|it| fill(&mut self.batch, name, it)),
            "skip" => list(&mut self.skip, name, input),
            "sensitive" => list(&mut self.sensitive, name, input),
            "tags" => assign(&mut self.tags, name, input),
            "version" => assign_with(&mut self.version, name, input, options::version),
            "cache_if" => assign(&mut self.cache_if, name, input),
            "negative_ttl" => {
                assign_with(&mut self.negative_ttl, name, input, options::negative_ttl)
            }
            "bypass" => assign(&mut self.bypass, name, input),
            "codec" => assign(&mut self.codec, name, input),
            "compress" => assign_flag(&mut self.compress, name, input),
            "near" => assign_flag(&mut self.near, name, input),
            "near_ttl" => assign_with(&mut self.near_ttl, name, input, options::near_ttl),
            "coalesce" => assign(&mut self.coalesce, name, input),
            "stale_while_revalidate" => {
                let window = &mut self.stale_while_revalidate;
                assign_with(window, name, input, options::stale_while_revalidate)
            }
            "stale_if_error" => {
                let window = &mut self.stale_if_error;
                assign_with(window, name, input, options::stale_if_error)
            }
            "early_refresh" => assign_flag(&mut self.early_refresh, name, input),
            "load_timeout" => {
                assign_with(&mut self.load_timeout, name, input, options::load_timeout)
            }
            "max_loads" => assign_with(&mut self.max_loads, name, input, options::max_loads),
            "background" => assign_flag(&mut self.background, name, input),
            "cache" => assign(&mut self.cache, name, input),
            "crate" => assign_with(&mut self.runtime, name, input, options::path),
            _ => return None,
        })
    }
}

/// Options of `#[cache_invalidate]`.
#[derive(Default)]
pub(crate) struct InvalidateArgs {
    pub(crate) prefix: Slot<Prefixes>,
    pub(crate) key: Slot<Template>,
    pub(crate) sensitive: Slot<Vec<Ident>>,
    pub(crate) tags: Slot<Tags>,
    pub(crate) entry: Slot<Calls>,
    pub(crate) pattern: Slot<Patterns>,
    pub(crate) when: Slot<When>,
    pub(crate) cache: Slot<CacheName>,
    pub(crate) runtime: Slot<Path>,
    /// The words of all options that were written, those with a mistake included.
    given: Vec<String>,
}

impl InvalidateArgs {
    /// Whether the option was written, with or without a mistake, or a word that may be meant to be it.
    pub(crate) fn attempts(&self, option: &str) -> bool {
        let given = self.given.iter().map(String::as_str);
        { given }.any(|word| word == option || !Self::NAMES.contains(&word))
    }
}

impl Options for InvalidateArgs {
    const ATTRIBUTE: &str = "cache_invalidate";
    const NAMES: &[&str] = &[
        "prefix",
        "key",
        "sensitive",
        "tags",
        "entry",
        "pattern",
        "when",
        "cache",
        "crate",
    ];

    fn read(&mut self, name: &Ident, input: ParseStream<'_>) -> Option<Result<()>> {
        self.given.push(name.to_string());
        Some(match name.to_string().as_str() {
            "prefix" => assign(&mut self.prefix, name, input),
            "key" => assign(&mut self.key, name, input),
            "sensitive" => list(&mut self.sensitive, name, input),
            "tags" => assign(&mut self.tags, name, input),
            "entry" => assign(&mut self.entry, name, input),
            "pattern" => assign(&mut self.pattern, name, input),
            "when" => assign(&mut self.when, name, input),
            "cache" => assign(&mut self.cache, name, input),
            "crate" => assign_with(&mut self.runtime, name, input, options::path),
            _ => return None,
        })
    }
}

/// Options of `#[cache_put]`.
#[derive(Default)]
pub(crate) struct PutArgs {
    pub(crate) entry: Slot<Expr>,
    pub(crate) ttl: Slot<Ttl>,
    pub(crate) runtime: Slot<Path>,
    /// Whether `entry` was written, also with a mistake, or a word that may be meant to be it.
    pub(crate) names_entry: bool,
}

impl Options for PutArgs {
    const ATTRIBUTE: &str = "cache_put";
    const NAMES: &[&str] = &["entry", "ttl", "crate"];

    fn read(&mut self, name: &Ident, input: ParseStream<'_>) -> Option<Result<()>> {
        Some(match name.to_string().as_str() {
            "entry" => {
                self.names_entry = true;
                let call = |input: ParseStream<'_>| options::entry(input.parse()?);
                assign_with(&mut self.entry, name, input, call)
            }
            "ttl" => assign(&mut self.ttl, name, input),
            "crate" => assign_with(&mut self.runtime, name, input, options::path),
            _ => {
                self.names_entry = true;
                return None;
            }
        })
    }
}

/// `name = value`.
fn assign<T: Parse>(slot: &mut Slot<T>, name: &Ident, input: ParseStream<'_>) -> Result<()> {
    assign_with(slot, name, input, T::parse)
}

/// `name = true`.
fn assign_flag(slot: &mut Slot<bool>, name: &Ident, input: ParseStream<'_>) -> Result<()> {
    assign_with(slot, name, input, |input| options::flag(input, name))
}

fn assign_with<T>(
    slot: &mut Slot<T>,
    name: &Ident,
    input: ParseStream<'_>,
    parse: impl FnOnce(ParseStream<'_>) -> Result<T>,
) -> Result<()> {
    if !input.peek(Token![=]) {
        return Err(Error::new(
            name.span(),
            format!("`{name}` takes a value; write `{name} = ..`"),
        ));
    }
    input.parse::<Token![=]>()?;
    let value = parse(input)?;
    fill(slot, name, value)
}

/// `name(a, b)`.
fn list(slot: &mut Slot<Vec<Ident>>, name: &Ident, input: ParseStream<'_>) -> Result<()> {
    let form = || {
        Error::new(
            name.span(),
            format!("`{name}` takes names of arguments; write `{name}(..)`"),
        )
    };
    if !input.peek(syn::token::Paren) {
        return Err(form());
    }
    let names = Punctuated::<Ident, Token![,]>::parse_terminated_with;
    let names = (|input: ParseStream<'_>| names(input, Ident::parse_any))
        .parse2(input.parse::<Group>()?.stream())?;
    if names.is_empty() {
        return Err(form());
    }
    let names: Vec<_> = names.into_iter().collect();
    for (position, word) in names.iter().enumerate() {
        if names
            .iter()
            .take(position)
            .any(|before| before.unraw() == word.unraw())
        {
            let message = format!("`{word}` is named twice; remove one of the two");
            return Err(Error::new(word.span(), message));
        }
    }
    fill(slot, name, names)
}

/// Every option ends here, so that none lacks the check for a second occurrence.
fn fill<T>(slot: &mut Slot<T>, name: &Ident, value: T) -> Result<()> {
    if slot.is_some() {
        return Err(Error::new(
            name.span(),
            format!("`{name}` was given before; remove one of the two"),
        ));
    }
    *slot = Some(Given {
        name: name.clone(),
        value,
    });
    Ok(())
}

/// Goes on to the next option after a mistake.
fn step_over(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) && input.parse::<TokenTree>().is_ok() {}
}

/// `a`, `b` and `c`, in backticks.
pub(crate) fn quoted(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}
