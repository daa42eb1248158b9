//! What a pattern may be beside a template: a glob as in Redis, which an argument in it does not change.

use super::Piece;

type Checked = Result<(), String>;

/// Where a walk along a pattern stands.
#[derive(Default)]
struct Walk<'a> {
    in_class: bool,
    escaped: bool,
    has_wildcard: bool,
    /// The argument that ends here.
    hole: Option<&'a proc_macro2::Ident>,
}

/// Every mistake that the runtime would take for a pattern of another meaning.
pub(super) fn check(pieces: &[Piece]) -> Checked {
    let mut walk = Walk::default();
    for piece in pieces {
        match piece {
            Piece::Text(text) => text.chars().try_for_each(|c| walk.step(c))?,
            Piece::Hole(hole) => walk.hole(&hole.argument)?,
        }
    }
    if walk.escaped {
        return Err("this `\\` escapes nothing; remove it, or write `\\\\` in a raw string for the character".into());
    }
    if walk.in_class {
        return Err(
            "this `[` is not closed; write `[a-z]`, or `\\[` in a raw string for the character"
                .into(),
        );
    }
    if !walk.has_wildcard {
        return Err("this pattern names a single entry, and would look at every key for it; use `prefix` and `key`, or `entry = ..`, or put a `*` in it".into());
    }
    Ok(())
}

impl<'a> Walk<'a> {
    fn step(&mut self, c: char) -> Checked {
        let hole = self.hole.take();
        if c.is_control() {
            return Err(format!(
                "`{}` cannot stand in a pattern; remove it",
                c.escape_debug()
            ));
        }
        if self.escaped {
            self.escaped = false;
            return Ok(());
        }
        match c {
            '\\' => self.escaped = true,
            ']' => self.in_class = false,
            _ if self.in_class => {}
            '*' | '?' | '[' => {
                if let Some(hole) = hole {
                    return Err(format!(
                        "`{{{hole}}}{c}` would match longer values of `{hole}` as well; put what follows it in the key between the two, such as `{{{hole}}}:{c}`"
                    ));
                }
                self.has_wildcard = true;
                self.in_class = c == '[';
            }
            _ => {}
        }
        Ok(())
    }

    fn hole(&mut self, hole: &'a proc_macro2::Ident) -> Checked {
        if self.in_class {
            return Err(format!(
                "`{{{hole}}}` cannot stand in a class, since it is more than one character; take it out of the `[..]`"
            ));
        }
        if self.escaped {
            return Err(format!(
                "this `\\` escapes nothing, since `{{{hole}}}` is escaped by itself; remove it"
            ));
        }
        self.hole = Some(hole);
        Ok(())
    }
}
