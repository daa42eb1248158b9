//! A reader of texts, written from the grammar in the documentation of `key::text` and not from the writer.

use super::model::{Normal, float};

/// The one value a text stands for.
pub(crate) fn read_back(text: &str) -> Normal {
    let mut reader = Reader { rest: text };
    let value = reader.value();
    assert_eq!(reader.rest, "", "more than one value in {text}");
    value
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Normal {
        if self.rest.starts_with('~') {
            return Normal::Nothing {
                inside: self.run(|c| c == '~').len() - 1,
            };
        }
        if self.eat("$") {
            let digits = self.run(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase());
            let (pairs, odd) = digits.as_bytes().as_chunks::<2>();
            assert!(odd.is_empty());
            return Normal::Bytes(pairs.iter().map(byte).collect());
        }
        if self.rest.starts_with('(') {
            return match self.group() {
                Group::Items(items) => Normal::List(items),
                Group::Lone(_) => panic!("`,)` without a variant"),
                Group::Entries(entries) => Normal::Map(entries),
            };
        }
        let word = self.word();
        if !self.rest.starts_with('(') {
            return word;
        }
        let Normal::Str(name) = word else {
            panic!("{word:?} is no name")
        };
        match self.group() {
            Group::Items(mut items) if items.len() == 1 => {
                Normal::Newtype(name, items.remove(0).into())
            }
            Group::Items(items) => Normal::TupleVariant(name, items),
            Group::Lone(item) => Normal::TupleVariant(name, vec![item]),
            Group::Entries(entries) => Normal::StructVariant(name, entries),
        }
    }

    fn group(&mut self) -> Group {
        assert!(self.eat("("));
        if self.eat(")") {
            return Group::Items(vec![]);
        }
        if self.eat("=)") {
            return Group::Entries(vec![]);
        }
        let first = self.value();
        if self.eat(",)") {
            return Group::Lone(first);
        }
        if !self.eat("=") {
            let mut items = vec![first];
            while self.eat(",") {
                items.push(self.value());
            }
            assert!(self.eat(")"));
            return Group::Items(items);
        }
        let mut entries = vec![(first, self.value())];
        while self.eat(",") {
            let key = self.value();
            assert!(self.eat("="));
            entries.push((key, self.value()));
        }
        assert!(self.eat(")"));
        Group::Entries(entries)
    }

    fn word(&mut self) -> Normal {
        if self.eat("''") {
            return Normal::Str(String::new());
        }
        let marked = self.eat("'");
        let word = self.run(|c| !"(),='~$#".contains(c));
        assert_ne!(word, "");
        if marked {
            return Normal::Str(unescape(word));
        }
        match word {
            "true" => Normal::Bool(true),
            "false" => Normal::Bool(false),
            "NaN" | "inf" | "-inf" => float(word.parse().unwrap()),
            _ if !word.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                Normal::Str(unescape(word))
            }
            _ => match (
                word.parse::<u128>(),
                word.parse::<i128>(),
                word.parse::<f64>(),
            ) {
                (Ok(value), ..) => Normal::Natural(value),
                (_, Ok(value), _) => Normal::Negative(value),
                (.., Ok(value)) => float(value),
                _ => Normal::Str(unescape(word)),
            },
        }
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        self.rest = rest;
        run
    }

    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

enum Group {
    Items(Vec<Normal>),
    Lone(Normal),
    Entries(Vec<(Normal, Normal)>),
}

pub(crate) fn unescape(word: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = word.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                byte(&[*high, *low])
            }
            (b'%', _) => panic!("half an escape"),
            _ => *first,
        });
    }
    String::from_utf8(bytes).unwrap()
}

fn byte(digits: &[u8; 2]) -> u8 {
    u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
}
