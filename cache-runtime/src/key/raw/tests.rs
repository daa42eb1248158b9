use std::borrow::Cow;
use std::sync::Arc;

use serde::ser::{Error as _, SerializeSeq as _};

use super::*;
use crate::key::{KeyPart, Opening};
use crate::secret::HashKey;

const NUMBER: u32 = 7;

/// The text that is made of the notes of these parts, if they can be noted.
fn by_notes(is_template: bool, parts: &dyn Fn(&mut KeyWriter<'_>)) -> Option<String> {
    let opening = Opening {
        head: "app",
        is_template,
    };
    let mut raw = Raw::new(NUMBER, 0);
    let mut text = String::new();
    let mut writer = KeyWriter::noting(&mut raw, opening, &mut text, None);
    parts(&mut writer);
    let (noted, written) = writer.finish_noting();
    written.unwrap();
    if !noted {
        assert_eq!(text, written_at_once(parts), "written where noting ended");
        return None;
    }
    assert_eq!(text, "", "nothing is written before it is needed");
    let mut writer = KeyWriter::new(&mut text, None);
    writer.write_noted(&raw, opening);
    writer.finish().unwrap();
    Some(text)
}

fn written_at_once(parts: &dyn Fn(&mut KeyWriter<'_>)) -> String {
    let mut text = String::from("app");
    let mut writer = KeyWriter::new(&mut text, None);
    parts(&mut writer);
    writer.finish().unwrap();
    text
}

#[track_caller]
fn is_noted<T: KeyPart + ?Sized>(value: &T) {
    let arg = |writer: &mut KeyWriter<'_>| writer.arg(value);
    assert_eq!(by_notes(false, &arg), Some(written_at_once(&arg)));
    let template = |writer: &mut KeyWriter<'_>| {
        writer.text("user-");
        writer.hole(value);
        writer.text("-");
        writer.hole("x-1");
    };
    assert_eq!(by_notes(true, &template), Some(written_at_once(&template)));
}

#[track_caller]
fn is_not_noted<T: KeyPart + ?Sized>(value: &T) {
    let parts = |writer: &mut KeyWriter<'_>| {
        writer.arg(&1);
        writer.arg(value);
        writer.arg("end");
    };
    assert_eq!(by_notes(false, &parts), None);
}

#[derive(serde::Serialize)]
struct Id<T>(T);

#[derive(serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    True,
    Film,
    Of(u8),
}

#[derive(serde::Serialize)]
struct Page {
    size: u32,
}

#[test]
fn the_text_of_what_is_noted_is_the_one_that_would_have_been_written() {
    for number in [i64::MIN, -1, 0, 1, i64::MAX] {
        is_noted(&number);
    }
    is_noted(&u64::MAX);
    is_noted(&-1_i8);
    is_noted(&true);
    is_noted(&'5');
    is_noted(&1.5_f32);
    for float in [0.0, -0.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE] {
        is_noted(&float);
    }
    is_noted(&());
    is_noted(&None::<u8>);
    is_noted(&Kind::True);
    is_noted(&Kind::Film);
    let uuid = |writer: &mut KeyWriter<'_>| writer.arg("123e4567-e89b-12d3-a456-426614174000");
    assert_eq!(by_notes(false, &uuid), Some(written_at_once(&uuid)));
}

/// With the mark or without it, as the type says.
#[test]
fn a_string_that_reads_as_another_value_has_the_text_of_its_type() {
    for word in [
        "", "42", "-1", "true", "inf", "NaN", "2b", "x-y", "a:b", "'", "é",
    ] {
        is_noted(word);
        is_noted(&word);
        is_noted(&word.to_owned());
        is_noted(&Cow::from(word));
        is_noted(&Arc::<str>::from(word));
        is_noted(&Some(word));
        is_noted(&Id(word));
        is_noted(&Id(Some(Id(word))));
    }
}

#[test]
fn what_is_put_together_or_does_not_fit_is_written_at_once() {
    is_not_noted(&[1, 2]);
    is_not_noted(&(1, "a"));
    is_not_noted(&Page { size: 10 });
    is_not_noted(&Kind::Of(1));
    is_not_noted(&Some(None::<u8>));
    is_not_noted(&Some(()));
    is_not_noted(&1_u128);
    is_not_noted(&1_i128);
    for length in 20..300 {
        let long = "a".repeat(length);
        let parts = |writer: &mut KeyWriter<'_>| writer.arg(&long);
        let noted = by_notes(false, &parts);
        assert_eq!(noted.is_some(), length < ROOM - 4, "{length}");
        assert!(noted.is_none_or(|noted| noted == written_at_once(&parts)));
    }
    let many = |writer: &mut KeyWriter<'_>| {
        for number in 0..9_u64 {
            writer.arg(&number);
        }
    };
    assert_eq!(by_notes(false, &many), None);
}

/// Neither may be told of the other.
#[test]
fn notes_tell_functions_and_arguments_apart() {
    let parts: [&dyn Fn(&mut KeyWriter<'_>); 9] = [
        &|_| {},
        &|writer| writer.arg(""),
        &|writer| writer.arg("a"),
        &|writer| writer.arg("a\0"),
        &|writer| {
            writer.arg("a");
            writer.arg("");
        },
        &|writer| writer.arg(&1),
        &|writer| writer.arg(&-1),
        &|writer| writer.arg(&None::<u8>),
        &|writer| writer.text("a"),
    ];
    let noted = |number: u32, parts: &dyn Fn(&mut KeyWriter<'_>)| {
        let (mut raw, mut text) = (Raw::new(number, 3), String::new());
        let opening = Opening {
            head: "",
            is_template: true,
        };
        let mut writer = KeyWriter::noting(&mut raw, opening, &mut text, None);
        parts(&mut writer);
        assert!(writer.finish_noting().0);
        raw
    };
    let mut all: Vec<Raw> = Vec::new();
    for number in [1, 2, 256] {
        for parts in parts {
            let raw = noted(number, parts);
            let same = noted(number, parts);
            assert!(raw.notes() == same.notes() && raw.hash() == same.hash());
            assert_eq!(KeyWriter::hash_all(3, &parts), Some(raw.hash()));
            let is_noted = |raw: &Raw| {
                let check = Check::new(raw.notes(), number);
                check.is_some_and(|check| KeyWriter::are_noted(check, &parts))
            };
            assert!(is_noted(&raw), "{raw:?}");
            for other in &all {
                assert_ne!(other.notes(), raw.notes());
                assert!(!is_noted(other), "{other:?} {raw:?}");
            }
            all.push(raw);
        }
    }
    // And where the first one is the longer one.
    for (at, one) in parts.iter().enumerate() {
        for (other, raw) in all[..parts.len()].iter().enumerate() {
            let check = Check::new(raw.notes(), 1).unwrap();
            assert_eq!(KeyWriter::are_noted(check, one), at == other);
        }
    }
}

/// Else each call would look for what cannot stand there.
#[test]
fn of_what_has_no_room_there_is_no_hash() {
    for length in 0..3 * ROOM {
        let text = "x".repeat(length);
        let parts = |writer: &mut KeyWriter<'_>| {
            writer.arg(&1);
            writer.arg(&text);
        };
        let mut raw = Raw::new(NUMBER, 3);
        let noted = KeyWriter::note_all(&mut raw, &parts);
        assert_eq!(noted, 4 + 9 + 1 + length <= ROOM);
        let hash = KeyWriter::hash_all(3, &parts);
        assert_eq!(hash, noted.then(|| raw.hash()), "{length}");
    }
}

#[test]
fn what_is_secret_is_not_noted() {
    let key = HashKey::of_this_process();
    for is_template in [false, true] {
        let opening = Opening {
            head: "app",
            is_template,
        };
        let (mut raw, mut text) = (Raw::new(NUMBER, 0), String::new());
        let mut writer = KeyWriter::noting(&mut raw, opening, &mut text, Some(&key));
        if is_template {
            writer.hole("user");
            writer.sensitive_hole("secret");
        } else {
            writer.arg("user");
            writer.sensitive_arg("secret");
        }
        assert!(!writer.finish_noting().0);
        let secret = |writer: &mut KeyWriter<'_>| writer.sensitive_arg("secret");
        assert_eq!(KeyWriter::hash_all(0, &secret), None);
        assert!(!raw.notes().bytes.windows(6).any(|bytes| bytes == b"secret"));
        assert!(text.contains("user") && !text.contains("secret"), "{text}");
    }
}

/// Refuses, and says so only once it is half written.
struct Refuses;

impl Serialize for Refuses {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(None)?;
        list.serialize_element(&1)?;
        Err(S::Error::custom("no"))
    }
}

#[test]
fn an_argument_that_cannot_be_written_is_refused_in_its_own_words() {
    let (mut raw, mut text) = (Raw::new(NUMBER, 0), String::new());
    let opening = Opening {
        head: "app",
        is_template: false,
    };
    let mut writer = KeyWriter::noting(&mut raw, opening, &mut text, None);
    writer.arg(&1);
    writer.arg(&Refuses);
    let (noted, written) = writer.finish_noting();
    assert!(!noted);
    assert_eq!(written.unwrap_err().to_string(), "no");
}
