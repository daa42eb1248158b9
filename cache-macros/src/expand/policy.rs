//! What the user said of how results are kept, as tokens.

use super::{at, closure};
use crate::args::{Given, Slot};
use crate::model::{Policy, Run};
use crate::options::{Coalesce, Ttl};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use std::time::Duration;

/// `.prefix("user").ttl_ms(60000)`: what the user wrote, and nothing where the default holds.
pub(super) fn links(policy: &Policy) -> TokenStream {
    let ms = |duration: Duration| Literal::u128_unsuffixed(duration.as_millis());
    let cache = policy.cache.iter().map(|cache| quote!(.cache(#cache)));
    let prefix = policy.prefix.iter().map(|prefix| quote!(.prefix(#prefix)));
    let (variable, ttl) = match policy.ttl.as_ref().map(|ttl| &ttl.value) {
        Some(Ttl::Constant(ttl)) => (None, Some(*ttl)),
        Some(Ttl::Variable(name, default)) => (Some(name), *default),
        Some(Ttl::Computed(_) | Ttl::OfValue(_)) | None => (None, None),
    };
    let variable = variable.map(|variable| quote!(.ttl_from(#variable)));
    let ttl = ttl.map(ms).map(|ttl| quote!(.ttl_ms(#ttl)));
    let version = policy.version.map(Literal::u32_unsuffixed);
    let version = version.map(|version| quote!(.version(#version)));
    let codec = policy.codec.map(|codec| quote!(.codec(#codec)));
    let compress = policy.compress.as_ref().map(compress);
    let near = (policy.near == Some(false)).then(|| quote!(.near(false)));
    let near_ttl = policy.near_ttl.map(ms);
    let near_ttl = near_ttl.map(|ttl| quote!(.near_ttl_ms(#ttl)));
    let coalesce = policy.coalesce.map(|coalesce| match coalesce {
        Coalesce::Process => quote!(Process),
        Coalesce::Fleet => quote!(Fleet),
        Coalesce::Off => quote!(Off),
    });
    let coalesce = coalesce.map(|whose| quote!(.coalesce(__private::Coalesce::#whose)));
    let window = policy.stale_while_revalidate.map(ms);
    let window = window.map(|window| quote!(.stale_while_revalidate_ms(#window)));
    let if_error = policy.stale_if_error.map(ms);
    let if_error = if_error.map(|window| quote!(.stale_if_error_ms(#window)));
    let early = policy.early_refresh.then(|| quote!(.early_refresh(true)));
    let timeout = policy.load_timeout.map(ms);
    let timeout = timeout.map(|timeout| quote!(.load_timeout_ms(#timeout)));
    let max_loads = policy.max_loads.map(Literal::usize_unsuffixed);
    let max_loads = max_loads.map(|loads| quote!(.max_loads(#loads)));
    let plain = (policy.run == Run::Plain).then(|| quote!(.plain()));
    quote!(
        #(#cache)* #(#prefix)* #variable #ttl #version #codec #compress #near #near_ttl #coalesce #window #if_error #early #timeout #max_loads #plain
    )
}

/// Located at the option, so that this is underlined where the runtime is built without what it takes.
fn compress(option: &Given<bool>) -> TokenStream {
    let place = at(option.name.span());
    match option.value {
        true => quote_spanned!(place=> .compress::<__private::Compression>()),
        false => quote_spanned!(place=> .uncompressed()),
    }
}

pub(super) fn with_computed_ttl(ttl: &Slot<Ttl>, place: Span) -> Option<TokenStream> {
    let Some(Given {
        name,
        value: Ttl::Computed(ttl),
    }) = ttl
    else {
        return None;
    };
    // A step of its own, so that another type than `Duration` is an error at the option and nowhere else.
    let computed = quote_spanned!(at(name.span())=> let ttl: ::core::time::Duration = #ttl;);
    Some(quote_spanned!(place=> #computed let call = call.ttl(ttl);))
}

/// `let bypass: bool = ..;`, before anything else, so that another type is an error at the option and nowhere else.
pub(super) fn bypass(policy: &Policy) -> Option<TokenStream> {
    let Given { name, value } = policy.bypass.as_ref()?;
    Some(quote_spanned!(at(name.span())=> let bypass: bool = #value;))
}

/// `call.rules(|rules| rules.cache_if(..))`: what the value is asked at the fill.
pub(super) fn with_rules(policy: &Policy, place: Span) -> Option<TokenStream> {
    let mut rules = Vec::new();
    if let Some(Given { name, value }) = &policy.cache_if {
        rules.push(rule(name, "cache_if", value));
    }
    if let Some(Given {
        name,
        value: Ttl::OfValue(ttl),
    }) = &policy.ttl
    {
        rules.push(rule(name, "ttl", ttl));
    }
    if let Some(Given { name, value }) = &policy.negative_ttl {
        let ttl = Literal::u128_unsuffixed(value.as_millis());
        rules.push(rule(name, "negative_ttl_ms", ttl));
    }
    let rules = (!rules.is_empty()).then(|| closure("rules", &rules))?;
    Some(quote_spanned!(place=> let call = call.rules(#rules);))
}

/// Located at the option, so that this is underlined where the value cannot be asked.
fn rule(name: &Ident, method: &str, value: impl ToTokens) -> TokenStream {
    let place = at(name.span());
    let method = Ident::new(method, place);
    quote_spanned!(place=> rules.#method(#value))
}
