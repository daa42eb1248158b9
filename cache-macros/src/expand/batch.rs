//! A function of many ids: its body is a closure, which takes those that nobody has.

use super::{at, call, policy, tagging, template, value, written};
use crate::arguments::{Argument, Binding};
use crate::model::{Batch, Frame, Key, Part, Policy, mentions};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{FnArg, Pat, PatType, Signature};

pub(super) fn batch(
    frame: &Frame,
    policy: &Policy,
    key: &Key,
    tags: &[Vec<Part>],
    batch: &Batch,
) -> TokenStream {
    let place = at(frame.returned.span());
    let key_of = of_one("key", Some(&batch.one), &written(key));
    let tagging = tagging(tags);
    let tags = with_tags(tags, batch, place);
    let bypass = policy::bypass(policy);
    let bypasses = match &bypass {
        Some(_) => quote_spanned!(place=> bypass),
        None => quote!(false),
    };
    let computed_ttl = policy::with_computed_ttl(&policy.ttl, place);
    let rules = policy::with_rules(policy, place);
    let holds = match batch.holds_option {
        true => quote!(HoldsOption),
        false => quote!(HoldsValue),
    };
    let list = &batch.list;
    let ids = match batch.is_slice {
        true => quote!(#list),
        false => quote_spanned!(place=> &#list),
    };
    let (spares, load) = load(frame, batch, place);
    let ask = quote_spanned!(place=> batch(#bypasses, &__SITE, outcome, __private::#holds, #ids, #key_of));
    let call = call(frame, policy, key, tagging.as_ref(), &ask);
    let statements = quote_spanned! {place=>
        #bypass
        #call
        #tags
        #computed_ttl
        #rules
        #spares
        call.run(repeats, #load).await
    };
    frame.with_signature(&signature(frame), statements)
}

/// `|key, id| { .. }`.
fn of_one(writer: &str, one: Option<&Ident>, statements: &[TokenStream]) -> TokenStream {
    let writer = Ident::new(writer, Span::mixed_site());
    let one = one.map_or_else(|| quote!(_), |one| quote!(#one));
    quote!(|#writer, #one| { #(#statements;)* })
}

/// Those of one id.
fn with_tags(tags: &[Vec<Part>], batch: &Batch, place: Span) -> Option<TokenStream> {
    if tags.is_empty() {
        return None;
    }
    let one = Some(&batch.one).filter(|one| tags.iter().any(|tag| mentions(tag, one)));
    let tags: Vec<_> = tags
        .iter()
        .map(|tag| {
            let tag = super::closure("tag", &template("tag", tag));
            quote_spanned!(place=> tags.tag(#tag))
        })
        .collect();
    let tags = of_one("tags", one, &tags);
    Some(quote_spanned!(place=> let call = call.tags(#tags);))
}

/// What every run of the body takes, and the body as a closure.
fn load(frame: &Frame, batch: &Batch, place: Span) -> (TokenStream, TokenStream) {
    let private = frame.private();
    let mut spares = quote_spanned!(place=> let repeats = true;);
    let mut taken = TokenStream::new();
    let list = &batch.list;
    let mut ids = quote!(#list);
    for (argument, input) in frame.arguments.iter().zip(&frame.function.signature.inputs) {
        let FnArg::Typed(PatType { pat, .. }) = input else {
            continue;
        };
        if argument.list.is_some() {
            ids = quote!(#pat);
            continue;
        }
        let (conditions, name) = (&argument.conditions, value(argument));
        let bound = match &argument.binding {
            Binding::Name(_) => quote!(#pat),
            Binding::Pattern(_) => quote!(#name),
        };
        let allowed = allowed(argument);
        spares.extend(quote_spanned! {place=>
            #(#conditions)*
            #allowed
            let (repeats, mut #name) = {
                use #private::{self, ViaClone as _, ViaMove as _};
                let again = (&__private::Sort::of(&#name)).again();
                let spare = __private::Spare::new(again, #name);
                (repeats && spare.repeats(), spare)
            };
        });
        taken.extend(quote_spanned!(place=> #(#conditions)* #allowed let #bound = #name.take();));
    }
    let body = frame.body();
    let body = match batch.is_slice {
        true => quote_spanned! {place=>
            async move {
                let #ids = ::std::vec::Vec::as_slice(&missing);
                #body.await
            }
        },
        false => quote_spanned!(place=> let #ids = missing; #body),
    };
    let load = quote_spanned!(place=> move |missing| { #taken #body });
    (spares, load)
}

/// An argument whose name begins with `_` is used here, whatever the body does.
fn allowed(argument: &Argument) -> Option<TokenStream> {
    let unused = value(argument).to_string().starts_with('_');
    unused.then(|| quote!(#[allow(clippy::used_underscore_binding)]))
}

/// The signature, in which nothing is `mut`: it is so where the body takes it.
fn signature(frame: &Frame) -> Signature {
    let mut signature = frame.signature();
    for input in &mut signature.inputs {
        if let FnArg::Typed(typed) = input
            && let Pat::Ident(name) = &mut *typed.pat
        {
            name.mutability = None;
        }
    }
    signature
}
