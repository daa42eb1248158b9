//! The arguments of the annotated function, `self` included: what each is called and where its type stands.

use crate::args::quoted;
use crate::errors::{Errors, remedy};
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, FnArg, Ident, Pat, PatType, Receiver, Result, Token, Type};

/// All arguments, in order.
pub(crate) struct Arguments(Vec<Argument>);

/// One argument.
#[derive(Clone)]
pub(crate) struct Argument {
    /// Its place in the signature.
    pub(crate) position: usize,
    pub(crate) binding: Binding,
    /// How it stands in a key.
    pub(crate) shown: Shown,
    /// The token that says most about its type, for errors about it.
    pub(crate) place: Span,
    /// Whether its type is `&str`, which is known for a string without asking serde.
    pub(crate) is_str: bool,
    /// Its `#[cfg(..)]`s, which decide whether it is there at all.
    pub(crate) conditions: Vec<Attribute>,
    /// The argument that it is one of: in a batch, one of the ids stands for all of them.
    pub(crate) list: Option<Ident>,
}

/// How an argument stands in keys and tags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Clear,
    /// As a keyed hash.
    Hashed,
}

/// What an argument is called.
#[derive(Clone)]
pub(crate) enum Binding {
    Name(Ident),
    /// It has no name but is taken apart: the expansion names it, and takes it apart in the body.
    Pattern(Pat),
}

impl Arguments {
    pub(crate) fn new(inputs: &Punctuated<FnArg, Token![,]>) -> Self {
        let argument = |(position, input): (usize, &FnArg)| match input {
            FnArg::Receiver(receiver) => Argument::receiver(position, receiver),
            FnArg::Typed(typed) => Argument::typed(position, typed),
        };
        Self(inputs.iter().enumerate().map(argument).collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Argument> {
        self.0.iter()
    }

    /// The arguments that are not skipped.
    pub(crate) fn without(&self, skipped: &[Ident], errors: &mut Errors) -> Vec<Argument> {
        let skipped: Vec<_> = skipped
            .iter()
            .filter_map(|name| errors.keep(self.find(name, "`skip` takes names of arguments")))
            .collect();
        self.iter()
            .filter(|argument| argument.name().is_none_or(|name| !skipped.contains(&name)))
            .cloned()
            .collect()
    }

    /// Has these arguments hashed wherever they are part of a key or a tag.
    pub(crate) fn hash(&mut self, sensitive: &[Ident], errors: &mut Errors) {
        for word in sensitive {
            let found = self.find(word, "`sensitive` takes names of arguments");
            let Some(name) = errors.keep(found).cloned() else {
                continue;
            };
            let named = self.0.iter_mut().filter(|one| one.name() == Some(&name));
            named.for_each(|argument| argument.shown = Shown::Hashed);
        }
    }

    /// Has one of the ids, called `one`, stand for the `list` of them.
    pub(crate) fn make_one_of(&mut self, list: &Ident, one: Ident) {
        let argument = self.0.iter_mut().find(|one| one.name() == Some(list));
        if let Some(argument) = argument {
            argument.binding = Binding::Name(one);
            argument.is_str = false;
            argument.list = Some(list.clone());
        }
    }

    /// How an argument of this name stands in a key.
    pub(crate) fn shown(&self, name: &Ident) -> Shown {
        let named = self.iter().find(|argument| argument.name() == Some(name));
        named.map_or(Shown::Clear, |argument| argument.shown)
    }

    /// The name as the signature has it, with the hygiene it has there.
    pub(crate) fn find(&self, word: &Ident, rule: &str) -> Result<&Ident> {
        if let Some(name) = self.names().find(|name| name.unraw() == word.unraw()) {
            return Ok(name);
        }
        let whole = |argument: &&Argument| {
            let list = argument.list.as_ref();
            list.is_some_and(|list| list.unraw() == word.unraw())
        };
        if let Some(one) = self.iter().find(whole).and_then(Argument::name) {
            let message = format!(
                "`{word}` is all of the ids, and each has an entry of its own; one of them is called `{one}` here"
            );
            return Err(Error::new(word.span(), message));
        }
        if self.iter().any(|argument| argument.takes_apart(word)) {
            let message = format!(
                "`{word}` is part of a pattern; name the whole argument, and take it apart in the body"
            );
            return Err(Error::new(word.span(), message));
        }
        let names: Vec<_> = self.names().map(ToString::to_string).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let remedy = remedy(&word.to_string(), names.iter().copied(), || {
            match names.as_slice() {
                [] => format!("it has none, and {rule}"),
                _ => format!("{rule}, here {}", quoted(&names)),
            }
        });
        Err(Error::new(
            word.span(),
            format!("`{word}` is not an argument of this function; {remedy}"),
        ))
    }

    fn names(&self) -> impl Iterator<Item = &Ident> {
        self.iter().filter_map(Argument::name)
    }
}

impl Argument {
    fn receiver(position: usize, receiver: &Receiver) -> Self {
        let name = Ident::new("self", receiver.self_token.span);
        let bare = Receiver {
            attrs: Vec::new(),
            ..receiver.clone()
        };
        Self::new(
            position,
            Binding::Name(name),
            bare.to_token_stream(),
            false,
            &receiver.attrs,
        )
    }

    fn typed(position: usize, typed: &PatType) -> Self {
        let binding = match &*typed.pat {
            Pat::Ident(name) if name.subpat.is_none() && name.by_ref.is_none() => {
                Binding::Name(name.ident.clone())
            }
            pattern => Binding::Pattern(pattern.clone()),
        };
        let is_str = is_str(&typed.ty);
        let r#type = typed.ty.to_token_stream();
        Self::new(position, binding, r#type, is_str, &typed.attrs)
    }

    fn new(
        position: usize,
        binding: Binding,
        r#type: TokenStream,
        is_str: bool,
        attributes: &[Attribute],
    ) -> Self {
        let conditions = attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("cfg"))
            .cloned()
            .collect();
        Self {
            position,
            binding,
            shown: Shown::Clear,
            place: telling(r#type),
            is_str,
            conditions,
            list: None,
        }
    }

    fn name(&self) -> Option<&Ident> {
        match &self.binding {
            Binding::Name(name) => Some(name),
            Binding::Pattern(_) => None,
        }
    }

    /// Whether it has this name.
    pub(crate) fn is_called(&self, word: &str) -> bool {
        self.name().is_some_and(|name| name.unraw() == word)
    }

    fn takes_apart(&self, word: &Ident) -> bool {
        match &self.binding {
            Binding::Name(_) => false,
            Binding::Pattern(pattern) => {
                mentions(pattern.to_token_stream(), &word.to_string()).is_some()
            }
        }
    }
}

fn is_str(r#type: &Type) -> bool {
    match r#type {
        Type::Reference(reference) if reference.mutability.is_none() => {
            matches!(&*reference.elem, Type::Path(path) if path.path.is_ident("str"))
        }
        _ => false,
    }
}

/// The last token, as in `&Pool` or `&self`, unless that is the end of something, as in `Option<Pool>`.
fn telling(r#type: TokenStream) -> Span {
    let mut name = None;
    let mut last = None;
    for token in r#type {
        if let TokenTree::Ident(ident) = &token {
            name = name.or(Some(ident.span()));
        }
        last = Some(token);
    }
    match last {
        Some(TokenTree::Punct(punct)) => name.unwrap_or_else(|| punct.span()),
        Some(token) => token.span(),
        None => Span::call_site(),
    }
}

/// Where a word stands among tokens.
pub(crate) fn mentions(tokens: TokenStream, word: &str) -> Option<Span> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) if ident == word => Some(ident.span()),
        TokenTree::Group(group) => mentions(group.stream(), word),
        _ => None,
    })
}
