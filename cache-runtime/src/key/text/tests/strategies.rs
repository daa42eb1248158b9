//! Random values, for property tests.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::model::{Model, NAMES, WIDTHS, Width};

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
        (any_of::<i64>(), select(&WIDTHS[..])).prop_map(|(value, width)| Model::Int(value, width)),
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
