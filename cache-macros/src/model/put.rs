//! A function whose result becomes an entry.

use super::Frame;
use super::shape::{is_async, returns_something};
use crate::args::{Given, Options as _, PutArgs, Slot};
use crate::errors::Errors;
use crate::function::Function;
use crate::options::Ttl;
use proc_macro2::{Span, TokenStream};
use syn::{Error, Expr, Result, parse_quote};

/// A function whose result becomes an entry.
pub(crate) struct PuttingFn {
    pub(crate) frame: Frame,
    pub(crate) entry: Expr,
    pub(crate) ttl: Slot<Ttl>,
}

impl PuttingFn {
    pub(crate) fn new(attribute: TokenStream, item: TokenStream) -> Result<Self> {
        let mut errors = Errors::default();
        let function = Function::new(item, PutArgs::ATTRIBUTE)?;
        let mut args = PutArgs::parse(attribute, &mut errors);
        errors.keep(is_async(
            &function,
            "a function that writes an entry",
            "use `cache.set(..)` from async code around it",
        ));
        errors.keep(returns_something(&function, PutArgs::ATTRIBUTE));
        let runtime = args.runtime.take();
        let frame = Frame::new(function, runtime, "what becomes an entry", &mut errors);
        if let Some(Given {
            name,
            value: Ttl::Variable(..) | Ttl::OfValue(_),
        }) = &args.ttl
        {
            let message = "the `ttl` of `#[cache_put]` is written out, or an expression over the arguments; write `ttl = \"1h\"`";
            errors.push(Error::new(name.span(), message));
        }
        if !args.names_entry {
            let message = "`#[cache_put]` writes the entry of a cached call; name it, such as `entry = get_user(id)`";
            errors.push(Error::new(Span::call_site(), message));
        }
        // After a mistake, which is reported, anything.
        let entry = args
            .entry
            .map_or_else(|| parse_quote!(()), |entry| entry.value);
        errors.finish(Self {
            frame,
            entry,
            ttl: args.ttl,
        })
    }
}
