//! Every value serde can describe, and what of it must survive in a text.

use serde::ser::{
    Serialize, SerializeMap as _, SerializeSeq as _, SerializeStruct as _,
    SerializeStructVariant as _, SerializeTuple as _, SerializeTupleStruct as _,
    SerializeTupleVariant as _, Serializer,
};

pub(crate) const NAMES: [&str; 12] = [
    "a", "b", "A", "", "42", "-1.5", "true", "inf", "a:b", "x=(y)", "~", "'",
];

#[derive(Debug, Clone)]
pub(crate) enum Model {
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

pub(crate) const WIDTHS: [Width; 8] = [
    Width::I8,
    Width::U8,
    Width::I16,
    Width::U16,
    Width::I32,
    Width::U32,
    Width::I64,
    Width::U64,
];

#[derive(Debug, Clone, Copy)]
pub(crate) enum Width {
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
pub(crate) enum Normal {
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
    pub(crate) fn normal(&self, order: &impl Fn(&Self) -> String) -> Normal {
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

pub(crate) fn float(value: f64) -> Normal {
    if value.is_nan() {
        Normal::NotANumber
    } else {
        Normal::Float(value.to_bits())
    }
}
