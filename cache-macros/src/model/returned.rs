//! What a function returns, as far as it is seen without knowing types.

use crate::arguments::mentions;
use crate::function::{Function, arguments_of, first_argument, spell};
use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Error, GenericArgument, Result, ReturnType, Type};

pub(super) fn returns_something(function: &Function) -> Result<()> {
    let nothing = match &function.signature.output {
        ReturnType::Default => Some(function.signature.ident.span()),
        ReturnType::Type(_, returned) => match &**returned {
            Type::Tuple(tuple) if tuple.elems.is_empty() => Some(tuple.span()),
            _ => None,
        },
    };
    match nothing {
        None => Ok(()),
        Some(place) => Err(Error::new(
            place,
            "this function returns nothing that could be cached; return a value, or remove `#[cached]`",
        )),
    }
}

pub(super) fn is_owned(returned: &Type) -> Result<()> {
    let Some((place, target)) = borrowed(returned) else {
        return Ok(());
    };
    let owned = match target {
        Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
        Type::Slice(slice) => format!("Vec<{}>", spell(&slice.elem)),
        _ => spell(target),
    };
    let written = match place {
        Type::Reference(_) => format!("&{}", spell(target)),
        _ => spell(place),
    };
    let message = format!("a cached value must be owned; return `{owned}` instead of `{written}`");
    Err(Error::new_spanned(place, message))
}

/// What is borrowed in a type, and the type of which it is, as far as is seen without knowing types; the compiler finds
/// the rest, but says less.
fn borrowed(returned: &Type) -> Option<(&Type, &Type)> {
    match returned {
        Type::Reference(reference) => Some((returned, &reference.elem)),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(borrowed),
        _ => match borrowed_cow(returned) {
            Some(target) => Some((returned, target)),
            None => ["Option", "Result", "Vec"]
                .into_iter()
                .find_map(|name| first_argument(returned, name))
                .and_then(borrowed),
        },
    }
}

/// `T` of `Cow<'a, T>`.
fn borrowed_cow(returned: &Type) -> Option<&Type> {
    let mut arguments = arguments_of(returned, "Cow")?;
    match (arguments.next()?, arguments.next()?) {
        (GenericArgument::Lifetime(lifetime), GenericArgument::Type(target))
            if lifetime.ident != "static" =>
        {
            Some(target)
        }
        _ => None,
    }
}

/// Where `impl ..` stands in a type.
pub(super) fn opaque(returned: &Type) -> Option<Span> {
    mentions(returned.to_token_stream(), "impl")
}
