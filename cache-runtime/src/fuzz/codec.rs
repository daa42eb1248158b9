//! A payload, whatever is in it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::value::Value;
use crate::value::codec::Codec;
use crate::value::envelope;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    id: u64,
    name: String,
    active: bool,
    score: Option<i128>,
    tags: Vec<String>,
    plan: Plan,
    limits: BTreeMap<String, i32>,
    raw: (u8, char, [u16; 3]),
    wait: Duration,
    from: std::net::IpAddr,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Plan {
    Free,
    Paid(u32),
    Trial { days: u8, note: Box<str> },
    Nested(Box<Self>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tree {
    name: String,
    children: Vec<Self>,
}

/// Takes memory and no bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Hollow {
    #[serde(skip)]
    words: [u64; 32],
}

/// The first byte chooses a type, and the rest is what stands in Redis: a value, which comes back once more, or an error.
///
/// Answers of how many bytes it was, so that whoever counts allocations knows what they are in proportion to.
pub fn codec(bytes: &[u8]) -> usize {
    let Some((choice, bytes)) = bytes.split_first() else {
        return 0;
    };
    match choice % 12 {
        0 => decode::<Record>(bytes),
        1 => decode::<Tree>(bytes),
        2 => decode::<Vec<Plan>>(bytes),
        3 => decode::<Vec<Hollow>>(bytes),
        4 => decode::<HashMap<u64, Vec<String>>>(bytes),
        5 => decode::<BTreeMap<u8, ()>>(bytes),
        6 => decode::<Vec<Vec<Vec<u8>>>>(bytes),
        7 => decode::<Option<Option<String>>>(bytes),
        8 => decode::<Vec<()>>(bytes),
        9 => decode::<(char, i128, Result<u8, String>)>(bytes),
        10 => decode::<Vec<Option<u64>>>(bytes),
        _ => decode::<std::collections::BTreeSet<String>>(bytes),
    }
    bytes.len()
}

fn decode<T: Value + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    for codec in (1..=3).filter_map(Codec::from_id) {
        let Ok(value) = codec.decode::<T>(bytes) else {
            continue;
        };
        let mut again = Vec::new();
        // There are values that a codec reads and refuses to write; whatever it writes, it reads as the same.
        if codec.encode(&value, &mut again).is_ok() {
            let read = codec.decode::<T>(&again);
            assert!(
                read.is_ok(),
                "{codec}: {value:?} is written, and then {read:?}"
            );
            assert!(
                read.is_ok_and(|read| read == value),
                "{codec}: {value:?} came back as another"
            );
        }
    }
    // It stands in an envelope as well.
    let _ = envelope::read(bytes);
}
