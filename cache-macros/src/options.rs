//! The values of options, one type or one function for each form. A value is checked here as far as it can be without
//! the function.

use crate::duration;
use crate::errors::{Errors, remedy};
use crate::template::{Role, Template, forbidden};
use std::time::Duration;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitInt, LitStr, Result};

/// As many levels as the runtime can invalidate by.
const MAX_LEVELS: usize = 16;

/// As many tags as the runtime looks up for one entry.
const MAX_TAGS: usize = 16;

// --- durations ------------------------------------------------------------------------------

/// How long an entry lives.
pub(crate) enum Ttl {
    Constant(Duration),
    Computed(Expr),
}

impl Parse for Ttl {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        const ZERO: &str = "would cache nothing; remove the attribute or give a positive duration";
        let value = bare(input.parse()?);
        let constant = constant(&value, "ttl", ZERO)?;
        Ok(constant.map_or_else(|| Self::Computed(value), Self::Constant))
    }
}

/// How long an entry lives in the process, in front of Redis.
pub(crate) fn near_ttl(input: ParseStream<'_>) -> Result<Duration> {
    const ZERO: &str =
        "would keep nothing in the process; write `near = false`, or give a positive duration";
    written_out(input, "near_ttl", ZERO)
}

/// For how long after its ttl an entry is answered while another is loaded.
pub(crate) fn stale_while_revalidate(input: ParseStream<'_>) -> Result<Duration> {
    const ZERO: &str = "would return nothing stale; remove it or give a positive duration";
    written_out(input, "stale_while_revalidate", ZERO)
}

/// For how long after its ttl an entry is answered where no other can be loaded.
pub(crate) fn stale_if_error(input: ParseStream<'_>) -> Result<Duration> {
    const ZERO: &str = "would return nothing stale; remove it or give a positive duration";
    written_out(input, "stale_if_error", ZERO)
}

/// How long a load is waited for.
pub(crate) fn load_timeout(input: ParseStream<'_>) -> Result<Duration> {
    const ZERO: &str = "would wait for no load; give a positive duration, or write `stale_while_revalidate` to return the expired value at once";
    written_out(input, "load_timeout", ZERO)
}

/// A duration that is no expression, the value of the option `name`.
fn written_out(input: ParseStream<'_>, name: &str, zero: &str) -> Result<Duration> {
    let value = bare(input.parse()?);
    let constant = constant(&value, name, zero)?;
    constant.ok_or_else(|| Error::new_spanned(value, form_of_a_duration(name)))
}

/// The duration that is written out, or none if the value is an expression; `zero` is what is said of zero.
fn constant(value: &Expr, name: &str, zero: &str) -> Result<Option<Duration>> {
    let mistake = |message: String| Error::new(value.span(), message);
    let duration = match value {
        Expr::Lit(ExprLit {
            lit: Lit::Int(seconds),
            ..
        }) => seconds_of(seconds, name).map_err(mistake)?,
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => duration::parse(&text.value()).map_err(mistake)?,
        Expr::Lit(_) => return Err(mistake(form_of_a_duration(name))),
        Expr::Unary(negative) if matches!(negative.op, syn::UnOp::Neg(_)) => {
            return Err(mistake(format!(
                "`{name}` must be positive; write `{name} = 60` or `{name} = \"250ms\"`"
            )));
        }
        _ => return Ok(None),
    };
    if duration.is_zero() {
        return Err(mistake(format!("`{name} = 0` {zero}")));
    }
    Ok(Some(duration))
}

fn form_of_a_duration(name: &str) -> String {
    format!(
        "`{name}` takes whole seconds or a duration; write `{name} = 60` or `{name} = \"250ms\"`"
    )
}

fn seconds_of(literal: &LitInt, name: &str) -> std::result::Result<Duration, String> {
    let unit = literal.suffix();
    if !unit.is_empty() && !matches!(unit, "u64" | "u32" | "i64" | "i32") {
        return Err(format!(
            "`{literal}` is not a number of seconds; write it in quotes: `{name} = \"{literal}\"`"
        ));
    }
    let millis = literal.base10_parse::<u64>().ok();
    let millis = millis.and_then(|seconds| seconds.checked_mul(1_000));
    millis.map(Duration::from_millis).ok_or_else(|| {
        format!("`{literal}` is longer than can be counted; give a shorter duration")
    })
}

// --- groups of entries ----------------------------------------------------------------------

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
        if let Some(taken) = ["gen@", "lease@", "tag@", "run@"]
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
        const FORM: &str = "`prefix` takes a string literal; write `prefix = \"user\"` or `prefix = [\"user\", \"stats\"]`";
        const NONE: &str = "no prefix would invalidate nothing; name one, such as `\"user\"`";
        let prefix = |value| literal(value, || FORM.into()).and_then(Prefix::try_from);
        one_or_several(input, NONE)?
            .into_iter()
            .map(prefix)
            .collect::<Result<_>>()
            .map(Self)
    }
}

/// One tag, or several in brackets.
pub(crate) struct Tags(pub(crate) Vec<Template>);

impl Parse for Tags {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        const FORM: &str = "a tag is a string literal; write `tags = [\"genre:{genre}\", \"all\"]`";
        const NONE: &str = "`tags` names no tag; give one, such as `\"all\"`, or remove the option";
        let mut errors = Errors::default();
        let mut written: Vec<String> = Vec::new();
        let mut templates = Vec::new();
        for (position, value) in one_or_several(input, NONE)?.into_iter().enumerate() {
            if position == MAX_TAGS {
                let message = format!("this tag is one too many; give at most {MAX_TAGS}");
                errors.push(Error::new_spanned(value, message));
                break;
            }
            let Some(literal) = errors.keep(literal(value, || FORM.into())) else {
                continue;
            };
            let text = literal.value();
            if written.contains(&text) {
                let message = "this tag was given before; remove one of the two";
                errors.push(Error::new(literal.span(), message));
                continue;
            }
            written.push(text);
            templates.extend(errors.keep(Template::new(&literal, Role::Tag)));
        }
        errors.finish(Self(templates))
    }
}

/// The values in brackets, or a single one without; `none` is what is said of empty brackets.
fn one_or_several(input: ParseStream<'_>, none: &str) -> Result<Vec<Expr>> {
    match bare(input.parse()?) {
        Expr::Array(array) if array.elems.is_empty() => Err(Error::new(array.span(), none)),
        Expr::Array(array) => Ok(array.elems.into_iter().collect()),
        one => Ok(vec![one]),
    }
}

// --- names ----------------------------------------------------------------------------------

/// The name of a further cache.
pub(crate) struct CacheName(pub(crate) String);

impl Parse for CacheName {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let literal = string(input, "cache", "cache = \"sessions\"")?;
        match literal.value() {
            name if name.is_empty() => {
                let message =
                    "no cache has an empty name; give one, or remove `cache` for the default cache";
                Err(Error::new(literal.span(), message))
            }
            name => Ok(Self(name)),
        }
    }
}

// --- words ----------------------------------------------------------------------------------

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
        let literal = string(input, "when", "when = \"ok\"")?;
        let words = [
            ("always", Self::Always),
            ("ok", Self::Ok),
            ("before", Self::Before),
        ];
        one_of(&literal, words, "is no time to invalidate at")
    }
}

/// Whose loads of one key are one, if they happen at the same time.
#[derive(Clone, Copy)]
pub(crate) enum Coalesce {
    Process,
    Fleet,
    Off,
}

impl Parse for Coalesce {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let literal = string(input, "coalesce", "coalesce = \"fleet\"")?;
        let words = [
            ("process", Self::Process),
            ("fleet", Self::Fleet),
            ("off", Self::Off),
        ];
        one_of(&literal, words, "does not say whose loads are one")
    }
}

/// What the word in a literal stands for; `problem` is what is said of any other word.
fn one_of<T: Copy>(literal: &LitStr, words: [(&str, T); 3], problem: &str) -> Result<T> {
    let written = literal.value();
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == written) {
        return Ok(*meaning);
    }
    let words = words.map(|(word, _)| word);
    let [first, second, third] = words;
    let remedy = remedy(&written, words, || {
        format!("use `{first}`, `{second}` or `{third}`")
    });
    Err(Error::new(
        literal.span(),
        format!("`{written}` {problem}; {remedy}"),
    ))
}

/// `true` or `false`, the value of the option `name`.
pub(crate) fn flag(input: ParseStream<'_>, name: &Ident) -> Result<bool> {
    match bare(input.parse()?) {
        Expr::Lit(ExprLit {
            lit: Lit::Bool(literal),
            ..
        }) => Ok(literal.value),
        other => {
            let usual = name == "early_refresh";
            let message = format!("`{name}` takes `true` or `false`; write `{name} = {usual}`");
            Err(Error::new_spanned(other, message))
        }
    }
}

// --- numbers --------------------------------------------------------------------------------

/// How many bodies of a function run at once.
pub(crate) fn max_loads(input: ParseStream<'_>) -> Result<usize> {
    let value = bare(input.parse()?);
    let number = match &value {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => number.base10_parse::<u32>().ok(),
        _ => None,
    };
    let message = match number {
        Some(0) => "`max_loads = 0` would never run the body; give at least 1, or remove it",
        Some(loads) => return Ok(loads as usize),
        None => "`max_loads` takes a whole number; write `max_loads = 8`",
    };
    Err(Error::new_spanned(value, message))
}

// --- literals -------------------------------------------------------------------------------

/// A string literal, the value of the option `name`.
pub(crate) fn string(input: ParseStream<'_>, name: &str, form: &str) -> Result<LitStr> {
    let problem = || format!("`{name}` takes a string literal; write `{form}`");
    literal(input.parse()?, problem)
}

fn literal(value: Expr, problem: impl FnOnce() -> String) -> Result<LitStr> {
    match bare(value) {
        Expr::Lit(ExprLit {
            lit: Lit::Str(literal),
            ..
        }) => Ok(literal),
        other => Err(Error::new(other.span(), problem())),
    }
}

/// The expression without the invisible group that a `macro_rules!` variable puts around it.
fn bare(mut value: Expr) -> Expr {
    while let Expr::Group(group) = value {
        value = *group.expr;
    }
    value
}
