//! What the user wrote between the parentheses: every option with the word that names it, so that an error can underline
//! it. A value is checked here as far as it can be without the function.
//!
//! A new option is a slot, a name in `NAMES` and a line in `read`.

use crate::duration;
use crate::errors::{Errors, remedy};
use crate::template::{Template, forbidden};
use proc_macro2::{Group, TokenStream, TokenTree};
use std::time::Duration;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitInt, LitStr, Path, Result, Token};

/// As many levels as the runtime can invalidate by.
const MAX_LEVELS: usize = 16;

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
    pub(crate) skip: Slot<Vec<Ident>>,
    pub(crate) runtime: Slot<Path>,
}

impl Options for CachedArgs {
    const ATTRIBUTE: &str = "cached";
    const NAMES: &[&str] = &["ttl", "prefix", "key", "skip", "crate"];

    fn read(&mut self, name: &Ident, input: ParseStream<'_>) -> Option<Result<()>> {
        Some(match name.to_string().as_str() {
            "ttl" => assign(&mut self.ttl, name, input),
            "prefix" => assign(&mut self.prefix, name, input),
            "key" => assign(&mut self.key, name, input),
            "skip" => list(&mut self.skip, name, input),
            "crate" => assign_with(&mut self.runtime, name, input, Path::parse_mod_style),
            _ => return None,
        })
    }
}

/// Options of `#[cache_invalidate]`.
#[derive(Default)]
pub(crate) struct InvalidateArgs {
    pub(crate) prefix: Slot<Prefixes>,
    pub(crate) key: Slot<Template>,
    pub(crate) when: Slot<When>,
    pub(crate) runtime: Slot<Path>,
    /// The names of all options that were written, those with a mistake included.
    pub(crate) given: Vec<String>,
}

impl Options for InvalidateArgs {
    const ATTRIBUTE: &str = "cache_invalidate";
    const NAMES: &[&str] = &["prefix", "key", "when", "crate"];

    fn read(&mut self, name: &Ident, input: ParseStream<'_>) -> Option<Result<()>> {
        self.given.push(name.to_string());
        Some(match name.to_string().as_str() {
            "prefix" => assign(&mut self.prefix, name, input),
            "key" => assign(&mut self.key, name, input),
            "when" => assign(&mut self.when, name, input),
            "crate" => assign_with(&mut self.runtime, name, input, Path::parse_mod_style),
            _ => return None,
        })
    }
}

/// `name = value`.
fn assign<T: Parse>(slot: &mut Slot<T>, name: &Ident, input: ParseStream<'_>) -> Result<()> {
    assign_with(slot, name, input, T::parse)
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
    fill(slot, name, names.into_iter().collect())
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

/// How long an entry lives.
pub(crate) enum Ttl {
    Constant(Duration),
    Computed(Expr),
}

impl Parse for Ttl {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let value = bare(input.parse()?);
        let span = value.span();
        let mistake = |message: String| Error::new(span, message);
        let duration = match &value {
            Expr::Lit(ExprLit {
                lit: Lit::Int(seconds),
                ..
            }) => seconds_of(seconds).map_err(mistake)?,
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => duration::parse(&text.value()).map_err(mistake)?,
            Expr::Lit(_) => return Err(mistake(
                "`ttl` takes whole seconds or a duration; write `ttl = 60` or `ttl = \"250ms\"`"
                    .into(),
            )),
            Expr::Unary(negative) if matches!(negative.op, syn::UnOp::Neg(_)) => {
                return Err(mistake(
                    "`ttl` must be positive; write `ttl = 60` or `ttl = \"250ms\"`".into(),
                ));
            }
            _ => return Ok(Self::Computed(value)),
        };
        if duration.is_zero() {
            return Err(mistake(
                "`ttl = 0` would cache nothing; remove the attribute or give a positive duration"
                    .into(),
            ));
        }
        Ok(Self::Constant(duration))
    }
}

fn seconds_of(literal: &LitInt) -> std::result::Result<Duration, String> {
    let unit = literal.suffix();
    if !unit.is_empty() && !matches!(unit, "u64" | "u32" | "i64" | "i32") {
        return Err(format!(
            "`{literal}` is not a number of seconds; write it in quotes: `ttl = \"{literal}\"`"
        ));
    }
    let millis = literal.base10_parse::<u64>().ok();
    let millis = millis.and_then(|seconds| seconds.checked_mul(1_000));
    millis.map(Duration::from_millis).ok_or_else(|| {
        format!("`{literal}` is longer than can be counted; give a shorter duration")
    })
}

/// `"video"` or, with levels, `"video:meta"`.
pub(crate) struct Prefix(pub(crate) String);

impl Parse for Prefix {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        string(input, "prefix", "prefix = \"user\"").and_then(Self::try_from)
    }
}

impl TryFrom<LitStr> for Prefix {
    type Error = Error;

    fn try_from(literal: LitStr) -> Result<Self> {
        let prefix = literal.value();
        let mistake = |message: String| Err(Error::new(literal.span(), message));
        if let Some(c) = forbidden(&prefix) {
            return mistake(format!(
                "`{}` cannot stand in a prefix; use letters, digits, `-`, `_` or `.`, and `:` between levels",
                c.escape_debug()
            ));
        }
        if prefix.is_empty() {
            return mistake(
                "an empty `prefix` groups nothing; name one, such as `\"user\"`".into(),
            );
        }
        if prefix.split(':').any(str::is_empty) {
            return mistake(format!(
                "`{prefix}` has an empty level; write one `:` between two levels, such as `\"video:meta\"`"
            ));
        }
        if prefix.split(':').count() > MAX_LEVELS {
            return mistake(format!(
                "a prefix has at most {MAX_LEVELS} levels, or it could not be invalidated; shorten it"
            ));
        }
        if let Some(taken) = ["gen@", "lease@"]
            .into_iter()
            .find(|taken| prefix.starts_with(taken))
        {
            return mistake(format!(
                "prefixes that start with `{taken}` belong to the runtime; choose another"
            ));
        }
        Ok(Self(prefix))
    }
}

/// One prefix, or several in brackets.
pub(crate) struct Prefixes(pub(crate) Vec<Prefix>);

impl Parse for Prefixes {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        const FORM: &str = "prefix = \"user\"` or `prefix = [\"user\", \"stats\"]";
        let prefixes = match bare(input.parse()?) {
            Expr::Array(array) if array.elems.is_empty() => {
                return Err(Error::new(
                    array.span(),
                    "no prefix would invalidate nothing; name one, such as `\"user\"`",
                ));
            }
            Expr::Array(array) => array.elems.into_iter().collect(),
            one => vec![one],
        };
        let prefix = |value| literal(value, "prefix", FORM).and_then(Prefix::try_from);
        prefixes
            .into_iter()
            .map(prefix)
            .collect::<Result<_>>()
            .map(Self)
    }
}

/// At which end of the body something is forgotten.
#[derive(Default, Clone, Copy)]
pub(crate) enum When {
    #[default]
    Always,
    Ok,
    Before,
}

impl Parse for When {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        const WORDS: [&str; 3] = ["always", "ok", "before"];
        let literal = string(input, "when", "when = \"ok\"")?;
        match literal.value().as_str() {
            "always" => Ok(Self::Always),
            "ok" => Ok(Self::Ok),
            "before" => Ok(Self::Before),
            other => {
                let remedy = remedy(other, WORDS, || "use `always`, `ok` or `before`".into());
                Err(Error::new(
                    literal.span(),
                    format!("`{other}` is no time to invalidate at; {remedy}"),
                ))
            }
        }
    }
}

/// A string literal, the value of the option `name`.
pub(crate) fn string(input: ParseStream<'_>, name: &str, form: &str) -> Result<LitStr> {
    literal(input.parse()?, name, form)
}

fn literal(value: Expr, name: &str, form: &str) -> Result<LitStr> {
    match bare(value) {
        Expr::Lit(ExprLit {
            lit: Lit::Str(literal),
            ..
        }) => Ok(literal),
        other => Err(Error::new(
            other.span(),
            format!("`{name}` takes a string literal; write `{form}`"),
        )),
    }
}

/// The expression without the invisible group that a `macro_rules!` variable puts around it.
fn bare(mut value: Expr) -> Expr {
    while let Expr::Group(group) = value {
        value = *group.expr;
    }
    value
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
