//! The model as tokens, and nothing else: what an expansion looks like is read here.
//!
//! Every token of ours has a span from [`at`]: hygienic like that of a `macro_rules!`, so that no local of ours captures
//! an argument of the user's, and located where the compiler should point if that part does not hold: the type of an
//! argument, the return type. Paths are absolute, so that it does not matter what the user has in scope. Items are never
//! hygienic: `__private` and `__SITE` stand in a block that does not contain the body.

mod batch;
mod policy;
mod put;

use crate::arguments::{Argument, Binding, Shown};
use crate::function::Boxed;
use crate::model::{CachedFn, Frame, InvalidatingFn, Key, Part, Policy, Run, Target};
use crate::options::When;
use policy::{links, with_computed_ttl, with_rules};
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{FnArg, Member, Signature, parse_quote};

/// Asks for a hit before there is even a future of the body; if there is none, the runtime polls that future.
pub(crate) fn cached(model: CachedFn) -> TokenStream {
    let CachedFn {
        frame,
        policy,
        key,
        tags,
        batch,
    } = model;
    if let Some(batch) = batch {
        return batch::batch(&frame, &policy, &key, &tags, &batch);
    }
    let place = at(frame.returned.span());
    let key_of = closure("key", &written(&key));
    let tagging = tagging(&tags);
    let tags = with_tags(&tags, place);
    let bypass = policy::bypass(&policy);
    let begin = match &bypass {
        Some(_) => quote_spanned!(place=> begin_unless(bypass, &__SITE, outcome, #key_of)),
        None => quote_spanned!(place=> begin(&__SITE, outcome, #key_of)),
    };
    let computed_ttl = with_computed_ttl(&policy.ttl, place);
    let rules = with_rules(&policy, place);
    let (body, load) = (frame.body(), frame.pinned_load());
    let run = match policy.run {
        Run::Here => quote_spanned!(place=> let load = #body; call.run(#load).await),
        Run::OrStale => quote_spanned!(place=> let load = #body; call.run_or_stale(#load).await),
        Run::Owned => quote_spanned!(place=> let load = #body; call.run_owned(load).await),
        Run::Plain => quote_spanned!(place=> call.run_plain(#body)),
    };
    let call = call(&frame, &policy, &key, tagging.as_ref(), &begin);
    frame.with_block(quote_spanned! {place=>
        #bypass
        #call
        #tags
        #computed_ttl
        #rules
        #run
    })
}

/// `let call = ..;`, or the return of a hit. `ask` is what asks for it, of `__SITE` and `outcome`.
fn call(
    frame: &Frame,
    policy: &Policy,
    key: &Key,
    tagging: Option<&TokenStream>,
    ask: &TokenStream,
) -> TokenStream {
    // One place for all that needs a value that can be cached, so that one that cannot is one error.
    let place = at(frame.returned.span());
    let (private, name, returned) = (frame.private(), frame.name(), &frame.returned);
    let links = links(policy);
    let new = match key {
        Key::Arguments(_) => quote!(new),
        Key::Template(_) => quote!(with_template),
    };
    quote_spanned! {place=>
        let call = {
            use #private::{self, ViaArc as _, ViaResult as _, ViaResultOfArc as _, ViaValue as _};
            static __SITE: __private::CallSite = __private::CallSite::#new(
                #name,
                ::core::module_path!(),
                __private::Policy::DEFAULT #links #tagging,
            );
            let outcome = (&&&&__private::Returns::<#returned>::HERE).outcome();
            match __private::#ask {
                ::core::ops::ControlFlow::Break(hit) => return hit,
                ::core::ops::ControlFlow::Continue(call) => call,
            }
        };
    }
}

/// What writes a key.
fn written(key: &Key) -> Vec<TokenStream> {
    match key {
        Key::Arguments(arguments) => arguments.iter().map(argument).collect(),
        Key::Template(parts) => template("key", parts),
    }
}

/// `.tagging("genre:{genre}")`: enough to tell, at a hit, that an entry was kept under these tags.
fn tagging(tags: &[Vec<Part>]) -> Option<TokenStream> {
    let spell = |part: &Part| match part {
        // Not to be taken for a hole.
        Part::Text(text) => text.replace('{', "{{").replace('}', "}}"),
        Part::Value(value, fields, shown) => {
            let fields = fields.iter().map(|field| match field {
                Member::Named(name) => format!(".{name}"),
                Member::Unnamed(index) => format!(".{}", index.index),
            });
            // Another spelling, since a tag in clear is another tag than the same one hashed.
            let mark = if *shown == Shown::Hashed { "#" } else { "" };
            format!("{{{mark}{value}{}}}", fields.collect::<String>())
        }
    };
    let tags = tags
        .iter()
        .map(|tag| tag.iter().map(spell).collect::<String>());
    let templates = tags.collect::<Vec<_>>().join(" ");
    (!templates.is_empty()).then(|| quote!(.tagging(#templates)))
}

/// Only a miss needs them, so they are no part of what begins a call.
fn with_tags(tags: &[Vec<Part>], place: Span) -> Option<TokenStream> {
    if tags.is_empty() {
        return None;
    }
    let tags: Vec<_> = tags
        .iter()
        .map(|tag| {
            let tag = closure("tag", &template("tag", tag));
            quote_spanned!(place=> tags.tag(#tag))
        })
        .collect();
    let tags = closure("tags", &tags);
    Some(quote_spanned!(place=> let call = call.tags(#tags);))
}

/// Names what will be forgotten before the body runs, which may consume the arguments.
pub(crate) fn invalidating(model: InvalidatingFn) -> TokenStream {
    let InvalidatingFn {
        frame,
        cache,
        when,
        targets,
    } = model;
    let place = at(frame.returned.span());
    let (private, name, returned) = (frame.private(), frame.name(), &frame.returned);
    let when = match when {
        When::Always => quote!(Always),
        When::Ok => quote!(Ok),
        When::Before => quote!(Before),
    };
    let cache = cache.iter().map(|cache| quote!(.cache(#cache)));
    let named: Vec<_> = targets
        .iter()
        .map(|target| match target {
            Target::Prefix(prefix) => quote_spanned!(place=> targets.prefix(#prefix)),
            Target::Entry { prefix, key } => {
                let key = closure("key", &template("key", key));
                quote_spanned!(place=> targets.entry(#prefix, #key))
            }
            Target::Call(call) => quote_spanned!(at(call.span())=> targets.call(#call)),
            Target::Tag(tag) => {
                let tag = closure("tag", &template("tag", tag));
                quote_spanned!(place=> targets.tag(#tag))
            }
            Target::Pattern(pattern) => {
                let pattern = closure("pattern", &template("pattern", pattern));
                quote_spanned!(place=> targets.pattern(#pattern))
            }
        })
        .collect();
    let named = closure("targets", &named);
    let (body, load) = (frame.body(), frame.pinned_load());
    let run = match frame.function.is_async() {
        true => quote_spanned!(place=> let load = #body; call.run(success, #load).await),
        // In its place, where the compiler knows that it runs once: it may return what it was lent.
        false => quote_spanned!(place=> call.run_plain(success, #body)),
    };
    frame.with_block(quote_spanned! {place=>
        let (call, success) = {
            use #private::{self, SucceedsAlways as _, SucceedsIfOk as _};
            static __SITE: __private::InvalidateSite = __private::InvalidateSite::new(
                #name,
                ::core::module_path!(),
                __private::When::#when,
            ) #(#cache)*;
            let call = __private::invalidate(&__SITE, #named);
            (call, (&__private::Returns::<#returned>::HERE).success())
        };
        #run
    })
}

pub(crate) use put::putting;

/// The only hygiene of ours.
fn at(place: Span) -> Span {
    Span::mixed_site().located_at(place)
}

/// The identifier by which an expansion knows an argument.
fn value(argument: &Argument) -> Ident {
    match &argument.binding {
        Binding::Name(name) => name.clone(),
        Binding::Pattern(_) => {
            format_ident!("argument_{}", argument.position, span = at(argument.place))
        }
    }
}

/// `|key| { .. }`.
fn closure(name: &str, statements: &[TokenStream]) -> TokenStream {
    let name = Ident::new(name, Span::mixed_site());
    match statements {
        [] => quote!(|_| {}),
        [only] if !has_attributes(only) => quote!(|#name| #only),
        several => quote!(|#name| { #(#several;)* }),
    }
}

fn has_attributes(statement: &TokenStream) -> bool {
    let first = statement.clone().into_iter().next();
    matches!(first, Some(TokenTree::Punct(punct)) if punct.as_char() == '#')
}

/// `key.arg(&id)`, `key.arg_str(name)`, or `key.sensitive_arg(&token)`, at the argument's type, so that this is underlined if it cannot be part of a key.
fn argument(argument: &Argument) -> TokenStream {
    let (place, conditions) = (argument.place, &argument.conditions);
    let mut value = value(argument);
    value.set_span(value.span().located_at(place));
    let unused = value.to_string().starts_with('_');
    let unused = unused.then(|| quote!(#[allow(clippy::used_underscore_binding)]));
    let reference = quote_spanned!(place=> &#value);
    let (method, reference) = match argument.shown {
        Shown::Clear if argument.is_str => (quote_spanned!(at(place)=> arg_str), quote!(#value)),
        Shown::Clear => (quote_spanned!(at(place)=> arg), reference),
        Shown::Hashed => (quote_spanned!(at(place)=> sensitive_arg), reference),
    };
    quote_spanned!(at(place)=> #(#conditions)* #unused key.#method(#reference))
}

/// `key.text(":profile")` and `key.hole(&user.id)`, at the template, for a writer of that name.
fn template(writer: &str, parts: &[Part]) -> Vec<TokenStream> {
    let part = |part: &Part| match part {
        Part::Text(text) => {
            let writer = Ident::new(writer, Span::mixed_site());
            quote_spanned!(Span::mixed_site()=> #writer.text(#text))
        }
        Part::Value(value, fields, shown) => {
            let place = at(value.span());
            let writer = Ident::new(writer, place);
            let hole = match shown {
                Shown::Clear => Ident::new("hole", place),
                Shown::Hashed => Ident::new("sensitive_hole", place),
            };
            quote_spanned!(place=> #writer.#hole(&#value #(.#fields)*))
        }
    };
    parts.iter().map(part).collect()
}

impl Frame {
    fn name(&self) -> String {
        self.function.signature.ident.unraw().to_string()
    }

    /// What expansions may name of the runtime.
    fn private(&self) -> TokenStream {
        let place = at(self.returned.span());
        match &self.runtime {
            Some(path) => quote_spanned!(place=> #path::__private),
            None => quote_spanned!(place=> ::cache_runtime::__private),
        }
    }

    /// The body as a future, or as a closure where the function is not `async`. Its first statement, which never runs, settles the type of every `return` and `?` after it;
    /// so a mistake there is one error, where it was made.
    fn body(&self) -> TokenStream {
        let returned = &self.returned;
        let block = &self.function.body.block;
        let taken_apart = self.arguments.iter().filter_map(take_apart);
        if !self.function.is_async() {
            return quote_spanned! {at(returned.span())=>
                move || -> #returned {
                    #(#taken_apart)*
                    let returned: #returned = #block;
                    #[allow(unreachable_code)]
                    returned
                }
            };
        }
        quote_spanned! {at(returned.span())=>
            async move {
                if false {
                    return ::core::option::Option::<#returned>::None.unwrap();
                }
                #(#taken_apart)*
                let returned: #returned = #block;
                #[allow(unreachable_code)]
                returned
            }
        }
    }

    /// `pin!(load)` as if the user had written it: only there does clippy forgive the `unsafe` in `pin!`, and not complain
    /// about `Deserialize` for a type with such methods.
    fn pinned_load(&self) -> TokenStream {
        let place = self.returned.span();
        let load = Ident::new("load", at(place));
        quote_spanned!(place=> ::core::pin::pin!(#load))
    }

    /// The function, with another block.
    fn with_block(&self, statements: TokenStream) -> TokenStream {
        self.with_signature(&self.signature(), statements)
    }

    fn with_signature(&self, signature: &Signature, statements: TokenStream) -> TokenStream {
        let function = &self.function;
        let (attributes, visibility) = (&function.attributes, &function.visibility);
        let inner_attributes = &function.body.attributes;
        let statements = match &function.body.boxed {
            Some(Boxed { pin, .. }) => quote!(#pin(async move { #statements })),
            None => statements,
        };
        quote! {
            #(#attributes)*
            #visibility #signature {
                #(#inner_attributes)*
                #statements
            }
        }
    }

    /// The signature, in which every argument has a name.
    fn signature(&self) -> Signature {
        let mut signature = self.function.signature.clone();
        for (input, argument) in signature.inputs.iter_mut().zip(self.arguments.iter()) {
            if let (FnArg::Typed(typed), Binding::Pattern(_)) = (input, &argument.binding) {
                let name = value(argument);
                *typed.pat = parse_quote!(#name);
            }
        }
        signature
    }
}

/// `let (a, b) = argument_0;`
fn take_apart(argument: &Argument) -> Option<TokenStream> {
    match &argument.binding {
        Binding::Name(_) => None,
        Binding::Pattern(pattern) => {
            let (conditions, value) = (&argument.conditions, value(argument));
            Some(quote!(#(#conditions)* let #pattern = #value;))
        }
    }
}
