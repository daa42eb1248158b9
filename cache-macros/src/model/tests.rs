//! Every mistake and what is said about it; where it is underlined is told by `tests/ui`.

use super::{CachedFn, InvalidatingFn};
use crate::{errors, expand};
use proc_macro2::TokenStream;
use syn::Result;
use syn::parse::{ParseStream, Parser};
use syn::{ItemMacro, LitStr};

/// The mistakes in `#[cached(attribute)] item`, in the order in which they are shown.
#[track_caller]
fn check(attribute: &str, item: &str, messages: &[&str]) {
    let expand = |attribute, item| CachedFn::new(attribute, item).map(expand::cached);
    compare(expand, attribute, item, messages);
}

/// The mistakes in `#[cache_invalidate(attribute)] item`.
#[track_caller]
fn check_invalidate(attribute: &str, item: &str, messages: &[&str]) {
    let expand = |attribute, item| InvalidatingFn::new(attribute, item).map(expand::invalidating);
    compare(expand, attribute, item, messages);
}

/// What is expanded to: one `compile_error!` for each mistake, then the item as it was.
#[track_caller]
fn compare(
    expand: fn(TokenStream, TokenStream) -> Result<TokenStream>,
    attribute: &str,
    item: &str,
    messages: &[&str],
) {
    let attribute = attribute.parse().unwrap();
    let item: TokenStream = item.parse().unwrap();
    let expansion = errors::or_unchanged(item.clone(), |item| expand(attribute, item));
    let read = |input: ParseStream<'_>| {
        let mut found = Vec::new();
        while input.peek(syn::Token![::]) {
            let error: ItemMacro = input.parse()?;
            found.push(error.mac.parse_body::<LitStr>()?.value());
        }
        Ok((found, input.parse::<TokenStream>()?))
    };
    let (found, rest) = read.parse2(expansion).unwrap();
    assert_eq!(found, messages);
    assert_eq!(rest.to_string(), item.to_string());
}

/// A function without a mistake.
const LOAD: &str = "async fn load(db: &Db, id: u64) -> User { db.load(id).await }";

// --- options --------------------------------------------------------------------------------

#[test]
fn an_unknown_option_names_the_nearest_or_all() {
    check(
        "tll = 60",
        LOAD,
        &["`tll` is not an option of `#[cached]`; did you mean `ttl`?"],
    );
    check(
        "prefx = \"a\"",
        LOAD,
        &["`prefx` is not an option of `#[cached]`; did you mean `prefix`?"],
    );
    check(
        "timeout = 60",
        LOAD,
        &[
            "`timeout` is not an option of `#[cached]`; its options are `ttl`, `prefix`, `key`, `batch`, `skip`, `sensitive`, `tags`, `version`, `cache_if`, `negative_ttl`, `bypass`, `codec`, `compress`, `near`, `near_ttl`, `coalesce`, `stale_while_revalidate`, `stale_if_error`, `early_refresh`, `load_timeout`, `max_loads`, `background`, `cache` and `crate`",
        ],
    );
    check_invalidate(
        "prefix = \"a\", ttl = 5",
        LOAD,
        &[
            "`ttl` is not an option of `#[cache_invalidate]`; its options are `prefix`, `key`, `sensitive`, `tags`, `entry`, `pattern`, `when`, `cache` and `crate`",
        ],
    );
}

#[test]
fn a_variable_has_a_name_and_its_default_is_a_duration() {
    for name in ["", "A B", "1A", "A$", "LIFÉ"] {
        let message = format!(
            "`${name}` names no environment variable; write `ttl = \"$NAME\"`, or `ttl = \"$NAME|1h\"` with what holds where it is not set"
        );
        check(&format!("ttl = \"${name}\""), LOAD, &[&message]);
    }
    check(
        "ttl = \"$LIFE|0s\"",
        LOAD,
        &["a default of zero would cache nothing; give a positive duration"],
    );
    check(
        "ttl = \"$LIFE|\"",
        LOAD,
        &["`\"\"` is not a duration; write one such as `\"5m\"`"],
    );
    check(
        "near_ttl = \"$LIFE\"",
        LOAD,
        &["`$LIFE` is not a duration; write whole numbers with units, such as `\"1h 30m\"`"],
    );
}

#[test]
fn a_value_is_asked_by_one_closure_over_it() {
    let message = "a closure for `ttl` takes the value alone; write `ttl = |value| ..`, or an expression over the arguments without `|`";
    check("ttl = || DAY", LOAD, &[message]);
    check("ttl = |a, b| DAY", LOAD, &[message]);
    check(
        "negative_ttl = 0",
        LOAD,
        &[
            "`negative_ttl = 0` would keep no `None`; write `cache_if = Option::is_some`, or give a positive duration",
        ],
    );
    check(
        "negative_ttl = |value| DAY",
        LOAD,
        &[
            "`negative_ttl` takes whole seconds or a duration; write `negative_ttl = 60` or `negative_ttl = \"250ms\"`",
        ],
    );
}

#[test]
fn an_option_is_given_once() {
    check(
        "ttl = 1, ttl = 2",
        LOAD,
        &["`ttl` was given before; remove one of the two"],
    );
    check(
        "skip(db), skip(id)",
        LOAD,
        &["`skip` was given before; remove one of the two"],
    );
    check(
        "crate = a, crate = b",
        LOAD,
        &["`crate` was given before; remove one of the two"],
    );
    check_invalidate(
        "prefix = \"a\", prefix = \"b\"",
        LOAD,
        &["`prefix` was given before; remove one of the two"],
    );
}

#[test]
fn an_option_has_its_form() {
    check("ttl", LOAD, &["`ttl` takes a value; write `ttl = ..`"]);
    check("ttl(60)", LOAD, &["`ttl` takes a value; write `ttl = ..`"]);
    check(
        "skip",
        LOAD,
        &["`skip` takes names of arguments; write `skip(..)`"],
    );
    check(
        "skip = db",
        LOAD,
        &["`skip` takes names of arguments; write `skip(..)`"],
    );
    check(
        "skip()",
        LOAD,
        &["`skip` takes names of arguments; write `skip(..)`"],
    );
    check(
        "ttl = 60 prefix = \"a\"",
        LOAD,
        &["two options need a `,` between them"],
    );
    check(
        "60",
        LOAD,
        &[
            "an option starts with its name, one of `ttl`, `prefix`, `key`, `batch`, `skip`, `sensitive`, `tags`, `version`, `cache_if`, `negative_ttl`, `bypass`, `codec`, `compress`, `near`, `near_ttl`, `coalesce`, `stale_while_revalidate`, `stale_if_error`, `early_refresh`, `load_timeout`, `max_loads`, `background`, `cache` and `crate`",
        ],
    );
}

#[test]
fn all_mistakes_are_reported_at_once() {
    check(
        "ttl = 0, prefx = \"user\", key = \"\", skip(dbb)",
        "fn load(db: &Db) -> impl Into<User> {}",
        &[
            "`ttl = 0` would cache nothing; remove the attribute or give a positive duration",
            "`prefx` is not an option of `#[cached]`; did you mean `prefix`?",
            "an empty `key` is one entry for everything; name an argument in it, such as `{id}`",
            "a cached value must have a type with a name; write it in place of `impl ..`",
            "`dbb` is not an argument of this function; did you mean `db`?",
        ],
    );
}

// --- ttl ------------------------------------------------------------------------------------

#[test]
fn a_ttl_is_positive() {
    let zero = "`ttl = 0` would cache nothing; remove the attribute or give a positive duration";
    check("ttl = 0", LOAD, &[zero]);
    check("ttl = \"0s\"", LOAD, &[zero]);
    check("ttl = \"0d 0ms\"", LOAD, &[zero]);
    check(
        "ttl = -1",
        LOAD,
        &["`ttl` must be positive; write `ttl = 60` or `ttl = \"250ms\"`"],
    );
}

#[test]
fn a_ttl_is_whole_seconds_or_a_duration() {
    let form = "`ttl` takes whole seconds or a duration; write `ttl = 60` or `ttl = \"250ms\"`";
    check("ttl = 1.5", LOAD, &[form]);
    check("ttl = true", LOAD, &[form]);
    check(
        "ttl = 60s",
        LOAD,
        &["`60s` is not a number of seconds; write it in quotes: `ttl = \"60s\"`"],
    );
    check(
        "ttl = 99999999999999999999",
        LOAD,
        &["`99999999999999999999` is longer than can be counted; give a shorter duration"],
    );
    check(
        "ttl = 18446744073709551615",
        LOAD,
        &["`18446744073709551615` is longer than can be counted; give a shorter duration"],
    );
    check(
        "ttl = \"300\"",
        LOAD,
        &["`300` has no unit; write `\"300s\"`, or `300` without quotes for seconds"],
    );
}

// --- prefix and key -------------------------------------------------------------------------

#[test]
fn a_prefix_consists_of_levels() {
    check(
        "prefix = \"\"",
        LOAD,
        &["an empty `prefix` groups nothing; name one, such as `\"user\"`"],
    );
    for prefix in ["user:", ":user", "video::meta"] {
        let message = format!(
            "`{prefix}` has an empty level; write one `:` between two levels, such as `\"video:meta\"`"
        );
        check(&format!("prefix = \"{prefix}\""), LOAD, &[&message]);
    }
    check(
        &format!("prefix = \"{}\"", ["a"; 17].join(":")),
        LOAD,
        &["a prefix has at most 16 levels, or it could not be invalidated; shorten it"],
    );
    check(
        "prefix = USER",
        LOAD,
        &["`prefix` takes a string literal; write `prefix = \"user\"`"],
    );
    check(
        "prefix = [\"a\", \"b\"]",
        LOAD,
        &["`prefix` takes a string literal; write `prefix = \"user\"`"],
    );
}

#[test]
fn a_prefix_has_no_characters_with_a_meaning() {
    for (prefix, character) in [
        ("my user", " "),
        ("a*", "*"),
        ("{a}", "{"),
        ("a%", "%"),
        ("a\\t", "\\t"),
        ("it's", "\\'"),
    ] {
        let message = format!(
            "`{character}` cannot stand in a prefix; use letters, digits, `-`, `_` or `.`, and `:` between levels"
        );
        check(&format!("prefix = \"{prefix}\""), LOAD, &[&message]);
    }
    check(
        "prefix = \"gen@a\"",
        LOAD,
        &["prefixes that start with `gen@` belong to the runtime; choose another"],
    );
    check(
        "prefix = \"lease@a\"",
        LOAD,
        &["prefixes that start with `lease@` belong to the runtime; choose another"],
    );
}

#[test]
fn a_hole_names_an_argument() {
    check(
        "key = \"{idd}\"",
        LOAD,
        &["`idd` is not an argument of this function; did you mean `id`?"],
    );
    check(
        "key = \"{user}\"",
        LOAD,
        &[
            "`user` is not an argument of this function; a hole names an argument, here `db` and `id`",
        ],
    );
    check(
        "key = \"{self.id}\"",
        LOAD,
        &[
            "`self` is not an argument of this function; a hole names an argument, here `db` and `id`",
        ],
    );
    check(
        "key = \"{a}:{b}\"",
        "async fn f() -> u8 { 1 }",
        &[
            "`a` is not an argument of this function; it has none, and a hole names an argument",
            "`b` is not an argument of this function; it has none, and a hole names an argument",
        ],
    );
    check(
        "key = \"{a}\"",
        "async fn f((a, b): (u8, u8)) -> u8 { a + b }",
        &["`a` is part of a pattern; name the whole argument, and take it apart in the body"],
    );
    check(
        "key = id",
        LOAD,
        &["`key` takes a string literal; write `key = \"{id}:profile\"`"],
    );
}

#[test]
fn a_template_tells_its_arguments_apart() {
    let item = "async fn f(a: &str, b: &str) -> u8 { 1 }";
    check(
        "key = \"\"",
        item,
        &["an empty `key` is one entry for everything; name an argument in it, such as `{id}`"],
    );
    check(
        "key = \"{a}{b}\"",
        item,
        &["nothing separates `a` from `b`; put a `:` between the two"],
    );
    check(
        "key = \"{a},{b}\"",
        item,
        &[
            "`,` does not separate `a` from `b`, since it can stand in a written value; put a `:` between the two",
        ],
    );
    check_invalidate(
        "prefix = \"a\", key = \"{a}={b}\"",
        item,
        &[
            "`=` does not separate `a` from `b`, since it can stand in a written value; put a `:` between the two",
        ],
    );
    check(
        "key = \"{a}:*\"",
        item,
        &["`*` cannot stand in a key; use letters, digits, `:`, `-`, `_` or `.`"],
    );
    check(
        "key = \"{a\"",
        item,
        &[
            "this `{` is not closed; name an argument in it, such as `{id}`, or write `{{` for the character",
        ],
    );
    check(
        "key = \"{a.len()}\"",
        item,
        &["`{a.len()}` is not an argument or a field of one; write `{id}` or `{user.id}`"],
    );
}

#[test]
fn skip_names_arguments() {
    check(
        "skip(dbb)",
        LOAD,
        &["`dbb` is not an argument of this function; did you mean `db`?"],
    );
    check(
        "skip(pool)",
        LOAD,
        &[
            "`pool` is not an argument of this function; `skip` takes names of arguments, here `db` and `id`",
        ],
    );
    check(
        "skip(self)",
        LOAD,
        &[
            "`self` is not an argument of this function; `skip` takes names of arguments, here `db` and `id`",
        ],
    );
    check(
        "key = \"{id}\", skip(db)",
        LOAD,
        &["`skip` has no effect with `key`; remove it"],
    );
}

#[test]
fn an_argument_is_named_once() {
    let twice = "`db` is named twice; remove one of the two";
    check("skip(db, id, db)", LOAD, &[twice]);
    check(
        "sensitive(db, r#db)",
        LOAD,
        &["`r#db` is named twice; remove one of the two"],
    );
    check_invalidate(
        "prefix = \"user\", key = \"{id}\", sensitive(id, id)",
        LOAD,
        &["`id` is named twice; remove one of the two"],
    );
}

// --- sensitive ------------------------------------------------------------------------------

#[test]
fn sensitive_names_arguments() {
    check(
        "sensitive(idd)",
        LOAD,
        &["`idd` is not an argument of this function; did you mean `id`?"],
    );
    check(
        "sensitive(token)",
        LOAD,
        &[
            "`token` is not an argument of this function; `sensitive` takes names of arguments, here `db` and `id`",
        ],
    );
    check(
        "sensitive(a)",
        "async fn load((a, b): (u64, u64)) -> u64 { a + b }",
        &["`a` is part of a pattern; name the whole argument, and take it apart in the body"],
    );
    check(
        "sensitive = id",
        LOAD,
        &["`sensitive` takes names of arguments; write `sensitive(..)`"],
    );
    check(
        "sensitive(id), sensitive(db)",
        LOAD,
        &["`sensitive` was given before; remove one of the two"],
    );
}

#[test]
fn a_sensitive_argument_is_part_of_the_key() {
    check(
        "skip(db, id), sensitive(id)",
        LOAD,
        &["`id` is also in `skip`, which leaves it out of the key; remove it from one of the two"],
    );
    let unnamed = "no template names `db`; name it, as in `{db}`, or remove it from `sensitive`";
    check("key = \"{id}\", sensitive(db, id)", LOAD, &[unnamed]);
    check_invalidate("prefix = \"user\", sensitive(db)", LOAD, &[unnamed]);
    check_invalidate(
        "prefix = \"user\", key = \"{id}\", tags = \"{id.x}\", sensitive(id, db)",
        LOAD,
        &[unnamed],
    );
}

#[test]
fn what_a_broken_template_may_have_named_is_not_said_to_be_unnamed() {
    let open = "this `{` is not closed; name an argument in it, such as `{id}`, or write `{{` for the character";
    check("key = \"{id\", sensitive(id)", LOAD, &[open]);
    check(
        "key = \"all\", tags = \"{id\", sensitive(id)",
        LOAD,
        &[open],
    );
    check_invalidate(
        "prefix = \"user\", key = \"{id\", sensitive(id)",
        LOAD,
        &[open],
    );
}

// --- tags -----------------------------------------------------------------------------------

#[test]
fn a_tag_is_a_template() {
    let none = "`tags` names no tag; give one, such as `\"all\"`, or remove the option";
    let empty = "an empty tag groups nothing; name one, such as `\"all\"`, or remove it";
    let form = "a tag is a string literal; write `tags = [\"genre:{genre}\", \"all\"]`";
    check("tags = []", LOAD, &[none]);
    check("tags = \"\"", LOAD, &[empty]);
    check("tags = [\"all\", \"\"]", LOAD, &[empty]);
    check("tags = id", LOAD, &[form]);
    check("tags = [id, 1]", LOAD, &[form, form]);
    check(
        "tags(\"all\")",
        LOAD,
        &["`tags` takes a value; write `tags = ..`"],
    );
    check(
        "tags = [\"{id\", \"{id}{db}\", \"{idd}\"]",
        LOAD,
        &[
            "this `{` is not closed; name an argument in it, such as `{id}`, or write `{{` for the character",
            "nothing separates `id` from `db`; put a `:` between the two",
        ],
    );
    check(
        "tags = [\"{idd}\", \"{user}\"]",
        LOAD,
        &[
            "`idd` is not an argument of this function; did you mean `id`?",
            "`user` is not an argument of this function; a hole names an argument, here `db` and `id`",
        ],
    );
}

#[test]
fn a_tag_has_no_characters_with_a_meaning() {
    for (tag, character) in [("my tag", " "), ("a*", "*"), ("a%", "%"), ("it's", "\\'")] {
        let message = format!(
            "`{character}` cannot stand in a tag; use letters, digits, `:`, `-`, `_` or `.`"
        );
        check(&format!("tags = [\"{tag}\"]"), LOAD, &[&message]);
    }
}

#[test]
fn a_tag_is_given_once() {
    let twice = "this tag was given before; remove one of the two";
    check("tags = [\"all\", \"{id}\", \"all\"]", LOAD, &[twice]);
    check(
        "tags = [\"{id}\", \"{id}\", r\"{id}\"]",
        LOAD,
        &[twice, twice],
    );
}

#[test]
fn there_are_at_most_16_tags() {
    let tags = |count: usize| {
        let tags: Vec<_> = (0..count).map(|number| format!("\"t{number}\"")).collect();
        format!("tags = [{}], ttl = 0", tags.join(", "))
    };
    let other = "`ttl = 0` would cache nothing; remove the attribute or give a positive duration";
    check(&tags(16), LOAD, &[other]);
    let message = "this tag is one too many; give at most 16";
    check(&tags(17), LOAD, &[message, other]);
    check(&tags(20), LOAD, &[message, other]);
}

// --- near, coalesce and stale windows -------------------------------------------------------

#[test]
fn near_is_true_or_false() {
    let form = "`near` takes `true` or `false`; write `near = false`";
    check("near = \"false\"", LOAD, &[form]);
    check("near = 0", LOAD, &[form]);
    check("near = !true", LOAD, &[form]);
    check("near", LOAD, &["`near` takes a value; write `near = ..`"]);
}

#[test]
fn near_ttl_bounds_what_is_kept_near() {
    let pointless = "`near_ttl` has no effect with `near = false`; remove it";
    check("near = false, near_ttl = 5", LOAD, &[pointless]);
    check("near_ttl = \"5s\", near = false", LOAD, &[pointless]);
    check(
        "near_ttl = 0, near = false",
        LOAD,
        &[
            "`near_ttl = 0` would keep nothing in the process; write `near = false`, or give a positive duration",
        ],
    );
    check(
        "near = true, near_ttl = \"0s\"",
        LOAD,
        &[
            "`near_ttl = 0` would keep nothing in the process; write `near = false`, or give a positive duration",
        ],
    );
}

#[test]
fn a_window_is_positive() {
    check(
        "stale_while_revalidate = \"0m\"",
        LOAD,
        &[
            "`stale_while_revalidate = 0` would return nothing stale; remove it or give a positive duration",
        ],
    );
}

#[test]
fn what_is_no_ttl_is_written_out() {
    for name in ["near_ttl", "stale_while_revalidate"] {
        let form = format!(
            "`{name}` takes whole seconds or a duration; write `{name} = 60` or `{name} = \"250ms\"`"
        );
        check(&format!("{name} = DAY"), LOAD, &[&form]);
        check(&format!("{name} = 1.5"), LOAD, &[&form]);
        check(&format!("{name} = true"), LOAD, &[&form]);
        let negative =
            format!("`{name}` must be positive; write `{name} = 60` or `{name} = \"250ms\"`");
        check(&format!("{name} = -1"), LOAD, &[&negative]);
        let unit =
            format!("`60s` is not a number of seconds; write it in quotes: `{name} = \"60s\"`");
        check(&format!("{name} = 60s"), LOAD, &[&unit]);
        check(
            &format!("{name} = \"300\""),
            LOAD,
            &["`300` has no unit; write `\"300s\"`, or `300` without quotes for seconds"],
        );
    }
}

#[test]
fn loads_are_one_for_one_of_three() {
    check(
        "coalesce = \"flet\"",
        LOAD,
        &["`flet` does not say whose loads are one; did you mean `fleet`?"],
    );
    check(
        "coalesce = \"cluster\"",
        LOAD,
        &["`cluster` does not say whose loads are one; use `process`, `fleet` or `off`"],
    );
    check(
        "coalesce = off",
        LOAD,
        &["`coalesce` takes a string literal; write `coalesce = \"fleet\"`"],
    );
}

// --- the function ---------------------------------------------------------------------------

#[test]
fn only_an_async_fn_is_cached() {
    check(
        "ttl = 0",
        "struct User { id: u64 }",
        &["`#[cached]` goes on an `fn`; move it to one"],
    );
    check(
        "",
        "const N: u8 = 1;",
        &["`#[cached]` goes on an `fn`; move it to one"],
    );
    check_invalidate(
        "",
        "mod users {}",
        &["`#[cache_invalidate]` goes on an `fn`; move it to one"],
    );
    check(
        "",
        "const fn f() -> u8 { 1 }",
        &["a cached function cannot be `const`; remove that, or the attribute"],
    );
    check_invalidate(
        "prefix = \"a\"",
        "fn f() -> Pin<Box<dyn Future<Output = ()>>> { later() }",
        &[
            "an invalidating function must be `async` where it returns a future; write `async fn`, and what it awaits as the return type",
        ],
    );
    check(
        "",
        "async fn f(&self) -> u8;",
        &["this `fn` has no body; put `#[cached]` on the one in the `impl`"],
    );
}

#[test]
fn a_cached_function_returns_something() {
    let nothing =
        "this function returns nothing that could be cached; return a value, or remove `#[cached]`";
    check("", "async fn f() {}", &[nothing]);
    check("", "async fn f() -> () {}", &[nothing]);
}

#[test]
fn a_cached_value_is_owned() {
    for (borrowed, owned) in [
        ("str", "String"),
        ("[u8]", "Vec<u8>"),
        ("User", "User"),
        ("Vec<db::Row>", "Vec<db::Row>"),
    ] {
        let message =
            format!("a cached value must be owned; return `{owned}` instead of `&{borrowed}`");
        for returned in [
            "&{}",
            "&'static {}",
            "Option<&{}>",
            "Result<Vec<&'a {}>, &'a str>",
            "(u8, &{})",
        ] {
            let returned = returned.replace("{}", borrowed);
            check(
                "",
                &format!("async fn f<'a>(a: &'a A) -> {returned} {{ a.b() }}"),
                &[&message],
            );
        }
    }
}

#[test]
fn a_cow_that_borrows_is_not_owned() {
    check(
        "",
        "async fn f(a: &str) -> Result<Cow<'_, str>, Cow<'_, str>> { Ok(a.into()) }",
        &["a cached value must be owned; return `String` instead of `Cow<'_, str>`"],
    );
    check(
        "",
        "async fn f<'a>(a: &'a [u8]) -> Option<std::borrow::Cow<'a, [u8]>> { Some(a.into()) }",
        &["a cached value must be owned; return `Vec<u8>` instead of `std::borrow::Cow<'a, [u8]>`"],
    );
}

#[test]
fn a_returned_type_has_a_name() {
    check(
        "",
        "async fn f() -> Result<impl Into<u8>, ()> { Ok(1) }",
        &["a cached value must have a type with a name; write it in place of `impl ..`"],
    );
    check_invalidate(
        "prefix = \"a\"",
        "async fn f() -> impl Into<u8> { 1 }",
        &[
            "what an invalidating function returns must have a type with a name; write it in place of `impl ..`",
        ],
    );
}

// --- invalidation ---------------------------------------------------------------------------

#[test]
fn something_is_named_to_invalidate() {
    check_invalidate(
        "",
        LOAD,
        &[
            "`#[cache_invalidate]` names nothing to invalidate; add `prefix = \"..\"`, `tags = [..]`, `entry = ..` or `pattern = \"..\"`",
        ],
    );
    check_invalidate(
        "prefix = []",
        LOAD,
        &["no prefix would invalidate nothing; name one, such as `\"user\"`"],
    );
    check_invalidate(
        "prefix = [USER]",
        LOAD,
        &[
            "`prefix` takes a string literal; write `prefix = \"user\"` or `prefix = [\"user\", \"stats\"]`",
        ],
    );
    check_invalidate(
        "prefix = [\"a\", \"b\"], key = \"{id}\"",
        LOAD,
        &["`key` names one entry under one prefix; give a single `prefix`"],
    );
}

#[test]
fn a_key_needs_a_prefix_also_beside_tags() {
    let alone = "`key` names one entry under a prefix; add `prefix = \"..\"`";
    check_invalidate("key = \"{id}\"", LOAD, &[alone]);
    check_invalidate("key = \"{id}\", tags = [\"all\"]", LOAD, &[alone]);
}

#[test]
fn what_is_written_with_a_mistake_is_not_missing() {
    check_invalidate(
        "tags = []",
        LOAD,
        &["`tags` names no tag; give one, such as `\"all\"`, or remove the option"],
    );
    check_invalidate(
        "tag = [\"all\"]",
        LOAD,
        &["`tag` is not an option of `#[cache_invalidate]`; did you mean `tags`?"],
    );
    check_invalidate(
        "prefx = \"user\", key = \"{id}\"",
        LOAD,
        &["`prefx` is not an option of `#[cache_invalidate]`; did you mean `prefix`?"],
    );
    check_invalidate(
        "prefix = \"\", key = \"{id}\", tags = [\"{user}\"]",
        LOAD,
        &[
            "an empty `prefix` groups nothing; name one, such as `\"user\"`",
            "`user` is not an argument of this function; a hole names an argument, here `db` and `id`",
        ],
    );
}

#[test]
fn tags_are_invalidated_by_the_rules_by_which_they_are_given() {
    check_invalidate(
        "prefix = \"a\", tags = [\"a b\", \"all\", \"all\", \"{idd}\"]",
        LOAD,
        &[
            "` ` cannot stand in a tag; use letters, digits, `:`, `-`, `_` or `.`",
            "this tag was given before; remove one of the two",
        ],
    );
    check_invalidate(
        "prefix = \"a\", key = \"{id}\", tags = \"{idd}\"",
        LOAD,
        &["`idd` is not an argument of this function; did you mean `id`?"],
    );
}

#[test]
fn an_invalidation_has_one_of_three_times() {
    check_invalidate(
        "prefix = \"a\", when = \"befor\"",
        LOAD,
        &["`befor` is no time to invalidate at; did you mean `before`?"],
    );
    check_invalidate(
        "prefix = \"a\", when = \"success\"",
        LOAD,
        &["`success` is no time to invalidate at; use `always`, `ok` or `before`"],
    );
    check_invalidate(
        "prefix = \"a\", when = Ok",
        LOAD,
        &["`when` takes a string literal; write `when = \"ok\"`"],
    );
}

#[test]
fn what_is_wrong_with_the_prefix_hides_nothing_of_the_key() {
    let unknown = "`idd` is not an argument of this function; did you mean `id`?";
    let item = "async fn f(id: u64) {}";
    check_invalidate(
        "key = \"{idd}\"",
        item,
        &[
            "`key` names one entry under a prefix; add `prefix = \"..\"`",
            unknown,
        ],
    );
    check_invalidate(
        "prefix = [\"a\", \"b\"], key = \"{idd}\"",
        item,
        &[
            unknown,
            "`key` names one entry under one prefix; give a single `prefix`",
        ],
    );
    check_invalidate(
        "prefx = \"a\", key = \"{idd}\"",
        item,
        &[
            "`prefx` is not an option of `#[cache_invalidate]`; did you mean `prefix`?",
            unknown,
        ],
    );
}

#[test]
fn options_that_need_to_wait_or_redis_are_no_options_of_a_plain_function() {
    check(
        "coalesce = \"fleet\", near = false, codec = \"json\", stale_if_error = \"1m\", load_timeout = \"1s\", background = false",
        "fn f() -> u8 { 1 }",
        &[
            "`coalesce = \"fleet\"` asks Redis, which a function that is not `async` cannot; make the function `async`, or remove `coalesce`",
            "what a function returns that is not `async` is kept in the process or not at all; make the function `async`, or remove `near`",
            "`codec` encodes for Redis, which a function that is not `async` cannot ask; make the function `async`, or remove `codec`",
            "`stale_if_error` is for functions that are `async`; make the function `async`, or remove `stale_if_error`",
            "`load_timeout` is for functions that are `async`; make the function `async`, or remove `load_timeout`",
            "`background` is for functions that are `async`; make the function `async`, or remove `background`",
        ],
    );
}

// --- patterns -------------------------------------------------------------------------------

#[test]
fn a_pattern_is_a_template_with_a_wildcard() {
    let none = "no pattern would invalidate nothing; give one, such as `\"user_*\"`";
    let form = "a pattern is a string literal; write `pattern = \"user_*\"`";
    let twice = "this pattern was given before; remove one of the two";
    check_invalidate("pattern = []", LOAD, &[none]);
    check_invalidate("pattern = id", LOAD, &[form]);
    check_invalidate("pattern = [\"a*\", \"{id}:*\", \"a*\"]", LOAD, &[twice]);
    check_invalidate(
        "pattern = \"{idd}:*\"",
        LOAD,
        &["`idd` is not an argument of this function; did you mean `id`?"],
    );
}
