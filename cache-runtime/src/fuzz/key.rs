//! Arguments of a cached function, as the text of a key.

use super::input::Input;
use crate::key::raw::Raw;
use crate::key::text::model::{Model, NAMES, WIDTHS};
use crate::key::text::reader::read_back;
use crate::key::text::{LONGEST, full_text, is_forbidden, write};
use crate::key::{KeyWriter, Opening};

/// How deep values are nested, and how many stand in one list.
const DEPTH: u8 = 4;
const MOST: u8 = 4;

/// What may stand between two arguments of a template, as far as the attributes admit it; much of it also stands in escapes
/// and in words.
const SEPARATORS: [&str; 16] = [
    "-", "_", ".", "/", "2", "25", "3", "a", "B", "E", "+", "@-", "é", ":", "-:", "x2",
];

/// Two values have one text where they are the same and nowhere else, alone and in a template.
pub fn key(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let one = value(&mut input, DEPTH);
    let other = value(&mut input, DEPTH);
    for value in [&one, &other] {
        check_text(value);
    }
    let same = one.normal(&full_text) == other.normal(&full_text);
    assert_eq!(
        full_text(&one) == full_text(&other),
        same,
        "{one:?} and {other:?}"
    );

    let separator = SEPARATORS.get(usize::from(input.byte() % 16));
    let separator = separator.copied().unwrap_or_default();
    let pairs = [(); 2].map(|()| (input.text(), input.text()));
    let [first, second] = &pairs;
    let template = |(one, other): &(String, String)| template(one, separator, other);
    assert_eq!(
        template(first) == template(second),
        first == second,
        "{pairs:?} by {separator}"
    );
    let swapped = (
        template_of(&one, separator, &other),
        template_of(&other, separator, &one),
    );
    assert_eq!(swapped.0 == swapped.1, same, "{swapped:?} by {separator}");
}

fn check_text(value: &Model) {
    let full = full_text(value);
    assert_eq!(read_back(&full), value.normal(&full_text), "{full}");
    let mut text = String::from("before");
    assert!(write(&mut text, value).is_ok(), "{value:?}");
    let text = text.strip_prefix("before").unwrap_or_default();
    assert!(!text.is_empty() && !text.contains(is_forbidden), "{text}");
    assert_eq!(text.starts_with('#'), full.len() > LONGEST, "{text}");
    assert!(text == full || text.len() == 65, "{text}");
    let mut raw = Raw::new(1, 0);
    if raw.note(value) {
        let opening = Opening {
            head: "",
            is_template: true,
        };
        let mut noted = String::new();
        let mut writer = KeyWriter::new(&mut noted, None);
        writer.write_noted(&raw, opening);
        assert!(writer.finish().is_ok() && noted == text, "{noted} {text}");
    }
}

fn template(one: &str, separator: &str, other: &str) -> String {
    let mut text = String::new();
    let mut writer = KeyWriter::new(&mut text, None);
    writer.hole(one);
    writer.text(separator);
    writer.hole(other);
    assert!(writer.finish().is_ok());
    text
}

fn template_of(one: &Model, separator: &str, other: &Model) -> String {
    let mut text = String::new();
    let mut writer = KeyWriter::new(&mut text, None);
    writer.hole(one);
    writer.text(separator);
    writer.hole(other);
    assert!(writer.finish().is_ok());
    text
}

/// Some value that serde can describe.
fn value(input: &mut Input<'_>, depth: u8) -> Model {
    let choice = input.byte() % if depth == 0 { 12 } else { 22 };
    let inside = |input: &mut Input<'_>| Box::new(value(input, depth.saturating_sub(1)));
    match choice {
        0 => Model::None,
        1 => Model::Bool(input.byte().is_multiple_of(2)),
        2 => {
            let width = WIDTHS.get(usize::from(input.byte() % 8));
            let value = i64::from_le_bytes(input.bytes());
            width.map_or(Model::Unit, |width| Model::Int(value, *width))
        }
        3 => Model::I128(i128::from_le_bytes(input.bytes())),
        4 => Model::U128(u128::from_le_bytes(input.bytes())),
        5 => Model::F32(f32::from_le_bytes(input.bytes())),
        6 => Model::F64(f64::from_le_bytes(input.bytes())),
        7 => char::from_u32(u32::from_le_bytes(input.bytes()) % 0x11_0000)
            .map_or(Model::UnitStruct, Model::Char),
        8 => Model::Str(input.text()),
        9 => Model::Bytes(input.some().to_vec()),
        10 => Model::UnitVariant(name(input)),
        11 => Model::Int(i64::from(input.byte()), WIDTHS[6]),
        12 => Model::Some(inside(input)),
        13 => Model::NewtypeStruct(inside(input)),
        14 => Model::NewtypeVariant(name(input), inside(input)),
        15 => Model::Seq(values(input, depth)),
        16 => Model::Tuple(values(input, depth)),
        17 => Model::TupleStruct(values(input, depth)),
        18 => Model::TupleVariant(name(input), values(input, depth)),
        19 => {
            let keys = values(input, depth);
            Model::Map(keys.into_iter().map(|key| (key, *inside(input))).collect())
        }
        20 => Model::Struct(fields(input, depth)),
        _ => Model::StructVariant(name(input), fields(input, depth)),
    }
}

fn values(input: &mut Input<'_>, depth: u8) -> Vec<Model> {
    (0..input.byte() % MOST)
        .map(|_| value(input, depth.saturating_sub(1)))
        .collect()
}

fn fields(input: &mut Input<'_>, depth: u8) -> Vec<(&'static str, Model)> {
    let count = input.byte() % MOST;
    (0..count)
        .map(|_| (name(input), value(input, depth.saturating_sub(1))))
        .collect()
}

fn name(input: &mut Input<'_>) -> &'static str {
    let name = NAMES.get(usize::from(input.byte()) % NAMES.len());
    name.copied().unwrap_or_default()
}
