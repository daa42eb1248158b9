//! A function whose result becomes an entry, as tokens.

use super::{at, with_computed_ttl};
use crate::args::Given;
use crate::model::PuttingFn;
use crate::options::Ttl;
use proc_macro2::{Literal, TokenStream};
use quote::quote_spanned;
use syn::spanned::Spanned as _;

/// Decides which entry is written before the body runs, which may consume the arguments.
pub(crate) fn putting(model: PuttingFn) -> TokenStream {
    let PuttingFn { frame, entry, ttl } = model;
    let place = at(frame.returned.span());
    let (private, name, returned) = (frame.private(), frame.name(), &frame.returned);
    let constant = match &ttl {
        Some(Given {
            value: Ttl::Constant(ttl),
            ..
        }) => {
            let ms = Literal::u64_unsuffixed(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
            Some(quote_spanned!(place=> .ttl(::core::time::Duration::from_millis(#ms))))
        }
        _ => None,
    };
    let computed = with_computed_ttl(&ttl, place);
    let named = quote_spanned!(at(entry.span())=> __private::entry(#entry));
    let body = frame.body();
    let load = frame.pinned_load();
    frame.with_block(quote_spanned! {place=>
        let call = {
            use #private::{self, ViaResult as _, ViaValue as _};
            static __SITE: __private::PutSite = __private::PutSite::new(#name);
            let (entry, returned) = #named;
            let entry_outcome = (&&&&returned).outcome();
            let outcome = (&&&&__private::Returns::<#returned>::HERE).outcome();
            __private::put(&__SITE, entry, entry_outcome, outcome)#constant
        };
        #computed
        let load = #body;
        call.run(#load).await
    })
}
