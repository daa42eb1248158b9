//! The annotated function: its attributes, visibility and signature parsed, its body kept as raw tokens, so that
//! half-typed code keeps its completions and its own errors.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{ParseStream, Parser};
use syn::{
    Attribute, Error, GenericArgument, GenericParam, Path, PathArguments, Result, ReturnType,
    Signature, Token, Type, TypeParamBound, Visibility, parse_quote_spanned,
};

/// A function as it was written.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Body,
}

/// `{ #![..] .. }`.
pub(crate) struct Body {
    /// What was said about the function inside its braces.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) block: Group,
    pub(crate) boxed: Option<Boxed>,
}

/// What `#[async_trait]` leaves of an `async fn`: a function that returns `Pin<Box<dyn Future<Output = R>>>` and whose
/// whole body is `Box::pin(async move { .. })`. It counts as the `async fn` that it was; its block is the inner one.
pub(crate) struct Boxed {
    /// `Box::pin`.
    pub(crate) pin: TokenStream,
    /// `R`.
    pub(crate) output: Type,
}

impl Function {
    /// The function that `attribute` stands on.
    pub(crate) fn new(item: TokenStream, attribute: &str) -> Result<Self> {
        let parser = |input: ParseStream<'_>| {
            let attributes = input.call(Attribute::parse_outer)?;
            let visibility = input.parse()?;
            let place = input.span();
            let signature: Signature = input.parse().map_err(|_| {
                Error::new(
                    place,
                    format!("`#[{attribute}]` goes on an `fn`; move it to one"),
                )
            })?;
            if let Some(end) = input.parse::<Option<Token![;]>>()? {
                let message =
                    format!("this `fn` has no body; put `#[{attribute}]` on the one in the `impl`");
                return Err(Error::new(end.span, message));
            }
            let body = body(&signature, &braces(input)?)?;
            Ok(Self {
                attributes,
                visibility,
                signature,
                body,
            })
        };
        parser.parse2(item)
    }

    /// What a call yields once it was awaited.
    pub(crate) fn returned(&self) -> Type {
        match (&self.body.boxed, &self.signature.output) {
            (Some(boxed), _) => boxed.output.clone(),
            (None, ReturnType::Type(_, returned)) => (**returned).clone(),
            (None, ReturnType::Default) => {
                parse_quote_spanned!(self.signature.ident.span()=> ())
            }
        }
    }

    /// What of the signature a caller may have lent, as it was written, as far as is seen without knowing types. A type
    /// parameter may stand for something borrowed.
    pub(crate) fn borrowed(&self) -> Option<String> {
        let signature = &self.signature;
        let generics = signature.generics.params.iter();
        let generics = generics.filter(|parameter| !matches!(parameter, GenericParam::Const(_)));
        let returned = match &signature.output {
            ReturnType::Type(_, returned) => Some(returned.to_token_stream()),
            ReturnType::Default => None,
        };
        let mut inputs = signature.inputs.iter().map(ToTokens::to_token_stream);
        inputs
            .find(|input| lends(input.clone()))
            .or_else(|| generics.map(ToTokens::to_token_stream).next())
            .or_else(|| returned.filter(|returned| lends(returned.clone())))
            .map(spell)
    }

    pub(crate) fn is_async(&self) -> bool {
        self.signature.asyncness.is_some() || self.body.boxed.is_some()
    }
}

/// Whether a reference, a lifetime but `'static`, or an `impl` stands in it.
fn lends(tokens: TokenStream) -> bool {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let lends = match token {
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                !matches!(tokens.peek(), Some(TokenTree::Ident(name)) if name == "static")
            }
            TokenTree::Punct(punct) if punct.as_char() == '&' => {
                // `&'static` lends nothing.
                let mut rest = tokens.clone();
                let quote =
                    matches!(rest.next(), Some(TokenTree::Punct(next)) if next.as_char() == '\'');
                let forever =
                    matches!(rest.next(), Some(TokenTree::Ident(name)) if name == "static");
                !(quote && forever)
            }
            TokenTree::Ident(word) => word == "impl",
            TokenTree::Group(group) => lends(group.stream()),
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        };
        if lends {
            return true;
        }
    }
    false
}

/// The braces and what they hold, without the invisible group that a `macro_rules!` variable puts around them.
fn braces(input: ParseStream<'_>) -> Result<Group> {
    match input.parse()? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
            braces.parse2(group.stream())
        }
        TokenTree::Group(group) => Ok(group),
        other => Err(Error::new(other.span(), "expected the body of a function")),
    }
}

fn body(signature: &Signature, braces: &Group) -> Result<Body> {
    if let Some((boxed, block)) = boxed(signature, braces.stream()) {
        return Ok(Body {
            attributes: Vec::new(),
            block,
            boxed: Some(boxed),
        });
    }
    let parser = |input: ParseStream<'_>| Ok((Attribute::parse_inner(input)?, input.parse()?));
    let (attributes, tokens) = parser.parse2(braces.stream())?;
    let mut block = Group::new(Delimiter::Brace, tokens);
    block.set_span(braces.span());
    Ok(Body {
        attributes,
        block,
        boxed: None,
    })
}

/// The box and the block in it, if that is the whole body.
fn boxed(signature: &Signature, body: TokenStream) -> Option<(Boxed, Group)> {
    let ReturnType::Type(_, returned) = &signature.output else {
        return None;
    };
    let output = future_output(returned)?.clone();
    let mut pin: Vec<TokenTree> = body.into_iter().collect();
    let Some(TokenTree::Group(argument)) = pin.pop() else {
        return None;
    };
    let pin: TokenStream = pin.into_iter().collect();
    syn::parse2::<Path>(pin.clone()).ok()?;
    let async_block = |input: ParseStream<'_>| {
        input.parse::<Token![async]>()?;
        input.parse::<Token![move]>()?;
        input.parse()
    };
    Some((
        Boxed { pin, output },
        async_block.parse2(argument.stream()).ok()?,
    ))
}

/// `R` of `Pin<Box<dyn Future<Output = R> + ..>>`.
pub(crate) fn future_output(returned: &Type) -> Option<&Type> {
    let Type::TraitObject(object) = first_argument(first_argument(returned, "Pin")?, "Box")? else {
        return None;
    };
    let future = object.bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => generics(&bound.path, "Future"),
        _ => None,
    });
    future?.find_map(|argument| match argument {
        GenericArgument::AssocType(output) if output.ident == "Output" => Some(&output.ty),
        _ => None,
    })
}

/// `T` of `Name<T, ..>`.
pub(crate) fn first_argument<'a>(outer: &'a Type, name: &str) -> Option<&'a Type> {
    match arguments_of(outer, name)?.next()? {
        GenericArgument::Type(argument) => Some(argument),
        _ => None,
    }
}

/// What stands between the angle brackets of `Name<..>`.
pub(crate) fn arguments_of<'a>(
    outer: &'a Type,
    name: &str,
) -> Option<impl Iterator<Item = &'a GenericArgument> + use<'a>> {
    match outer {
        Type::Path(outer) => generics(&outer.path, name),
        _ => None,
    }
}

fn generics<'a>(
    path: &'a Path,
    name: &str,
) -> Option<impl Iterator<Item = &'a GenericArgument> + use<'a>> {
    let last = path.segments.last().filter(|last| last.ident == name)?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => Some(arguments.args.iter()),
        _ => None,
    }
}

/// A type or an argument as people write it.
pub(crate) fn spell(tokens: impl ToTokens) -> String {
    let tokens = tokens.to_token_stream().to_string();
    [
        (" :: ", "::"),
        (" < ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" : ", ": "),
        ("& ", "&"),
    ]
    .into_iter()
    .fold(tokens, |text, (spaced, tight)| text.replace(spaced, tight))
}
