//! The attributes of `cache-runtime`, which re-exports them: depend on that crate, not on this one.
//!
//! A straight line leads from what the user wrote to what the compiler sees: `args` reads the options
//! and `options` their values, `function` the annotated function, `model` brings both together and makes every check, `expand` writes the
//! result. Behaviour is none of it: an expansion consists of a few calls into `cache_runtime::__private`.
//!
//! The examples of the reference are doc tests of `cache-runtime`, which they use, and not of this crate.

mod args;
mod arguments;
mod duration;
mod errors;
mod expand;
mod function;
mod model;
mod options;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod surface;
mod template;

use proc_macro::TokenStream;

#[cfg_attr(not(doctest), doc = include_str!("../docs/cached.md"))]
#[proc_macro_attribute]
pub fn cached(attribute: TokenStream, item: TokenStream) -> TokenStream {
    errors::or_unchanged(item.into(), |item| {
        model::CachedFn::new(attribute.into(), item).map(expand::cached)
    })
    .into()
}

#[cfg_attr(not(doctest), doc = include_str!("../docs/cache_put.md"))]
#[proc_macro_attribute]
pub fn cache_put(attribute: TokenStream, item: TokenStream) -> TokenStream {
    errors::or_unchanged(item.into(), |item| {
        model::PuttingFn::new(attribute.into(), item).map(expand::putting)
    })
    .into()
}

#[cfg_attr(not(doctest), doc = include_str!("../docs/cache_invalidate.md"))]
#[proc_macro_attribute]
pub fn cache_invalidate(attribute: TokenStream, item: TokenStream) -> TokenStream {
    errors::or_unchanged(item.into(), |item| {
        model::InvalidatingFn::new(attribute.into(), item).map(expand::invalidating)
    })
    .into()
}
