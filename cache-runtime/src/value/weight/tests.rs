use std::collections::BTreeMap;

use refusing::Refuses;
use serde::Serialize;

use super::*;

/// A value that gives up half-way.
mod refusing {
    use serde::ser::{Error, Serialize};

    pub(super) struct Refuses;

    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("no"))
        }
    }
}

#[test]
fn what_lies_in_the_value_itself_weighs_nothing() {
    assert_eq!(weight_of(&7u64), 0);
    assert_eq!(weight_of(&(1u8, 2u64, [3u32; 30])), 0);
    assert_eq!(weight_of(&None::<String>), 0);
    assert_eq!(weight_of(&String::new()), 0);
    assert_eq!(weight_of(&Vec::<u64>::new()), 0);
}

#[test]
fn strings_weigh_their_allocation() {
    assert_eq!(weight_of(&"x".repeat(5)), 32);
    assert_eq!(weight_of(&"x".repeat(1000)), 1008);
}

#[test]
fn elements_weigh_their_width_and_what_they_hold() {
    assert_eq!(weight_of(&vec![0u8; 100_000]), 100_016);
    assert_eq!(weight_of(&vec![0u64; 1000]), 8016);
    assert_eq!(weight_of(&vec!["x".repeat(5); 1000]), 24_016 + 32_000);
    assert!(weight_of(&(0..1000u64).map(|i| (i, i)).collect::<BTreeMap<_, _>>()) >= 18_432);
}

#[test]
fn nothing_grows_unseen_behind_boxes() {
    #[derive(Serialize)]
    struct List(Option<Box<Self>>, u64);

    let list = (0..1000).fold(List(None, 0), |rest, i| List(Some(Box::new(rest)), i));

    assert!(weight_of(&list) >= 1000 * size_of::<List>());
}

#[test]
fn a_value_that_fails_to_serialize_weighs_what_was_counted() {
    assert_eq!(weight_of(&("x".repeat(100), Refuses)), 112);
}

#[test]
fn displayed_text_is_counted_without_being_built() {
    assert_eq!(weight_of(&std::net::Ipv4Addr::LOCALHOST), 0);

    struct Shown;
    impl Serialize for Shown {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{:1000}", 7))
        }
    }
    assert_eq!(weight_of(&vec![Shown]), 1008 + 32);
}

#[derive(Serialize, Default)]
struct Lossy {
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<u8>,
    nested: Option<Option<u8>>,
    unit: Option<()>,
    float: f64,
}

#[test]
fn a_field_left_out_is_a_loss_where_fields_have_no_names() {
    let value = Lossy::default();
    assert_eq!(
        loss_of(&value, Form::Compact),
        Some(Loss::LeftOut("left_out"))
    );
    assert_eq!(loss_of(&value, Form::Readable), None);

    let value = Lossy {
        left_out: Some(1),
        ..Lossy::default()
    };
    assert_eq!(loss_of(&value, Form::Compact), None);
}

#[test]
fn what_becomes_null_is_a_loss_where_none_is_null() {
    #[derive(Serialize)]
    struct Transparent(Option<u8>);

    let ambiguous = Some(Loss::AmbiguousNull);
    assert_eq!(loss_of(&Some(None::<u8>), Form::Readable), ambiguous);
    assert_eq!(loss_of(&vec![Some(())], Form::Readable), ambiguous);
    assert_eq!(loss_of(&Some(Transparent(None)), Form::Readable), ambiguous);
    assert_eq!(loss_of(&Some(f64::NAN), Form::Readable), ambiguous);
    assert_eq!(loss_of(&f32::INFINITY, Form::Readable), ambiguous);
    assert_eq!(loss_of(&Some(Some(None::<u8>)), Form::Readable), ambiguous);

    assert_eq!(loss_of(&Some(Some(1)), Form::Readable), None);
    assert_eq!(loss_of(&Some((None::<u8>,)), Form::Readable), None);
    assert_eq!(loss_of(&Some(vec![None::<u8>]), Form::Readable), None);
    assert_eq!(
        loss_of(&Some(BTreeMap::from([(1, ())])), Form::Readable),
        None
    );
    assert_eq!(loss_of(&Some(None::<u8>), Form::Compact), None);
    assert_eq!(loss_of(&f64::NAN, Form::Compact), None);
}
