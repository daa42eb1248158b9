//! `#[cached(batch)]`: which argument holds the ids, and what a batch cannot do.

use super::{Key, Part};
use crate::args::{CachedArgs, Given};
use crate::arguments::Arguments;
use crate::errors::Errors;
use crate::function::{Function, arguments_of, first_argument, spell};
use crate::options::{self, Coalesce};
use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::{
    Error, FnArg, GenericArgument, Ident, Pat, PatType, Receiver, ReceiverKind, Result, Type,
};

/// A function of many ids, each of which has an entry.
pub(crate) struct Batch {
    /// The argument that holds them.
    pub(crate) list: Ident,
    /// What one of them is called where keys and tags are.
    pub(crate) one: Ident,
    /// Whether that is `&[..]`, and no `Vec<..>`.
    pub(crate) is_slice: bool,
    /// Whether an entry says also that an id has no value.
    pub(crate) holds_option: bool,
}

impl Batch {
    /// Finds the ids, and has one of them stand for all in what is said of the key.
    pub(super) fn new(
        args: &mut CachedArgs,
        function: &Function,
        arguments: &mut Arguments,
        errors: &mut Errors,
    ) -> Option<Self> {
        let Given { name, value } = args.batch.take()?;
        if !function.is_async() {
            let message = "a batch waits for many loads at once; make the function `async`, or remove `batch`";
            errors.push(Error::new(name.span(), message));
        }
        errors.keep(can_do(args));
        errors.keep(is_shared(function));
        errors.keep(lacks_an_option(args, &function.returned()));
        let (list, is_slice) = errors.keep(find(&name, &value, function))?;
        let one = match value {
            options::Batch::Named { one, .. } => one.unraw(),
            options::Batch::Plain => singular(&list),
        };
        // A name of the user's, that none of ours is taken for it.
        let one = Ident::new(&one.to_string(), list.span().located_at(one.span()));
        let taken = one.to_string();
        if arguments.iter().any(|argument| argument.is_called(&taken)) {
            let message = format!(
                "one of the ids would be called `{taken}`, as another argument is; name it, as in `batch(one in {list})`"
            );
            errors.push(Error::new(name.span(), message));
        }
        arguments.make_one_of(&list, one.clone());
        Some(Self {
            list,
            one,
            is_slice,
            holds_option: args.negative_ttl.is_some(),
        })
    }

    /// Each id has an entry, so it is part of the key.
    pub(super) fn is_in(&self, key: &Key, place: Span, errors: &mut Errors) {
        let one = &self.one;
        let named = match key {
            Key::Arguments(arguments) => arguments.iter().any(|argument| argument.list.is_some()),
            Key::Template(parts) => mentions(parts, one),
        };
        // After a mistake it may be meant to be there.
        if !named && errors.is_empty() {
            let message = format!(
                "without `{one}` in the key, all ids would have one entry; name it in `key`, and do not skip it"
            );
            errors.push(Error::new(place, message));
        }
    }
}

/// Whether a template names this argument, or a field of it.
pub(crate) fn mentions(parts: &[Part], argument: &Ident) -> bool {
    parts.iter().any(|part| match part {
        Part::Text(_) => false,
        Part::Value(value, ..) => value == argument,
    })
}

/// `id` for `ids`.
fn singular(list: &Ident) -> Ident {
    let name = list.unraw().to_string();
    let one = name.strip_suffix('s').filter(|one| !one.is_empty());
    Ident::new(one.unwrap_or(&name), list.span())
}

/// The argument that holds the ids, and whether it is a slice.
fn find(name: &Ident, batch: &options::Batch, function: &Function) -> Result<(Ident, bool)> {
    let inputs = function.signature.inputs.iter();
    let lists: Vec<_> = inputs.filter_map(list).collect();
    let named = match batch {
        options::Batch::Named { list, .. } => Some(list),
        options::Batch::Plain => None,
    };
    match (named, lists.as_slice()) {
        (Some(named), lists) => {
            let found = lists.iter().find(|(list, _)| list.unraw() == named.unraw());
            found.cloned().ok_or_else(|| {
                let message = format!(
                    "`{named}` is no list of ids; name an argument that is a `Vec<..>` or a `&[..]`"
                );
                Error::new(named.span(), message)
            })
        }
        (None, [only]) => Ok(only.clone()),
        (None, []) => {
            let message = "a batch takes its ids as a `Vec<..>` or a `&[..]`, and this function has no such argument; add one, or remove `batch`";
            Err(Error::new(name.span(), message))
        }
        (None, [(first, _), ..]) => {
            let message = format!(
                "this function has several lists; say which of them holds the ids, and what one of them is called, as in `batch({} in {first})`",
                singular(first)
            );
            Err(Error::new(name.span(), message))
        }
    }
}

/// The name of an argument that may hold ids, and whether it is a slice.
fn list(input: &FnArg) -> Option<(Ident, bool)> {
    let FnArg::Typed(PatType { pat, ty, .. }) = input else {
        return None;
    };
    let Pat::Ident(pattern) = &**pat else {
        return None;
    };
    let is_slice = match bare(ty) {
        Type::Reference(reference) => {
            let slice = matches!(bare(&reference.elem), Type::Slice(_));
            (slice && reference.mutability.is_none()).then_some(true)?
        }
        vec => {
            first_argument(vec, "Vec")?;
            false
        }
    };
    let plain = pattern.by_ref.is_none() && pattern.subpat.is_none();
    plain.then(|| (pattern.ident.clone(), is_slice))
}

/// The type without the invisible group that a `macro_rules!` variable puts around it.
fn bare(mut r#type: &Type) -> &Type {
    while let Type::Group(group) = r#type {
        r#type = &group.elem;
    }
    r#type
}

/// Takes away what is meant for a call that is about one value.
fn can_do(args: &mut CachedArgs) -> Result<()> {
    let fleet = |whose: &mut Given<Coalesce>| matches!(whose.value, Coalesce::Fleet);
    let given = [
        args.stale_while_revalidate.take().map(|it| it.name),
        args.stale_if_error.take().map(|it| it.name),
        args.early_refresh.take().map(|it| it.name),
        args.load_timeout.take().map(|it| it.name),
        args.background.take().map(|it| it.name),
        args.coalesce.take_if(fleet).map(|it| it.name),
    ];
    let mut errors = Errors::default();
    for option in given.into_iter().flatten() {
        let written = match option == "coalesce" {
            true => "coalesce = \"fleet\"".to_owned(),
            false => option.to_string(),
        };
        let message = format!(
            "`{written}` is for a call of one id, and a batch loads many at once; remove it, or `batch`"
        );
        errors.push(Error::new(option.span(), message));
    }
    errors.finish(())
}

/// The body may run again, and a receiver cannot be had again.
fn is_shared(function: &Function) -> Result<()> {
    let receiver = function.signature.receiver();
    let shared =
        |receiver: &&Receiver| matches!(receiver.kind, ReceiverKind::Reference(_, _, None));
    match receiver.filter(|receiver| !shared(receiver)) {
        None => Ok(()),
        Some(receiver) => {
            let message = "a batch takes `&self`, since its body may run for some of the ids and again for others";
            Err(Error::new_spanned(receiver, message))
        }
    }
}

/// A map of `Option`s says by itself what is not there.
fn lacks_an_option(args: &CachedArgs, returned: &Type) -> Result<()> {
    let Some(negative) = &args.negative_ttl else {
        return Ok(());
    };
    let map = first_argument(returned, "Result").unwrap_or(returned);
    let of_map = ["HashMap", "BTreeMap"]
        .into_iter()
        .find_map(|name| arguments_of(map, name)?.nth(1));
    let Some(GenericArgument::Type(value)) = of_map else {
        return Ok(());
    };
    match first_argument(value, "Option") {
        None => Ok(()),
        Some(inner) => {
            let message = format!(
                "`negative_ttl` is for the ids that the map lacks, and needs no `Option` in it; return `{}` for each that there is, or remove `negative_ttl`",
                spell(inner)
            );
            Err(Error::new(negative.name.span(), message))
        }
    }
}
