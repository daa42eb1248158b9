//! What holds of a function that is not `async`: it waits by blocking its thread, and its results stay in the process.

use super::Run;
use crate::args::{CachedArgs, Given};
use crate::errors::Errors;
use crate::function::{Function, future_output};
use crate::options::Coalesce;
use proc_macro2::Ident;
use syn::{Error, Result, ReturnType};

/// Whether the attribute can stand on the function, be it `async` or not.
pub(super) fn can_run(function: &Function, what: &str) -> Result<()> {
    if function.is_async() {
        return Ok(());
    }
    if let Some(place) = &function.signature.constness {
        let message = format!("{what} cannot be `const`; remove that, or the attribute");
        return Err(Error::new(place.span, message));
    }
    match &function.signature.output {
        ReturnType::Type(_, returned) if future_output(returned).is_some() => {
            let message = format!(
                "{what} must be `async` where it returns a future; write `async fn`, and what it awaits as the return type"
            );
            Err(Error::new_spanned(returned, message))
        }
        _ => Ok(()),
    }
}

/// How the body of such a function is run; options that need one to be `async` are errors.
pub(super) fn run(args: &CachedArgs) -> Result<Run> {
    let mut errors = Errors::default();
    let mut refuse = |name: &Ident, why: &str| {
        let message = format!("{why}; make the function `async`, or remove `{name}`");
        errors.push(Error::new(name.span(), message));
    };
    if let Some(Given {
        name,
        value: Coalesce::Fleet,
    }) = &args.coalesce
    {
        let why = "`coalesce = \"fleet\"` asks Redis, which a function that is not `async` cannot";
        refuse(name, why);
    }
    if let Some(Given { name, value: false }) = &args.near {
        let why =
            "what a function returns that is not `async` is kept in the process or not at all";
        refuse(name, why);
    }
    if let Some(Given { name, .. }) = &args.codec {
        let why = "`codec` encodes for Redis, which a function that is not `async` cannot ask";
        refuse(name, why);
    }
    let names = [
        name(&args.stale_while_revalidate),
        name(&args.stale_if_error),
        name(&args.early_refresh),
        name(&args.load_timeout),
        name(&args.background),
    ];
    for name in names.into_iter().flatten() {
        refuse(name, &format!("`{name}` is for functions that are `async`"));
    }
    errors.finish(Run::Plain)
}

fn name<T>(slot: &Option<Given<T>>) -> Option<&Ident> {
    slot.as_ref().map(|given| &given.name)
}
