//! Durations as the values of options, and what else stands for one.

use super::bare;
use crate::duration;
use std::time::Duration;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprClosure, ExprLit, Lit, LitInt, LitStr, Result};

/// How long an entry lives.
pub(crate) enum Ttl {
    Constant(Duration),
    /// In an environment variable, with what holds where that is not set.
    Variable(String, Option<Duration>),
    /// For each call, over the arguments.
    Computed(Expr),
    /// For each value: a closure over it.
    OfValue(ExprClosure),
}

impl Parse for Ttl {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        const ZERO: &str = "would cache nothing; remove the attribute or give a positive duration";
        let value = bare(input.parse()?);
        if let Expr::Closure(closure) = value {
            return of_value(closure);
        }
        if let Some(literal) = variable(&value) {
            return of_variable(literal);
        }
        let constant = constant(&value, "ttl", ZERO)?;
        Ok(constant.map_or_else(|| Self::Computed(value), Self::Constant))
    }
}

/// `"$NAME"`, which names an environment variable.
fn variable(value: &Expr) -> Option<&LitStr> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(literal),
            ..
        }) => literal.value().starts_with('$').then_some(literal),
        _ => None,
    }
}

/// `"$NAME"` or `"$NAME|1h"`.
fn of_variable(literal: &LitStr) -> Result<Ttl> {
    let mistake = |message: String| Err(Error::new(literal.span(), message));
    let text = literal.value();
    let text = text.strip_prefix('$').unwrap_or(&text);
    let (name, default) = match text.split_once('|') {
        Some((name, default)) => (name, Some(default)),
        None => (text, None),
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(word) || name.starts_with(|c: char| c.is_ascii_digit())
    {
        return mistake(format!(
            "`${name}` names no environment variable; write `ttl = \"$NAME\"`, or `ttl = \"$NAME|1h\"` with what holds where it is not set"
        ));
    }
    let default = match default.map(duration::parse).transpose() {
        Ok(default) => default,
        Err(message) => return mistake(message),
    };
    if default.is_some_and(|default| default.is_zero()) {
        return mistake("a default of zero would cache nothing; give a positive duration".into());
    }
    Ok(Ttl::Variable(name.to_owned(), default))
}

fn of_value(closure: ExprClosure) -> Result<Ttl> {
    if closure.inputs.len() == 1 {
        return Ok(Ttl::OfValue(closure));
    }
    let message = "a closure for `ttl` takes the value alone; write `ttl = |value| ..`, or an expression over the arguments without `|`";
    Err(Error::new_spanned(closure, message))
}

/// How long an entry lives whose value is `None`.
pub(crate) fn negative_ttl(input: ParseStream<'_>) -> Result<Duration> {
    const ZERO: &str =
        "would keep no `None`; write `cache_if = Option::is_some`, or give a positive duration";
    written_out(input, "negative_ttl", ZERO)
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
