//! The values of options, one type or one function for each form. A value is checked here as far as it can be without
//! the function.

mod batch;
mod durations;

use crate::errors::{Errors, remedy};
use crate::template::{Role, Template, forbidden};
pub(crate) use batch::{Batch, batch};
pub(crate) use durations::{
    Ttl, load_timeout, near_ttl, negative_ttl, stale_if_error, stale_while_revalidate,
};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, ExprPath, Ident, Lit, LitStr, Path, Result};

/// As many levels as the runtime can invalidate by.
const MAX_LEVELS: usize = 16;

/// As many tags as the runtime looks up for one entry, and as many patterns as it remembers.
const MAX_TEMPLATES: usize = 16;

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
        templates(input, Role::Tag, FORM, NONE).map(Self)
    }
}

/// One pattern of keys, or several in brackets.
pub(crate) struct Patterns(pub(crate) Vec<Template>);

impl Parse for Patterns {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        const FORM: &str = "a pattern is a string literal; write `pattern = \"user_*\"`";
        const NONE: &str = "no pattern would invalidate nothing; give one, such as `\"user_*\"`";
        templates(input, Role::Pattern, FORM, NONE).map(Self)
    }
}

/// One template, or several in brackets, none of them twice; `form` is what is said of what is none, `none` of empty brackets.
fn templates(input: ParseStream<'_>, role: Role, form: &str, none: &str) -> Result<Vec<Template>> {
    let word = role.word();
    let mut errors = Errors::default();
    let mut written: Vec<String> = Vec::new();
    let mut templates = Vec::new();
    for (position, value) in one_or_several(input, none)?.into_iter().enumerate() {
        if position == MAX_TEMPLATES {
            let message = format!("this {word} is one too many; give at most {MAX_TEMPLATES}");
            errors.push(Error::new_spanned(value, message));
            break;
        }
        let Some(literal) = errors.keep(literal(value, || form.into())) else {
            continue;
        };
        let text = literal.value();
        if written.contains(&text) {
            let message = format!("this {word} was given before; remove one of the two");
            errors.push(Error::new(literal.span(), message));
            continue;
        }
        written.push(text);
        templates.extend(errors.keep(Template::new(&literal, role)));
    }
    errors.finish(templates)
}

/// Calls of cached functions: one, or several in brackets.
pub(crate) struct Calls(pub(crate) Vec<Expr>);

impl Parse for Calls {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        const NONE: &str = "no entry would invalidate nothing; name one, such as `get_user(id)`";
        let mut errors = Errors::default();
        let calls = one_or_several(input, NONE)?.into_iter();
        let calls = calls.filter_map(|call| errors.keep(entry(call))).collect();
        errors.finish(Self(calls))
    }
}

/// A call of a cached function, which names an entry.
pub(crate) fn entry(call: Expr) -> Result<Expr> {
    let problem = match bare(call) {
        call @ (Expr::Call(_) | Expr::MethodCall(_)) => return Ok(call),
        Expr::Await(waits) => Error::new(
            waits.await_token.span,
            "the call itself names the entry; remove `.await`",
        ),
        other => Error::new_spanned(
            other,
            "`entry` takes a call of a cached function; write `entry = get_user(id)`",
        ),
    };
    Err(problem)
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

/// Where the runtime is.
pub(crate) fn path(input: ParseStream<'_>) -> Result<Path> {
    match bare(input.parse()?) {
        Expr::Path(ExprPath {
            attrs,
            qself: None,
            path,
        }) if attrs.is_empty() && path.segments.iter().all(|one| one.arguments.is_none()) => {
            Ok(path)
        }
        other => {
            let message = "`crate` takes a path; write `crate = my_framework::cache_runtime`";
            Err(Error::new_spanned(other, message))
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

/// How values are encoded for Redis: the name that the runtime knows, which may not be built in.
pub(crate) struct Codec(pub(crate) &'static str);

impl Parse for Codec {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let literal = string(input, "codec", "codec = \"json\"")?;
        let words = ["bincode", "postcard", "json"].map(|word| (word, word));
        one_of(&literal, words, "is no codec").map(Self)
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
            let usual = name == "early_refresh" || name == "compress";
            let message = format!("`{name}` takes `true` or `false`; write `{name} = {usual}`");
            Err(Error::new_spanned(other, message))
        }
    }
}

// --- numbers --------------------------------------------------------------------------------

/// How many bodies of a function run at once.
pub(crate) fn max_loads(input: ParseStream<'_>) -> Result<usize> {
    let (number, value) = number(input)?;
    let message = match number {
        Some(0) => "`max_loads = 0` would never run the body; give at least 1, or remove it",
        Some(loads) => return Ok(loads as usize),
        None => "`max_loads` takes a whole number; write `max_loads = 8`",
    };
    Err(Error::new_spanned(value, message))
}

/// Which meaning the values of a function have.
pub(crate) fn version(input: ParseStream<'_>) -> Result<u32> {
    let (number, value) = number(input)?;
    number.ok_or_else(|| {
        let message = "`version` takes a whole number below 2^32; write `version = 2`";
        Error::new_spanned(value, message)
    })
}

/// The whole number that is written out, and what was written.
fn number(input: ParseStream<'_>) -> Result<(Option<u32>, Expr)> {
    let value = bare(input.parse()?);
    let number = match &value {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => number.base10_parse().ok(),
        _ => None,
    };
    Ok((number, value))
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
