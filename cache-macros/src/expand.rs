//! The model as tokens, and nothing else: what an expansion looks like is read here.
//!
//! Local names are made in [`Names`] with mixed-site hygiene, so that no argument of the user's is captured by one of ours.
//! Items cannot have it; the two there are, `__cache` and `__SITE`, are seen by the body but hide nothing a user would name so.
//! Spans decide whom the compiler blames: an argument's type, the return type, a `ttl`.

use crate::args::{Ttl, When};
use crate::arguments::{Argument, Arguments, Binding};
use crate::function::Function;
use crate::model::{CachedFn, Frame, InvalidatingFn, Key, Part, Target};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::{FnArg, Pat, PatIdent};

/// The expansion of `#[cached]`.
pub(crate) fn cached(model: CachedFn) -> TokenStream {
    let names = Names::new();
    let (call, hit, load) = (&names.call, &names.hit, &names.load);
    let private = private(&model.frame);
    let site = cached_site(&model);
    let returned = &model.frame.returned;
    let key = key_closure(&model, &names);
    let ttl = model.ttl.as_ref().and_then(|ttl| computed_ttl(ttl, call));
    let body = body(&model.frame, &names);
    let (first, _) = crate::arguments::ends(returned.to_token_stream());
    let outcome = quote_spanned! {first=> (&__cache::Returns::<#returned>::HERE).outcome() };
    let run = quote_spanned! {first=> #call.run(#load).await };
    let block = quote! {
        #[allow(unused_imports)]
        use #private::{self as __cache, ViaResult as _, ViaValue as _};
        static __SITE: __cache::CallSite = #site;
        let #call = match __cache::begin(&__SITE, #outcome, #key) {
            ::core::ops::ControlFlow::Break(#hit) => return #hit,
            ::core::ops::ControlFlow::Continue(#call) => #call,
        };
        #ttl
        #body
        #run
    };
    function(model.frame, &block)
}

/// The expansion of `#[cache_invalidate]`.
pub(crate) fn invalidating(model: InvalidatingFn) -> TokenStream {
    let names = Names::new();
    let (call, load, targets) = (&names.call, &names.load, &names.targets);
    let private = private(&model.frame);
    let name = model.frame.function.signature.ident.to_string();
    let when = match model.when {
        When::Always => quote!(Always),
        When::Ok => quote!(Ok),
        When::Before => quote!(Before),
    };
    let named = match &model.target {
        Target::Prefixes(prefixes) => quote! { #( #targets.prefix(#prefixes); )* },
        Target::Entry { prefix, key } => {
            let key = template_closure(key, &names);
            quote! { #targets.entry(#prefix, #key); }
        }
    };
    let returned = &model.frame.returned;
    let body = body(&model.frame, &names);
    let block = quote! {
        #[allow(unused_imports)]
        use #private::{self as __cache, SucceedsAlways as _, SucceedsIfOk as _};
        static __SITE: __cache::InvalidateSite = __cache::InvalidateSite::new(#name, ::core::module_path!(), __cache::When::#when);
        let #call = __cache::invalidate(&__SITE, |#targets| { #named });
        #body
        #call.run((&__cache::Returns::<#returned>::HERE).success(), #load).await
    };
    function(model.frame, &block)
}

/// Every name an expansion gives to a local.
struct Names {
    call: Ident,
    hit: Ident,
    load: Ident,
    key: Ident,
    targets: Ident,
    returned: Ident,
}

impl Names {
    fn new() -> Self {
        let name = |name| Ident::new(name, Span::mixed_site());
        Self {
            call: name("call"),
            hit: name("hit"),
            load: name("load"),
            key: name("key"),
            targets: name("targets"),
            returned: name("returned"),
        }
    }

    /// What an argument is called in the signature.
    fn of(argument: &Argument) -> Ident {
        match &argument.binding {
            Binding::Name(name) => name.clone(),
            Binding::Pattern(_) => {
                format_ident!("arg{}", argument.position, span = Span::mixed_site())
            }
        }
    }
}

fn private(frame: &Frame) -> TokenStream {
    let runtime = &frame.runtime;
    quote!(#runtime::__private)
}

fn cached_site(model: &CachedFn) -> TokenStream {
    let name = model.frame.function.signature.ident.to_string();
    let constructor = match model.key {
        Key::Arguments(_) => quote!(new),
        Key::Template(_) => quote!(with_template),
    };
    let prefix = model.prefix.as_ref().map(|prefix| quote!(.prefix(#prefix)));
    let ttl = match &model.ttl {
        Some(Ttl::Constant(ttl)) => {
            let ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            Some(quote!(.ttl_ms(#ms)))
        }
        Some(Ttl::Computed(_)) | None => None,
    };
    quote!(__cache::CallSite::#constructor(#name, ::core::module_path!(), __cache::Policy::DEFAULT #prefix #ttl))
}

fn computed_ttl(ttl: &Ttl, call: &Ident) -> Option<TokenStream> {
    match ttl {
        Ttl::Constant(_) => None,
        Ttl::Computed(expression) => {
            let (first, _) = crate::arguments::ends(expression.to_token_stream());
            Some(quote_spanned! {first=> let #call = #call.ttl(#expression); })
        }
    }
}

fn key_closure(model: &CachedFn, names: &Names) -> TokenStream {
    match &model.key {
        Key::Template(parts) => template_closure(parts, names),
        Key::Arguments(arguments) if arguments.is_empty() => quote!(|_| {}),
        Key::Arguments(arguments) => {
            let key = &names.key;
            let mut parts = arguments.iter().map(|argument| {
                let name = Names::of(argument);
                let conditions = &argument.conditions;
                let part = quote_spanned! {argument.place.0=> #key.arg(&#name) };
                quote! { #(#conditions)* #part }
            });
            match (arguments.as_slice(), parts.next()) {
                ([one], Some(part)) if one.conditions.is_empty() => quote! { |#key| #part },
                (_, first) => {
                    let parts = first.into_iter().chain(parts);
                    quote! { |#key| { #(#parts;)* } }
                }
            }
        }
    }
}

fn template_closure(parts: &[Part], names: &Names) -> TokenStream {
    let key = &names.key;
    let parts = parts.iter().map(|part| match part {
        Part::Text(text) => quote! { #key.text(#text); },
        Part::Value(argument, fields) => quote! { #key.hole(&#argument #(.#fields)*); },
    });
    quote! { |#key| { #(#parts)* } }
}

/// `let load = pin!(async move { .. })`: the body, whose type is fixed first, so that a wrong one is reported where it is written.
fn body(frame: &Frame, names: &Names) -> TokenStream {
    let (load, value) = (&names.load, &names.returned);
    let returned = &frame.returned;
    let unpack = frame
        .arguments
        .iter()
        .filter_map(|argument| match &argument.binding {
            Binding::Name(_) => None,
            Binding::Pattern(pattern) => {
                let (name, conditions) = (Names::of(argument), &argument.conditions);
                Some(quote! { #(#conditions)* let #pattern = #name; })
            }
        });
    let block = &frame.function.body.block;
    quote! {
        #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value)]
        let #load = ::core::pin::pin!(async move {
            if let ::core::option::Option::Some(#value) = ::core::option::Option::None::<#returned> {
                return #value;
            }
            #(#unpack)*
            let #value: #returned = #block;
            #value
        });
    }
}

/// The function as it was, with another block.
fn function(frame: Frame, block: &TokenStream) -> TokenStream {
    let Function {
        attributes,
        visibility,
        mut signature,
        body,
    } = frame.function;
    name_patterns(&mut signature.inputs, &frame.arguments);
    let inner = &body.attributes;
    match &body.boxed {
        Some(boxed) => {
            let pin = &boxed.pin;
            quote! { #(#attributes)* #visibility #signature { #pin(async move { #block }) } }
        }
        None => quote! { #(#attributes)* #visibility #signature { #(#inner)* #block } },
    }
}

/// Arguments that are taken apart get a name in the signature.
fn name_patterns(
    inputs: &mut syn::punctuated::Punctuated<FnArg, syn::Token![,]>,
    arguments: &Arguments,
) {
    for (input, argument) in inputs.iter_mut().zip(arguments.iter()) {
        if let (FnArg::Typed(typed), Binding::Pattern(_)) = (input, &argument.binding) {
            *typed.pat = Pat::Ident(PatIdent {
                attrs: Vec::new(),
                by_ref: None,
                mutability: None,
                ident: Names::of(argument),
                subpat: None,
            });
        }
    }
}
