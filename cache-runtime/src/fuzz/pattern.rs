//! The globs of `clear(pattern)`.

use super::input::Input;
use crate::key::pattern::{Pattern, escape};

/// A pattern and a text: they match where the definition says so, and no pair of them takes long.
pub fn pattern(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let text = input.text();
    let key = String::from_utf8_lossy(input.rest());
    let pattern = Pattern::new(&text);
    assert_eq!(pattern.as_str(), text);
    let matches = pattern.matches(&key);
    if key.len() <= 256 {
        assert_eq!(
            matches,
            by_definition(text.as_bytes(), key.as_bytes()),
            "{text} and {key}"
        );
    }
    assert!(Pattern::new(&escape(&key)).matches(&key), "{key}");
    assert_eq!(Pattern::new(&escape(&text)).matches(&key), text == key);
    assert!(Pattern::new(&format!("*{}*", escape(&text))).matches(&format!("{key}{text}{key}")));
}

/// Which beginnings of the key the pattern so far can match, for one piece of the pattern after the other.
fn by_definition(mut pattern: &[u8], key: &[u8]) -> bool {
    let mut ends = vec![false; key.len() + 1];
    if let Some(first) = ends.first_mut() {
        *first = true;
    }
    while let [first, rest @ ..] = pattern {
        pattern = rest;
        if *first == b'*' {
            // Anything: every end after the first that there is.
            let mut reached = false;
            for end in &mut ends {
                reached |= *end;
                *end = reached;
            }
            continue;
        }
        let taken: Box<dyn Fn(u8) -> bool> = match (first, rest) {
            (b'?', _) => Box::new(|_| true),
            (b'[', _) => {
                let (class, after) = class(rest);
                pattern = after;
                class
            }
            (b'\\', [literal, after @ ..]) => {
                pattern = after;
                let literal = *literal;
                Box::new(move |byte| byte == literal)
            }
            (literal, _) => {
                let literal = *literal;
                Box::new(move |byte| byte == literal)
            }
        };
        let next = ends.iter().zip(key).map(|(end, byte)| *end && taken(*byte));
        ends = std::iter::once(false)
            .chain(next.collect::<Vec<_>>())
            .collect();
    }
    ends.last().copied().unwrap_or_default()
}

/// The bytes of a class, and what follows it.
fn class(rest: &[u8]) -> (Box<dyn Fn(u8) -> bool>, &[u8]) {
    let (negated, mut rest) = match rest {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, rest),
    };
    let mut of_class = [false; 256];
    loop {
        let (low, high) = match rest {
            [] => break,
            [b'\\', literal, after @ ..] => {
                rest = after;
                (*literal, *literal)
            }
            [b']', after @ ..] => {
                rest = after;
                break;
            }
            [one, b'-', other, after @ ..] => {
                rest = after;
                (*one.min(other), *one.max(other))
            }
            [literal, after @ ..] => {
                rest = after;
                (*literal, *literal)
            }
        };
        for byte in low..=high {
            if let Some(member) = of_class.get_mut(usize::from(byte)) {
                *member = true;
            }
        }
    }
    let takes = move |byte: u8| of_class.get(usize::from(byte)) == Some(&!negated);
    (Box::new(takes), rest)
}
