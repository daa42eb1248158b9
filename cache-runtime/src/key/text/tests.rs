use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use proptest::prelude::*;
use serde::ser::{self, Serialize, SerializeTupleVariant as _, Serializer};

use crate::key::raw::{Check, Raw};
use crate::key::{KeyWriter, Opening};

use super::reader::{read_back, unescape};
use super::*;

mod strategies;

fn text<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = String::from("app:");
    write(&mut out, value).unwrap();
    out.strip_prefix("app:").unwrap().to_owned()
}

#[track_caller]
fn check<T: Serialize + ?Sized>(value: &T, expected: &str) {
    assert_eq!(text(value), expected);
}

#[derive(serde::Serialize)]
struct Unit;
#[derive(serde::Serialize)]
struct Id<T>(T);
#[derive(serde::Serialize)]
struct Pair(u8, &'static str);
#[derive(serde::Serialize)]
struct Empty {}
#[derive(serde::Serialize)]
struct Page {
    size: u32,
    #[serde(rename = "after:id")]
    after: Option<u64>,
}
#[derive(serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Filter {
    Any,
    True,
    By(u64),
    In((u64, u64)),
    Between(u64, u64),
    Never(),
    Like { name: &'static str },
    Blank {},
}

#[test]
fn scalars_are_written_as_people_write_them() {
    check(&true, "true");
    check(&5u8, "5");
    check(&-5i64, "-5");
    check(&u128::MAX, "340282366920938463463374607431768211455");
    check(&i128::MIN, "-170141183460469231731687303715884105728");
    check(&1.0, "1.0");
    check(&-0.0, "-0.0");
    check(&1e300, "1e300");
    check(&0.1f32, "0.10000000149011612");
    check(
        &[f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY],
        "(NaN,NaN,inf,-inf)",
    );
    check(&'x', "x");
    check(&':', "%3A");
    check(&"127.0.0.1".parse::<IpAddr>().unwrap(), "127.0.0.1");
}

#[test]
fn strings_stay_readable_and_cannot_be_mistaken() {
    check("user@example.com", "user@example.com");
    check("a/b_c-d+e!f.g", "a/b_c-d+e!f.g");
    check("grün 東京", "grün%20東京");
    check("", "''");
    check("a:b*?[]\\^{}", "a%3Ab%2A%3F%5B%5D%5C%5E%7B%7D");
    check(
        "(a,b=c)'#~$\"%\n\0",
        "%28a%2Cb%3Dc%29%27%23%7E%24%22%25%0A%00",
    );
    check("\u{202e}€\u{a0}", "%E2%80%AE%E2%82%AC%C2%A0");
}

#[test]
fn a_string_that_reads_as_something_else_is_marked_unless_its_type_says_it_is_a_string() {
    check(
        &("42", "-1", "1e5", "true", "NaN", "inf", "-inf"),
        "('42,'-1,'1e5,'true,'NaN,'inf,'-inf)",
    );
    check(
        &("4x", "-", "+1", ".5", "True", "nan", "inf1"),
        "(4x,-,+1,.5,True,nan,inf1)",
    );
    check(&Some("42"), "'42");
    check(&'4', "'4");
    check(&Id("42"), "'42");
    check("42", "42");
    check(&"42", "42");
    check(&&&"true", "true");
    check(&&mut "-inf", "-inf");
    check(&String::from("42"), "42");
    check(&&&String::from("42"), "42");
    check(&Cow::Borrowed("42"), "42");
    check(&Box::<str>::from("42"), "42");
    check(&&Arc::<str>::from("42"), "42");
    check(&Rc::<str>::from("42"), "42");
    check(&&String::new(), "''");
}

#[test]
fn nothing_and_what_holds_it() {
    check(&None::<u8>, "~");
    check(&(), "~");
    check(&Unit, "~");
    check(&Some(5), "5");
    check(&Some(None::<u8>), "~~");
    check(&Some(Some(())), "~~~");
    check(&Some("~"), "%7E");
    check(&Some((None::<u8>,)), "(~)");
}

#[test]
fn lists_maps_and_structs() {
    check(&vec![1, 2, 3], "(1,2,3)");
    check(&Vec::<u8>::new(), "()");
    check(&(1,), "(1)");
    check(&((1, "a,b"), [[0]]), "((1,a%2Cb),((0)))");
    check(&Pair(1, "x"), "(1,x)");
    check(&Id(Id(7)), "7");
    check(&BTreeSet::from([2, 1]), "(1,2)");
    check(&Empty {}, "(=)");
    check(&BTreeMap::<u8, u8>::new(), "(=)");
    check(
        &Page {
            size: 20,
            after: None,
        },
        "(size=20,after%3Aid=~)",
    );
    check(&BTreeMap::from([((1, "a"), Some(2))]), "((1,a)=2)");
    check(&BTreeMap::from([(9, 0), (10, 1)]), "(10=1,9=0)");
    check(&BTreeMap::from([("9", 0)]), "('9=0)");
}

#[test]
fn variants() {
    check(&Filter::Any, "any");
    check(&Filter::True, "'true");
    check(&Filter::By(1), "by(1)");
    check(&Filter::In((1, 2)), "in((1,2))");
    check(&Filter::Between(1, 2), "between(1,2)");
    check(&Filter::Never(), "never()");
    check(&Filter::Like { name: "a b" }, "like(name=a%20b)");
    check(&Filter::Blank {}, "blank(=)");
}

#[test]
fn a_tuple_variant_of_one_is_not_a_newtype_variant() {
    struct Lone;
    impl Serialize for Lone {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut variant = serializer.serialize_tuple_variant("Lone", 0, "by", 1)?;
            variant.serialize_field(&1)?;
            variant.end()
        }
    }

    check(&Lone, "by(1,)");
}

#[test]
fn a_hash_map_has_the_same_text_in_every_order() {
    let forward: HashMap<_, _> = (0..100).map(|n| (n, n)).collect();
    let backward: HashMap<_, _> = (0..100).rev().map(|n| (n, n)).collect();

    assert_eq!(text(&forward), text(&backward));
}

#[test]
fn long_texts_become_a_hash() {
    check(&"x".repeat(LONGEST), &"x".repeat(LONGEST));
    check(&"1".repeat(LONGEST), &"1".repeat(LONGEST));
    check(
        &"x".repeat(LONGEST + 1),
        &format!("#{}", blake3::hash("x".repeat(LONGEST + 1).as_bytes())),
    );
    assert_eq!(text(&vec![1; 1000]).len(), 65);
    assert_ne!(text(&vec![1; 1000]), text(&vec![1; 1001]));
}

#[test]
fn a_value_that_cannot_be_written_leaves_nothing_behind() {
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(ser::Error::custom("out of ink"))
        }
    }
    let mut out = String::from("app:");

    let error = write(&mut out, &("half", BTreeMap::from([(1, Broken)]))).unwrap_err();

    assert_eq!(
        (out.as_str(), error.to_string().as_str()),
        ("app:", "out of ink")
    );
}

/// The notes of a value, and the text that is made of them.
fn by_notes<T: Serialize>(value: &T) -> Option<(Raw, String)> {
    let mut raw = Raw::new(1, 0);
    if !raw.note(value) {
        return None;
    }
    let opening = Opening {
        head: "",
        is_template: true,
    };
    let mut out = String::new();
    let mut writer = KeyWriter::new(&mut out, None);
    writer.write_noted(&raw, opening);
    writer.finish().unwrap();
    Some((raw, out))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_text_reads_back_as_the_value_it_was_written_from(value in strategies::any()) {
        prop_assert_eq!(read_back(&full_text(&value)), value.normal(&full_text));
    }

    #[test]
    fn what_is_noted_has_the_text_that_would_be_written(values in (strategies::any(), strategies::any_small(), strategies::any_small())) {
        let (any, one, other) = &values;
        for value in [any, one, other] {
            let noted = |writer: &mut KeyWriter<'_>| writer.arg(value);
            let hash = KeyWriter::hash_all(0, &noted);
            prop_assert_eq!(hash, by_notes(value).map(|(raw, _)| raw.hash()), "{:?}", value);
            let noted = by_notes(value).map(|(_, text)| text);
            prop_assert!(noted.is_none_or(|noted| noted == text(value)), "{:?}", value);
        }
        if let (Some((one_raw, one)), Some((other_raw, other))) = (by_notes(one), by_notes(other)) {
            prop_assert!(one_raw.notes() != other_raw.notes() || one == other, "{} {}", one, other);
            let same = one_raw.notes() == other_raw.notes();
            let check = Check::new(one_raw.notes(), 1).unwrap();
            prop_assert_eq!(KeyWriter::are_noted(check, &|writer| writer.arg(&values.2)), same);
        }
    }

    #[test]
    fn values_of_the_same_text_are_the_same(one in strategies::any_small(), other in strategies::any_small()) {
        prop_assert_eq!(full_text(&one) == full_text(&other), one.normal(&full_text) == other.normal(&full_text));
    }

    #[test]
    fn arguments_never_hold_what_keys_and_patterns_are_made_of(value in strategies::any()) {
        let text = text(&value);
        prop_assert!(!text.is_empty() && text.len() <= LONGEST && !text.contains(is_forbidden), "{}", text);
    }

    #[test]
    fn strings_without_the_mark_are_still_told_apart(value in strategies::any_string()) {
        let mut out = String::new();
        write_word(&mut out, &value);
        let unmarked = if value.is_empty() { "''" } else { out.trim_start_matches('\'') };
        prop_assert_eq!(unescape(unmarked.trim_matches('\'')), value.clone());
        if unmarked.len() <= LONGEST {
            prop_assert_eq!(text(&value), unmarked);
        }
    }
}
