use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Deserializer};

use super::*;

/// Declares types of the given names inside a module of their own, so that versions of one type can stand side by side.
macro_rules! version {
    ($module:ident { $($item:item)* }) => {
        mod $module {
            #![expect(clippy::allow_attributes, reason = "not every version has cause for them")]
            #[allow(unused_imports, reason = "not every version looks outside")]
            use super::*;
            $(
                #[derive(Deserialize)]
                #[allow(dead_code, reason = "only deserialized")]
                $item
            )*
        }
    };
}

const FIXED_U64: u64 = 15384417605404335868;
const FIXED_USER: u64 = 1971072717091503361;

fn print<T: DeserializeOwned>() -> u64 {
    shape_of::<T>().fingerprint
}

#[track_caller]
fn differ(fingerprints: &[u64]) {
    let distinct: HashSet<_> = fingerprints.iter().collect();
    assert_eq!(distinct.len(), fingerprints.len(), "{fingerprints:#x?}");
}

version! { base { pub(super) struct User { pub id: u64, pub name: String, pub kind: Kind, pub home: Home }
pub(super) enum Kind { Free, Paid(u32), Trial { days: u8 } } pub(super) struct Home { pub zip: u32 , pub city: String } } }
version! { swapped { pub(super) struct User { name: String, id: u64, kind: base::Kind, home: base::Home } } }
version! { renamed { pub(super) struct User { id: u64, nick: String, kind: base::Kind, home: base::Home } } }
version! { added { pub(super) struct User { id: u64, name: String, kind: base::Kind, home: base::Home, age: u8 } } }
version! { removed { pub(super) struct User { id: u64, name: String, kind: base::Kind } } }
version! { retyped { pub(super) struct User { id: i64, name: String, kind: base::Kind, home: base::Home } } }
version! { narrowed { pub(super) struct User { id: u32, name: String, kind: base::Kind, home: base::Home } } }
version! { optional { pub(super) struct User { id: u64, name: Option<String>, kind: base::Kind, home: base::Home } } }
version! { many { pub(super) struct User { id: u64, name: Vec<String>, kind: base::Kind, home: base::Home } } }
version! { called { pub(super) struct Person { id: u64, name: String, kind: base::Kind, home: base::Home } } }
version! { variants_swapped { pub(super) struct User { id: u64, name: String, kind: Kind, home: base::Home }
enum Kind { Paid(u32), Free, Trial { days: u8 } } } }
version! { variant_added { pub(super) struct User { id: u64, name: String, kind: Kind, home: base::Home }
enum Kind { Free, Paid(u32), Trial { days: u8 }, Gone } } }
version! { variant_renamed { pub(super) struct User { id: u64, name: String, kind: Kind, home: base::Home }
enum Kind { Free, Bought(u32), Trial { days: u8 } } } }
version! { variant_retyped { pub(super) struct User { id: u64, name: String, kind: Kind, home: base::Home }
enum Kind { Free, Paid(u32), Trial { days: u16 } } } }
version! { variant_reshaped { pub(super) struct User { id: u64, name: String, kind: Kind, home: base::Home }
enum Kind { Free, Paid { amount: u32 }, Trial { days: u8 } } } }
version! { nested_swapped { pub(super) struct User { id: u64, name: String, kind: base::Kind, home: Home }
struct Home { city: String, zip: u32 } } }
version! { nested_retyped { pub(super) struct User { id: u64, name: String, kind: base::Kind, home: Home }
struct Home { zip: u64, city: String } } }

#[test]
fn every_change_of_a_type_changes_its_fingerprint() {
    differ(&[
        print::<base::User>(),
        print::<swapped::User>(),
        print::<renamed::User>(),
        print::<added::User>(),
        print::<removed::User>(),
        print::<retyped::User>(),
        print::<narrowed::User>(),
        print::<optional::User>(),
        print::<many::User>(),
        print::<called::Person>(),
        print::<variants_swapped::User>(),
        print::<variant_added::User>(),
        print::<variant_renamed::User>(),
        print::<variant_retyped::User>(),
        print::<variant_reshaped::User>(),
        print::<nested_swapped::User>(),
        print::<nested_retyped::User>(),
        print::<Option<base::User>>(),
        print::<Vec<base::User>>(),
        print::<(base::User,)>(),
        print::<Result<base::User, String>>(),
        print::<HashMap<String, base::User>>(),
        print::<HashMap<u8, base::User>>(),
        print::<HashMap<String, Option<base::User>>>(),
        print::<HashMap<String, variant_retyped::User>>(),
        print::<Vec<variant_retyped::User>>(),
        print::<Option<Vec<variant_retyped::User>>>(),
        print::<Result<String, variant_retyped::User>>(),
    ]);
}

#[test]
fn scalars_and_structure_are_told_apart() {
    differ(&[
        print::<u8>(),
        print::<u16>(),
        print::<u32>(),
        print::<u64>(),
        print::<u128>(),
        print::<i8>(),
        print::<i64>(),
        print::<f32>(),
        print::<f64>(),
        print::<bool>(),
        print::<char>(),
        print::<String>(),
        print::<()>(),
        print::<Option<u8>>(),
        print::<Option<Option<u8>>>(),
        print::<Vec<u8>>(),
        print::<[u8; 1]>(),
        print::<[u8; 2]>(),
        print::<(u8, u8, u8)>(),
        print::<((u8, u8), u8)>(),
        print::<(u8, (u8, u8))>(),
        print::<(Vec<u8>, u8)>(),
        print::<Vec<(u8, u8)>>(),
        print::<(Option<u8>, u8)>(),
        print::<Option<(u8, u8)>>(),
        print::<BTreeMap<u8, u8>>(),
        print::<Vec<BTreeMap<u8, u8>>>(),
    ]);
}

#[test]
fn a_fingerprint_is_the_same_every_time() {
    assert_eq!(shape_of::<base::User>(), shape_of::<base::User>());
    let elsewhere = std::thread::spawn(shape_of::<base::User>).join().unwrap();
    assert_eq!(elsewhere, shape_of::<base::User>());
}

/// A number that changes here makes every entry in every Redis a miss: then raise the envelope's format version as well.
#[test]
fn fingerprints_stay_what_they_are_across_releases_and_compilers() {
    assert_eq!(print::<u64>(), FIXED_U64);
    assert_eq!(print::<base::User>(), FIXED_USER);
}

#[test]
fn pointers_and_collections_of_one_encoding_have_one_fingerprint() {
    assert_eq!(print::<Box<base::User>>(), print::<base::User>());
    assert_eq!(print::<std::sync::Arc<str>>(), print::<String>());
    assert_eq!(print::<HashSet<u8>>(), print::<Vec<u8>>());
    assert_eq!(print::<HashMap<u8, u8>>(), print::<BTreeMap<u8, u8>>());
}

version! { generic { pub(super) struct Pair<A, B> { a: Result<A, B>, b: Result<B, A> } } }

#[test]
fn both_uses_of_a_generic_enum_are_seen_to_the_end() {
    differ(&[
        print::<generic::Pair<u8, String>>(),
        print::<generic::Pair<u8, base::Home>>(),
        print::<generic::Pair<u8, nested_swapped::User>>(),
        print::<generic::Pair<u8, nested_retyped::User>>(),
        print::<generic::Pair<String, u8>>(),
    ]);
}

version! { tree { pub(super) struct Tree { children: Vec<Self>, parent: Option<Box<Self>>, name: String } } }
version! { tree_retyped { pub(super) struct Tree { children: Vec<Self>, parent: Option<Box<Self>>, name: u64 } } }
version! { expression { pub(super) enum Expr { Add { left: Box<Self>, right: Box<Self>, span: u32 }, Lit(i64) } } }
version! { expression_retyped { pub(super) enum Expr { Add { left: Box<Self>, right: Box<Self>, span: u64 }, Lit(i64) } } }
version! { mutual { pub(super) struct A { b: Option<Box<B>>, x: u8 } struct B { a: Option<Box<A>>, y: u8 } } }
version! { mutual_retyped { pub(super) struct A { b: Option<Box<B>>, x: u8 } struct B { a: Option<Box<A>>, y: u16 } } }

#[test]
fn what_comes_after_a_recursion_is_seen() {
    differ(&[print::<tree::Tree>(), print::<tree_retyped::Tree>()]);
    differ(&[
        print::<Vec<tree::Tree>>(),
        print::<Vec<tree_retyped::Tree>>(),
    ]);
    differ(&[
        print::<expression::Expr>(),
        print::<expression_retyped::Expr>(),
    ]);
    differ(&[print::<mutual::A>(), print::<mutual_retyped::A>()]);
    differ(&[
        print::<Option<mutual::A>>(),
        print::<Option<mutual_retyped::A>>(),
    ]);
    for complete in [
        shape_of::<tree::Tree>().complete,
        shape_of::<expression::Expr>().complete,
        shape_of::<mutual::A>().complete,
    ] {
        assert!(complete);
    }
}

/// Takes only what its check takes, as addresses, dates and identifiers do.
struct Checked<const CHECK: u8>;

impl<'de, const CHECK: u8> Deserialize<'de> for Checked<CHECK> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let taken = match CHECK {
            b'@' => text.contains('@'),
            b'T' => text.ends_with("00Z"),
            b'1' => text.parse::<u8>().is_ok(),
            b'!' => panic!("never heard of {text}"),
            _ => false,
        };
        match taken {
            true => Ok(Self),
            false => Err(de::Error::custom("not valid")),
        }
    }
}

#[test]
fn fields_behind_common_checked_types_are_seen() {
    differ(&[
        print::<(Checked<b'@'>, u8)>(),
        print::<(Checked<b'@'>, u16)>(),
    ]);
    differ(&[
        print::<(Checked<b'T'>, u8)>(),
        print::<(Checked<b'T'>, u16)>(),
    ]);
    differ(&[
        print::<(Vec<Checked<b'1'>>, Checked<b'@'>, u8)>(),
        print::<(Vec<Checked<b'1'>>, Checked<b'@'>, u16)>(),
    ]);
    assert!(shape_of::<(Checked<b'T'>, Checked<b'1'>, u8)>().complete);
}

#[test]
fn fields_behind_a_type_that_refuses_everything_are_a_blind_spot() {
    assert_eq!(print::<(Checked<0>, u8)>(), print::<(Checked<0>, u16)>());
    assert!(!shape_of::<(Checked<0>, u8)>().complete);

    differ(&[print::<(u8, Checked<0>)>(), print::<(u16, Checked<0>)>()]);
    differ(&[
        print::<(Option<Checked<0>>, u8)>(),
        print::<(Option<Checked<0>>, u16)>(),
    ]);
    differ(&[
        print::<(Vec<Checked<0>>, u8)>(),
        print::<(Vec<Checked<0>>, u16)>(),
    ]);
    assert!(!shape_of::<(Option<Checked<0>>, u8)>().complete);
}

#[test]
fn a_type_that_panics_is_a_blind_spot_and_no_panic() {
    let shape = shape_of::<(u8, Checked<b'!'>, u8)>();
    assert!(!shape.complete);
    differ(&[shape.fingerprint, print::<(u16, Checked<b'!'>, u8)>()]);
}

#[test]
fn types_of_the_standard_library_are_seen_whole() {
    type Many = (
        std::net::IpAddr,
        std::time::Duration,
        std::time::SystemTime,
        std::path::PathBuf,
        std::num::NonZeroU8,
        std::ops::Bound<u8>,
        std::ops::Range<u8>,
        std::ffi::CString,
        std::marker::PhantomData<u8>,
        std::cmp::Reverse<u8>,
    );
    let shape = shape_of::<(Many, u8)>();
    assert!(shape.complete && !shape.self_describing);
    differ(&[shape.fingerprint, print::<(Many, u16)>()]);
}

version! { untagged { #[serde(untagged)] pub(super) enum Kind { Number(u64), Text(String) } } }
version! { tagged { #[serde(tag = "t")] pub(super) enum Kind { Number { n: u64 }, Text } } }
version! { adjacent { #[serde(tag = "t", content = "c")] pub(super) enum Kind { Number(u64), Text } } }
version! { flattened { pub(super) struct Outer { id: u64, #[serde(flatten)] home: base::Home } } }
version! { attributes { pub(super) struct User { #[serde(rename = "key")] id: u64, #[serde(default)] name: String, #[serde(skip)] seen: u8 } } }

#[test]
fn types_that_need_a_self_describing_codec_are_recognized() {
    assert!(shape_of::<untagged::Kind>().self_describing);
    assert!(shape_of::<tagged::Kind>().self_describing);
    assert!(shape_of::<adjacent::Kind>().self_describing);
    assert!(shape_of::<flattened::Outer>().self_describing);
    assert!(shape_of::<Vec<untagged::Kind>>().self_describing);
    assert!(shape_of::<(u8, HashMap<String, Option<untagged::Kind>>)>().self_describing);
    #[cfg(feature = "json")]
    {
        assert!(shape_of::<serde_json::Value>().self_describing);
        assert!(shape_of::<(serde_json::Value, u8)>().complete);
        differ(&[
            print::<(serde_json::Value, u8)>(),
            print::<(serde_json::Value, u16)>(),
        ]);
    }

    assert!(!shape_of::<base::User>().self_describing);
    assert!(!shape_of::<attributes::User>().self_describing);
    assert!(!shape_of::<expression::Expr>().self_describing);
}

version! { wide { pub(super) struct Wide { a: Event, b: Event, c: Option<Event> }
pub(super) enum Event { A(Coin), B(Coin), C(Coin, Coin), D { coin: Coin, last: Last } }
pub(super) enum Coin { C0, C1, C2, C3, C4, C5, C6, C7, C8, C9(u8) }
pub(super) enum Last { L0, L1, L2(u8) } } }
version! { wide_retyped { pub(super) struct Wide { a: Event, b: Event, c: Option<Event> }
pub(super) enum Event { A(wide::Coin), B(wide::Coin), C(wide::Coin, wide::Coin), D { coin: wide::Coin, last: Last } }
pub(super) enum Last { L0, L1, L2(u16) } } }

#[test]
fn the_last_variant_of_the_last_enum_is_seen() {
    differ(&[print::<wide::Wide>(), print::<wide_retyped::Wide>()]);
    assert!(shape_of::<wide::Wide>().complete);
}

/// Contains itself, so that no value of it ends.
struct Endless;

impl<'de> Deserialize<'de> for Endless {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <(Self, u8)>::deserialize(deserializer).map(|_| Self)
    }
}

/// Four of them have 2^20 leaves.
type Wide<T> = Box<[T; 32]>;

#[test]
fn the_probe_ends_whatever_the_type_does() {
    assert!(!shape_of::<Wide<Wide<Wide<Wide<u8>>>>>().complete);
    assert!(!shape_of::<Endless>().complete);
}
