#![cfg(any(feature = "bincode", feature = "postcard", feature = "json"))]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::Deserialize;

use super::*;

mod hostile;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Profile {
    id: u64,
    name: String,
    active: bool,
    score: Option<f64>,
    tags: Vec<String>,
    plan: Plan,
    limits: BTreeMap<String, i32>,
    raw: (u8, char, [u16; 3]),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Plan {
    Free,
    Paid(u32),
    Trial { days: u8, note: String },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tree {
    name: String,
    children: Vec<Self>,
}

fn profile() -> Profile {
    Profile {
        id: u64::MAX,
        name: "Ada \u{1F980}".into(),
        active: true,
        score: Some(-0.5),
        tags: vec!["a".into(), String::new()],
        plan: Plan::Trial {
            days: 7,
            note: "x".repeat(300),
        },
        limits: [("cpu".into(), -4), ("ram".into(), i32::MAX)].into(),
        raw: (1, '\u{1F980}', [1, 2, 65535]),
    }
}

fn encoded<T: Serialize>(codec: Codec, value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    codec.encode(value, &mut out).unwrap();
    out
}

/// The compact codecs of this build.
fn compact() -> impl Iterator<Item = Codec> {
    BUILT_IN
        .iter()
        .copied()
        .filter(|codec| !codec.is_self_describing())
}

#[track_caller]
fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    for codec in BUILT_IN {
        let bytes = encoded(*codec, value);
        assert_eq!(codec.decode::<T>(&bytes).as_ref(), Ok(value), "{codec}");
        assert_eq!(codec.round_trips::<T>(&bytes), Ok(()), "{codec}");
    }
}

#[test]
fn values_survive() {
    survives(&profile());
    survives(&(i128::MIN, u128::MAX, 'a', (), std::time::Duration::MAX));
    survives(&Ok::<u8, String>(7));
    survives(&vec![
        Some(0u64),
        None,
        Some(250),
        Some(251),
        Some(u64::MAX),
    ]);
    survives(&vec![7u128; 10_000]);
    survives(&HashMap::from([
        (1u8, "one".to_owned()),
        (2, "two".to_owned()),
    ]));
    survives(&Tree {
        name: "root".into(),
        children: vec![
            Tree {
                name: "leaf".into(),
                children: vec![]
            };
            100
        ],
    });
}

#[test]
fn ids_and_names_belong_to_one_codec_each() {
    for codec in BUILT_IN {
        assert_eq!(Codec::from_id(codec.id()), Some(*codec));
        assert_eq!(codec.name().parse(), Ok(*codec));
        assert_eq!(codec.to_string(), codec.name());
    }
    assert_eq!(Codec::DEFAULT, BUILT_IN.first().copied());
    assert_eq!(Codec::from_id(0), None);
    assert_eq!(Codec::from_id(4), None);
}

#[test]
fn a_codec_that_is_not_there_says_which_are() {
    let error = "yaml".parse::<Codec>().unwrap_err().to_string();
    assert_eq!(
        error,
        "`yaml` is not a codec; there are `bincode`, `postcard` and `json`"
    );

    #[cfg(not(feature = "postcard"))]
    assert_eq!(
        "postcard".parse::<Codec>().unwrap_err().to_string(),
        "codec `postcard` is not built in; turn on the feature `postcard`"
    );
}

#[test]
fn encoding_appends_and_takes_back_what_it_could_not_finish() {
    struct Halfway;
    impl Serialize for Halfway {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("hunter2"))
        }
    }

    for codec in BUILT_IN {
        let mut out = b"before".to_vec();
        codec.encode(&7u8, &mut out).unwrap();
        let length = out.len();
        assert!(out.starts_with(b"before") && length > 6);

        let error = codec.encode(&("some text", Halfway), &mut out).unwrap_err();
        assert_eq!(out.len(), length);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_field_left_out_is_refused_by_the_compact_codecs_and_carried_by_json() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sparse {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first: Option<u8>,
        second: u8,
        third: u8,
    }
    let sparse = |first| Sparse {
        first,
        second: 1,
        third: 5,
    };

    survives(&sparse(Some(1)));
    for codec in compact() {
        let error = codec.encode(&sparse(None), &mut Vec::new()).unwrap_err();
        assert!(
            error.to_string().contains("left out the field `first`"),
            "{error}"
        );
    }
    #[cfg(feature = "json")]
    {
        let bytes = encoded(Codec::Json, &sparse(None));
        assert_eq!(Codec::Json.decode(&bytes), Ok(sparse(None)));
    }
}

#[test]
fn nested_options_and_strange_floats_survive_or_are_refused() {
    for codec in compact() {
        let bytes = encoded(codec, &(Some(None::<u8>), f64::INFINITY));
        assert_eq!(codec.decode(&bytes), Ok((Some(None::<u8>), f64::INFINITY)));
    }
    #[cfg(feature = "json")]
    for refused in [
        Codec::Json.encode(&Some(None::<u8>), &mut Vec::new()),
        Codec::Json.encode(&f64::INFINITY, &mut Vec::new()),
    ] {
        assert!(refused.unwrap_err().to_string().contains("null"));
    }
}

/// Needs the feature `float_roundtrip` of serde_json.
#[cfg(feature = "json")]
#[test]
fn json_gives_floats_back_to_the_last_bit() {
    for float in [
        9.878921559899115e299,
        0.1 + 0.2,
        1.0 / 3.0,
        f64::MIN_POSITIVE,
        -0.0,
    ] {
        let back: f64 = Codec::Json.decode(&encoded(Codec::Json, &float)).unwrap();
        assert_eq!(back.to_bits(), float.to_bits());
    }
}

#[test]
fn types_that_only_self_describing_codecs_carry_fail_the_round_trip() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u64),
        Text(String),
    }

    for codec in BUILT_IN {
        let bytes = encoded(*codec, &Untagged::Number(1));
        let carried = codec.round_trips::<Untagged>(&bytes).is_ok();
        assert_eq!(carried, codec.is_self_describing(), "{codec}");
    }
}

#[test]
fn a_type_that_reads_something_else_than_it_writes_fails_the_round_trip() {
    #[derive(Serialize, Deserialize)]
    struct Lopsided {
        #[serde(skip_deserializing)]
        _computed: u8,
        #[serde(skip_serializing)]
        _secret: String,
        text: String,
    }

    let value = Lopsided {
        _computed: 2,
        _secret: String::new(),
        text: "abc".into(),
    };
    for codec in BUILT_IN {
        assert!(
            codec
                .round_trips::<Lopsided>(&encoded(*codec, &value))
                .is_err(),
            "{codec}"
        );
    }
}

#[test]
fn errors_do_not_quote_the_value() {
    for (message, expected) in [
        (
            "missing field `name` at line 1 column 2",
            "missing field `name` at line 1 column 2",
        ),
        (
            r#"invalid type: string "hunter2", expected u64 at line 1 column 9"#,
            "not what the type takes, expected u64 at line 1 column 9",
        ),
        (
            r#"invalid value: string ", expected hunter2", expected a date"#,
            "not what the type takes, expected a date",
        ),
        ("hunter2 is no password", "the type refused it"),
        (
            "unknown variant `hunter2`, expected `A` or `B`",
            "not what the type takes, expected `A` or `B`",
        ),
    ] {
        #[cfg(any(feature = "bincode", feature = "json"))]
        assert_eq!(&*discreet(message), expected);
        #[cfg(not(any(feature = "bincode", feature = "json")))]
        let _ = (message, expected);
    }
    #[cfg(feature = "json")]
    {
        let error = Codec::Json
            .decode::<u64>(br#""hunter2""#)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "json cannot decode this: not what the type takes, expected u64 at line 1 column 9"
        );
    }
}

fn plans() -> impl Strategy<Value = Plan> {
    prop_oneof![
        Just(Plan::Free),
        any::<u32>().prop_map(Plan::Paid),
        (any::<u8>(), ".*").prop_map(|(days, note)| Plan::Trial { days, note }),
    ]
}

prop_compose! {
    fn profiles()(
        id: u64, name in ".*", active: bool, score in proptest::option::of(-1e300..1e300),
        tags in vec(".*", 0..5), plan in plans(), limits in btree_map(".*", any::<i32>(), 0..5),
        raw: (u8, char, [u16; 3]),
    ) -> Profile {
        Profile { id, name, active, score, tags, plan, limits, raw }
    }
}

proptest! {
    #[test]
    fn any_value_survives(profile in profiles()) {
        survives(&profile);
    }
}
