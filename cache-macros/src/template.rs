//! `key = "{user_id}:profile"`, `tags = ["user:{user_id}"]` and `pattern = "user_{user_id}_*"` taken apart: text, and holes that name an argument or a
//! field of one.

mod pattern;

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Error, Ident, Index, LitStr, Member, Result};

/// The parsed template of a key or a tag.
pub(crate) struct Template {
    pub(crate) pieces: Vec<Piece>,
}

pub(crate) enum Piece {
    /// Stands in the key or tag as it is.
    Text(String),
    /// Stands for the value of an argument, escaped.
    Hole(Hole),
}

/// What a template is for.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Key,
    Tag,
    Pattern,
}

/// `{settings.locale}`: the argument as written in the literal, and the way from there.
pub(crate) struct Hole {
    pub(crate) argument: Ident,
    pub(crate) fields: Vec<Member>,
}

/// Why a character cannot stand in a key as it is: a space would end it in a terminal, and the others mean something in
/// a pattern, in a Redis Cluster hash tag or in the escaping of arguments.
pub(crate) fn forbidden(text: &str) -> Option<char> {
    text.chars()
        .find(|&c| c.is_whitespace() || c.is_control() || "*?[]{}\\^%'".contains(c))
}

/// What the runtime writes into the text of an argument that is more than a word: tuples, names of fields, quotes.
const PUNCTUATION: &str = "(),=~$#'\"";

impl Parse for Template {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let literal = crate::options::string(input, "key", "key = \"{id}:profile\"")?;
        Self::new(&literal, Role::Key)
    }
}

impl Template {
    pub(crate) fn new(literal: &LitStr, role: Role) -> Result<Self> {
        let pieces = pieces(&literal.value(), literal.span(), role)
            .map_err(|message| Error::new(literal.span(), message))?;
        Ok(Self { pieces })
    }
}

impl Role {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Tag => "tag",
            Self::Pattern => "pattern",
        }
    }

    /// What is said of an empty template.
    fn empty(self) -> &'static str {
        match self {
            Self::Key => {
                "an empty `key` is one entry for everything; name an argument in it, such as `{id}`"
            }
            Self::Tag => "an empty tag groups nothing; name one, such as `\"all\"`, or remove it",
            Self::Pattern => "an empty pattern matches no key; write one, such as `\"user_*\"`",
        }
    }
}

fn pieces(template: &str, span: Span, role: Role) -> std::result::Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = template.chars();
    while let Some(c) = rest.next() {
        let doubled = rest.as_str().starts_with(c);
        match c {
            '{' | '}' if doubled => text.extend(rest.next()),
            '{' => {
                let (hole, after) = rest
                    .as_str()
                    .split_once('}')
                    .ok_or("this `{` is not closed; name an argument in it, such as `{id}`, or write `{{` for the character")?;
                push_text(&mut pieces, &mut text, role)?;
                pieces.push(Piece::Hole(self::hole(hole, span)?));
                rest = after.chars();
            }
            '}' => {
                return Err(
                    "this `}` closes nothing; remove it, or write `}}` for the character"
                        .to_owned(),
                );
            }
            c => text.push(c),
        }
    }
    push_text(&mut pieces, &mut text, role)?;
    if pieces.is_empty() {
        return Err(role.empty().to_owned());
    }
    check_separators(&pieces, role)?;
    if let Role::Pattern = role {
        pattern::check(&pieces)?;
    }
    Ok(pieces)
}

/// With nothing between them, two arguments would share entries: `ab`, `c` and `a`, `bc`. The runtime escapes the text in
/// between where it stands in the first argument, but not what punctuates a written value: `("a","b")`, `Some("a")`.
fn check_separators(pieces: &[Piece], role: Role) -> std::result::Result<(), String> {
    let mut before: Option<&Ident> = None;
    let mut between = "";
    for piece in pieces {
        match piece {
            Piece::Text(text) => between = text,
            Piece::Hole(hole) => {
                if let Some(before) = before {
                    check_separator(before, between, &hole.argument, role)?;
                }
                before = Some(&hole.argument);
                between = "";
            }
        }
    }
    Ok(())
}

fn check_separator(
    before: &Ident,
    between: &str,
    after: &Ident,
    role: Role,
) -> std::result::Result<(), String> {
    if between.contains(':') {
        return Ok(());
    }
    match between.chars().next() {
        None => Err(format!(
            "nothing separates `{before}` from `{after}`; put a `:` between the two"
        )),
        // A pattern looks for what is there, and may look for that.
        Some(c) if !matches!(role, Role::Pattern) && PUNCTUATION.contains(c) => Err(format!(
            "`{c}` does not separate `{before}` from `{after}`, since it can stand in a written value; put a `:` between the two"
        )),
        Some(_) => Ok(()),
    }
}

fn push_text(
    pieces: &mut Vec<Piece>,
    text: &mut String,
    role: Role,
) -> std::result::Result<(), String> {
    // A brace that was written twice is meant, and most of a pattern has a meaning.
    let forbidden = |text: &str| match role {
        Role::Key | Role::Tag => forbidden(text),
        Role::Pattern => None,
    };
    if let Some(c) = forbidden(&text.replace(['{', '}'], "")) {
        return Err(format!(
            "`{}` cannot stand in a {}; use letters, digits, `:`, `-`, `_` or `.`",
            c.escape_debug(),
            role.word()
        ));
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(std::mem::take(text)));
    }
    Ok(())
}

fn hole(written: &str, span: Span) -> std::result::Result<Hole, String> {
    let mut path = written.trim().split('.');
    let argument = path.next().unwrap_or_default();
    if argument.is_empty() {
        return Err(
            "an empty hole stands for nothing; name an argument in it, such as `{id}`".to_owned(),
        );
    }
    let illegible = || {
        format!(
            "`{{{written}}}` is not an argument or a field of one; write `{{id}}` or `{{user.id}}`"
        )
    };
    Ok(Hole {
        argument: ident(Ident::parse_any, argument, span).ok_or_else(illegible)?,
        fields: path
            .map(|field| member(field, span))
            .collect::<Option<_>>()
            .ok_or_else(illegible)?,
    })
}

fn member(field: &str, span: Span) -> Option<Member> {
    match field.parse() {
        Ok(index) => Some(Member::Unnamed(Index { index, span })),
        Err(_) => ident(Ident::parse, field, span).map(Member::Named),
    }
}

/// A word at the place of the literal.
fn ident(parser: impl Parser<Output = Ident>, word: &str, span: Span) -> Option<Ident> {
    let mut ident = parser.parse_str(word).ok()?;
    ident.set_span(span);
    Some(ident)
}

#[cfg(test)]
mod tests {
    use super::{Piece, Role, pieces};
    use proc_macro2::Span;
    use quote::ToTokens;

    /// Pieces as text: holes in angle brackets.
    fn read(template: &str, role: Role) -> Result<String, String> {
        let spell = |piece: &Piece| match piece {
            Piece::Text(text) => format!("{text:?}"),
            Piece::Hole(hole) => {
                let fields = hole
                    .fields
                    .iter()
                    .map(|field| format!(".{}", field.to_token_stream()));
                format!("<{}{}>", hole.argument, fields.collect::<String>())
            }
        };
        Ok(pieces(template, Span::call_site(), role)?
            .iter()
            .map(spell)
            .collect::<Vec<_>>()
            .join(" "))
    }

    #[track_caller]
    fn check(template: &str, expected: &str) {
        assert_eq!(read(template, Role::Key).as_deref(), Ok(expected));
    }

    #[track_caller]
    fn check_error(template: &str, message: &str) {
        assert_eq!(read(template, Role::Key), Err(message.to_owned()));
    }

    #[test]
    fn text_and_holes_alternate() {
        check("{user_id}:profile", r#"<user_id> ":profile""#);
        check("all", r#""all""#);
        check("{ a }:{b}", r#"<a> ":" <b>"#);
    }

    #[test]
    fn holes_reach_into_fields() {
        check("{settings.locale.name}", "<settings.locale.name>");
        check("{pair.0}:{pair.1}", r#"<pair.0> ":" <pair.1>"#);
        check("{self.tenant}", "<self.tenant>");
        check("{r#type}:{a.r#type}", r#"<r#type> ":" <a.r#type>"#);
    }

    #[test]
    fn malformed_templates_are_refused() {
        check_error(
            "",
            "an empty `key` is one entry for everything; name an argument in it, such as `{id}`",
        );
        check_error(
            "{}",
            "an empty hole stands for nothing; name an argument in it, such as `{id}`",
        );
        check_error(
            "{id",
            "this `{` is not closed; name an argument in it, such as `{id}`, or write `{{` for the character",
        );
        check_error(
            "{a}'{b}",
            "`\\'` cannot stand in a key; use letters, digits, `:`, `-`, `_` or `.`",
        );
        check_error(
            "id}",
            "this `}` closes nothing; remove it, or write `}}` for the character",
        );
        check_error(
            "{a+b}",
            "`{a+b}` is not an argument or a field of one; write `{id}` or `{user.id}`",
        );
        check_error(
            "{a.type}",
            "`{a.type}` is not an argument or a field of one; write `{id}` or `{user.id}`",
        );
        check_error(
            "{a.}",
            "`{a.}` is not an argument or a field of one; write `{id}` or `{user.id}`",
        );
        check_error(
            "{a:?}",
            "`{a:?}` is not an argument or a field of one; write `{id}` or `{user.id}`",
        );
    }

    #[test]
    fn what_stands_in_written_values_separates_nothing() {
        check_error(
            "{a}{b}",
            "nothing separates `a` from `b`; put a `:` between the two",
        );
        check_error(
            "{a}:{b}{c}",
            "nothing separates `b` from `c`; put a `:` between the two",
        );
        for c in "(),=~$#\"".chars() {
            let message = format!(
                "`{c}` does not separate `a` from `b`, since it can stand in a written value; put a `:` between the two"
            );
            check_error(&format!("{{a}}{c}{{b.id}}"), &message);
            check_error(&format!("{{a}}{c}-{{b}}"), &message);
        }
    }

    #[test]
    fn other_text_separates_two_holes() {
        check("{a}-{b}", r#"<a> "-" <b>"#);
        check("{a}_{b}", r#"<a> "_" <b>"#);
        check("{a}-({b}", r#"<a> "-(" <b>"#);
        check("{a},:{b}", r#"<a> ",:" <b>"#);
        check("({a})", r#""(" <a> ")""#);
    }

    #[test]
    fn characters_with_a_meaning_are_refused() {
        check_error(
            "a b",
            "` ` cannot stand in a key; use letters, digits, `:`, `-`, `_` or `.`",
        );
        check_error(
            "{id}:*",
            "`*` cannot stand in a key; use letters, digits, `:`, `-`, `_` or `.`",
        );
        check_error(
            "a\n",
            "`\\n` cannot stand in a key; use letters, digits, `:`, `-`, `_` or `.`",
        );
    }

    #[test]
    fn a_brace_written_twice_stands_for_itself() {
        check("{{id}}", r#""{id}""#);
        check("id}}", r#""id}""#);
        check("{{{id}}}:{{", r#""{" <id> "}:{""#);
        check("{a}}}{{{b}", r#"<a> "}{" <b>"#);
        check_error(
            "{{id}",
            "this `}` closes nothing; remove it, or write `}}` for the character",
        );
        check_error(
            "{{{id",
            "this `{` is not closed; name an argument in it, such as `{id}`, or write `{{` for the character",
        );
    }

    #[test]
    fn a_pattern_is_a_glob_with_holes() {
        let check = |template: &str, expected: &str| {
            assert_eq!(read(template, Role::Pattern).as_deref(), Ok(expected));
        };
        check("user_*", r#""user_*""#);
        check("user_{id}_*", r#""user_" <id> "_*""#);
        check("*:{user.id}", r#""*:" <user.id>"#);
        check("[a-z]?:{{*", r#""[a-z]?:{*""#);
        check(r"\*{id}:[^\]]", r#""\\*" <id> ":[^\\]]""#);
        check("{a},{b}:*", r#"<a> "," <b> ":*""#);
    }

    #[test]
    fn a_pattern_that_means_something_else_is_refused() {
        let check = |template: &str, part: &str| {
            let message = read(template, Role::Pattern).unwrap_err();
            assert!(message.contains(part), "{message}");
        };
        check("", "an empty pattern matches no key");
        check("user:{id}", "names a single entry");
        check(r"user\*", "names a single entry");
        check("user:{id}*", "`{id}*` would match longer values of `id`");
        check(
            "user:{id}[0-9]",
            "`{id}[` would match longer values of `id`",
        );
        check("{a}{b}:*", "nothing separates `a` from `b`");
        check("user:[{id}]*", "`{id}` cannot stand in a class");
        check(r"*\{id}", "`{id}` is escaped by itself");
        check("user:[a-z", "this `[` is not closed");
        check("user:*\\", "this `\\` escapes nothing; remove it");
        check("user:*\n", "`\\n` cannot stand in a pattern");
    }
}
