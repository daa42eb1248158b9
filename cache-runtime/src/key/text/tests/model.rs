//! Every value serde can describe, and what of it must survive in a text.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde::ser::{
    Serialize, SerializeMap as _, SerializeSeq as _, SerializeStruct as _,
    SerializeStructVariant as _, SerializeTuple as _, SerializeTupleStruct as _,
    SerializeTupleVariant as _, Serializer,
};

const NAMES: [&str; 12] = [
    "a", "b", "A", "", "42", "-1.5", "true", "inf", "a:b", "x=(y)", "~", "'",
];

#[derive(Debug, Clone)]
pub(super) enum Model {
    Bool(bool),
    Int(i64, Width),
    I128(i128),
    U128(u128),
    F32(f32),
    F64(f64),
    Char(char),
    Str(String),
    Bytes(Vec<u8>),
    None,
    Some(Box<Self>),
    Unit,
    UnitStruct,
    UnitVariant(&'static str),
    NewtypeStruct(Box<Self>),
    NewtypeVariant(&'static str, Box<Self>),
    Seq(Vec<Self>),
    Tuple(Vec<Self>),
    TupleStruct(Vec<Self>),
    TupleVariant(&'static str, Vec<Self>),
    Map(Vec<(Self, Self)>),
    Struct(Vec<(&'static str, Self)>),
    StructVariant(&'static str, Vec<(&'static str, Self)>),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Width {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
}

/// What must survive: equal for values that are the same, and for no others.
#[derive(Debug, PartialEq)]
pub(super) enum Normal {
    Bool(bool),
    Negative(i128),
    Natural(u128),
    Float(u64),
    NotANumber,
    Str(String),
    Bytes(Vec<u8>),
    Nothing { inside: usize },
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Newtype(String, Box<Self>),
    TupleVariant(String, Vec<Self>),
    StructVariant(String, Vec<(Self, Self)>),
}

impl Serialize for Model {
    #[expect(clippy::too_many_lines, reason = "one arm per method of serde")]
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        macro_rules! all {
            ($open:expr, $method:ident, $items:expr) => {{
                let mut open = $open?;
                for item in $items {
                    open.$method(item)?;
                }
                open.end()
            }};
            ($open:expr, $method:ident, $items:expr, pairs) => {{
                let mut open = $open?;
                for (key, value) in $items {
                    open.$method(key, value)?;
                }
                open.end()
            }};
        }
        match self {
            Self::Bool(value) => to.serialize_bool(*value),
            Self::Int(value, Width::I8) => to.serialize_i8(*value as i8),
            Self::Int(value, Width::U8) => to.serialize_u8(*value as u8),
            Self::Int(value, Width::I16) => to.serialize_i16(*value as i16),
            Self::Int(value, Width::U16) => to.serialize_u16(*value as u16),
            Self::Int(value, Width::I32) => to.serialize_i32(*value as i32),
            Self::Int(value, Width::U32) => to.serialize_u32(*value as u32),
            Self::Int(value, Width::I64) => to.serialize_i64(*value),
            Self::Int(value, Width::U64) => to.serialize_u64(*value as u64),
            Self::I128(value) => to.serialize_i128(*value),
            Self::U128(value) => to.serialize_u128(*value),
            Self::F32(value) => to.serialize_f32(*value),
            Self::F64(value) => to.serialize_f64(*value),
            Self::Char(value) => to.serialize_char(*value),
            Self::Str(value) => to.serialize_str(value),
            Self::Bytes(value) => to.serialize_bytes(value),
            Self::None => to.serialize_none(),
            Self::Some(value) => to.serialize_some(value),
            Self::Unit => to.serialize_unit(),
            Self::UnitStruct => to.serialize_unit_struct("S"),
            Self::UnitVariant(name) => to.serialize_unit_variant("E", 0, name),
            Self::NewtypeStruct(value) => to.serialize_newtype_struct("S", value),
            Self::NewtypeVariant(name, value) => to.serialize_newtype_variant("E", 0, name, value),
            Self::Seq(items) => all!(to.serialize_seq(None), serialize_element, items),
            Self::Tuple(items) => all!(to.serialize_tuple(items.len()), serialize_element, items),
            Self::TupleStruct(items) => all!(
                to.serialize_tuple_struct("S", items.len()),
                serialize_field,
                items
            ),
            Self::TupleVariant(name, items) => {
                all!(
                    to.serialize_tuple_variant("E", 0, name, items.len()),
                    serialize_field,
                    items
                )
            }
            Self::Map(entries) => all!(to.serialize_map(None), serialize_entry, entries, pairs),
            Self::Struct(fields) => all!(
                to.serialize_struct("S", fields.len()),
                serialize_field,
                fields,
                pairs
            ),
            Self::StructVariant(name, fields) => {
                all!(
                    to.serialize_struct_variant("E", 0, name, fields.len()),
                    serialize_field,
                    fields,
                    pairs
                )
            }
        }
    }
}

impl Model {
    /// `order` gives what maps are sorted by.
    pub(super) fn normal(&self, order: &impl Fn(&Self) -> String) -> Normal {
        let list = |items: &[Self]| {
            items
                .iter()
                .map(|item| item.normal(order))
                .collect::<Vec<_>>()
        };
        let fields = |fields: &[(&str, Self)]| {
            fields
                .iter()
                .map(|(name, value)| (Normal::Str((*name).into()), value.normal(order)))
                .collect::<Vec<_>>()
        };
        match self {
            Self::Bool(value) => Normal::Bool(*value),
            Self::Int(value, width) => match width {
                Width::I8 => integer((*value as i8).into()),
                Width::U8 => integer((*value as u8).into()),
                Width::I16 => integer((*value as i16).into()),
                Width::U16 => integer((*value as u16).into()),
                Width::I32 => integer((*value as i32).into()),
                Width::U32 => integer((*value as u32).into()),
                Width::I64 => integer((*value).into()),
                Width::U64 => integer((*value as u64).into()),
            },
            Self::I128(value) => integer(*value),
            Self::U128(value) => Normal::Natural(*value),
            Self::F32(value) => float((*value).into()),
            Self::F64(value) => float(*value),
            Self::Char(value) => Normal::Str((*value).into()),
            Self::Str(value) => Normal::Str(value.clone()),
            Self::Bytes(value) => Normal::Bytes(value.clone()),
            Self::None | Self::Unit | Self::UnitStruct => Normal::Nothing { inside: 0 },
            Self::Some(value) => match value.normal(order) {
                Normal::Nothing { inside } => Normal::Nothing { inside: inside + 1 },
                other => other,
            },
            Self::UnitVariant(name) => Normal::Str((*name).into()),
            Self::NewtypeStruct(value) => value.normal(order),
            Self::NewtypeVariant(name, value) => {
                Normal::Newtype((*name).into(), value.normal(order).into())
            }
            Self::Seq(items) | Self::Tuple(items) | Self::TupleStruct(items) => {
                Normal::List(list(items))
            }
            Self::TupleVariant(name, items) => Normal::TupleVariant((*name).into(), list(items)),
            Self::Map(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by_key(|(key, _)| order(key));
                Normal::Map(
                    entries
                        .iter()
                        .map(|(key, value)| (key.normal(order), value.normal(order)))
                        .collect(),
                )
            }
            Self::Struct(all) => Normal::Map(fields(all)),
            Self::StructVariant(name, all) => Normal::StructVariant((*name).into(), fields(all)),
        }
    }
}

fn integer(value: i128) -> Normal {
    u128::try_from(value).map_or(Normal::Negative(value), Normal::Natural)
}

pub(super) fn float(value: f64) -> Normal {
    if value.is_nan() {
        Normal::NotANumber
    } else {
        Normal::Float(value.to_bits())
    }
}

pub(super) fn any() -> impl Strategy<Value = Model> {
    of(leaf().boxed(), 4, 40)
}

/// Few and simple leaves, so that two values are often the same or nearly so.
pub(super) fn any_small() -> impl Strategy<Value = Model> {
    let leaf = prop_oneof![
        select(vec![
            Model::None,
            Model::Unit,
            Model::Seq(vec![]),
            Model::Map(vec![])
        ]),
        select(&[1i64, 0][..]).prop_map(|value| Model::Int(value, Width::U8)),
        select(&["1", "", "a", "~", "true"][..]).prop_map(|value| Model::Str(value.into())),
        Just(Model::UnitVariant("a")),
        Just(Model::F64(1.0)),
    ];
    of(leaf.boxed(), 2, 4)
}

fn of(leaf: BoxedStrategy<Model>, depth: u32, size: u32) -> impl Strategy<Value = Model> {
    leaf.prop_recursive(depth, size, 4, |inner| {
        let one = inner.clone().prop_map(Box::new);
        let some = vec(inner.clone(), 0..4);
        let name = select(&NAMES[..]);
        let fields = vec((name.clone(), inner.clone()), 0..4);
        prop_oneof![
            one.clone().prop_map(Model::Some),
            one.clone().prop_map(Model::NewtypeStruct),
            (name.clone(), one).prop_map(|(name, value)| Model::NewtypeVariant(name, value)),
            some.clone().prop_map(Model::Seq),
            some.clone().prop_map(Model::Tuple),
            some.clone().prop_map(Model::TupleStruct),
            (name.clone(), some).prop_map(|(name, items)| Model::TupleVariant(name, items)),
            vec((inner.clone(), inner), 0..4).prop_map(Model::Map),
            fields.clone().prop_map(Model::Struct),
            (name, fields).prop_map(|(name, fields)| Model::StructVariant(name, fields)),
        ]
    })
}

fn leaf() -> impl Strategy<Value = Model> {
    use Width::{I8, I16, I32, I64, U8, U16, U32, U64};
    let float = prop_oneof![
        any_of::<f64>(),
        select(
            &[
                0.0,
                -0.0,
                1.0,
                42.0,
                1e16,
                1e-7,
                f64::MAX,
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY
            ][..]
        )
    ];
    prop_oneof![
        any_of::<bool>().prop_map(Model::Bool),
        (
            any_of::<i64>(),
            select(&[I8, U8, I16, U16, I32, U32, I64, U64][..])
        )
            .prop_map(|(value, width)| Model::Int(value, width)),
        any_of::<i128>().prop_map(Model::I128),
        any_of::<u128>().prop_map(Model::U128),
        any_of::<f32>().prop_map(Model::F32),
        float.prop_map(Model::F64),
        any_of::<char>().prop_map(Model::Char),
        any_string().prop_map(Model::Str),
        vec(any_of::<u8>(), 0..8).prop_map(Model::Bytes),
        select(&[Model::None, Model::Unit, Model::UnitStruct][..]),
        select(&NAMES[..]).prop_map(Model::UnitVariant),
    ]
}

pub(super) fn any_string() -> impl Strategy<Value = String> {
    const PIECES: [&str; 32] = [
        "a", "Z", "0", "7", "-", ".", "e", "inf", "NaN", "true", ":", "*", "?", "[", "]", "\\",
        "^", "{", "}", "(", ")", ",", "=", "'", "#", "~", "$", "%", " ", "\n", "é", "\u{200b}",
    ];
    prop_oneof![
        8 => vec(select(&PIECES[..]), 0..6).prop_map(|pieces| pieces.concat()),
        4 => select(&NAMES[..]).prop_map(str::to_owned),
        4 => vec(any_of::<char>(), 0..12).prop_map(String::from_iter),
        1 => select(&["x", "5", ": "][..]).prop_map(|piece| piece.repeat(10_000 / piece.len())),
    ]
}

fn any_of<T: Arbitrary>() -> impl Strategy<Value = T> {
    proptest::arbitrary::any::<T>()
}
