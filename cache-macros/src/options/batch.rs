//! `batch`, or `batch(person in people)`.

use proc_macro2::{Group, Ident};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Error, Result, Token};

/// Which argument holds the ids, and what one of them is called.
pub(crate) enum Batch {
    /// The only list; what it is called, without its last `s`.
    Plain,
    Named {
        one: Ident,
        list: Ident,
    },
}

/// What follows the word `batch`, which is `name`.
pub(crate) fn batch(name: &Ident, input: ParseStream<'_>) -> Result<Batch> {
    let form = || {
        let message = "`batch` stands alone, or says what one of the ids is called; write `batch`, or `batch(id in ids)`";
        Error::new(name.span(), message)
    };
    if input.peek(Token![=]) {
        return Err(form());
    }
    if !input.peek(syn::token::Paren) {
        return Ok(Batch::Plain);
    }
    let named = |input: ParseStream<'_>| {
        let one = input.call(Ident::parse_any)?;
        input.parse::<Token![in]>()?;
        let list = input.call(Ident::parse_any)?;
        Ok(Batch::Named { one, list })
    };
    let inside = input.parse::<Group>()?.stream();
    named.parse2(inside).map_err(|_| form())
}
