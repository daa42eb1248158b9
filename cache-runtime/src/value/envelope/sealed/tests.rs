#![cfg(all(
    feature = "encryption",
    any(feature = "bincode", feature = "postcard", feature = "json")
))]

use super::*;
use crate::value::codec::Codec;
use crate::value::envelope::{CHECKSUM, checksum, key_hash, read, write};

const PAYLOAD: &[u8] = b"the value of an entry";

fn keys(ids: &[u32]) -> Keys {
    let mut keys = Keys::default();
    for id in ids {
        keys.add(*id, &[u8::try_from(*id).unwrap(); 32]).unwrap();
    }
    keys
}

fn header() -> Header {
    Header {
        codec: Codec::DEFAULT.unwrap(),
        encrypted: true,
        compressed: false,
        stamp: 1,
        key_hash: key_hash("user:7"),
        origin: 3,
        fingerprint: 4,
        expires_at_ms: 5,
        filled_at_ms: 5,
        load_ms: 6,
        levels: 2,
        generations: vec![7, 8, 9].into(),
    }
}

/// An entry under `user:7`, with one tag.
fn sealed(keys: &Keys) -> Vec<u8> {
    let mut bytes = Vec::new();
    let header = header();
    write(&header, ["tag@a"].into_iter(), &mut bytes, |out| {
        let start = out.len();
        out.extend_from_slice(PAYLOAD);
        seal(keys, "user:7", &header, out, start)
    })
    .unwrap();
    bytes
}

fn opened(bytes: &[u8], key: &str, keys: Option<&Keys>) -> Result<Vec<u8>, Rejected> {
    read(bytes)?.open(key, keys).map(Cow::into_owned)
}

/// The same entry with other bytes, and a checksum that is right: anybody can compute it.
fn altered(bytes: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = bytes[..bytes.len() - CHECKSUM].to_vec();
    bytes[at] = byte;
    let count = usize::from(bytes[60]) + usize::from(bytes[61]);
    let (head, tail) = around_generations(&bytes, count);
    let checksum = checksum(head, tail);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

#[test]
fn what_is_sealed_opens_under_its_key() {
    let keys = keys(&[1]);
    let bytes = sealed(&keys);

    assert_eq!(opened(&bytes, "user:7", Some(&keys)).unwrap(), PAYLOAD);
    assert!(
        !bytes
            .windows(4)
            .any(|bytes| PAYLOAD.windows(4).any(|clear| clear == bytes))
    );
}

#[test]
fn no_two_are_alike() {
    let keys = keys(&[1]);

    assert_ne!(sealed(&keys), sealed(&keys));
}

#[test]
fn an_entry_under_another_key_does_not_open() {
    let keys = keys(&[1]);
    let bytes = sealed(&keys);

    for key in ["user:8", "user:", "user:77", "app:user:7", ""] {
        let error = opened(&bytes, key, Some(&keys));
        assert_eq!(error, Err(Rejected::Sealed(Sealed::Tampered)), "{key}");
    }
}

#[test]
fn an_entry_that_was_altered_in_any_byte_does_not_open() {
    let keys = keys(&[1]);
    let bytes = sealed(&keys);
    let generations = 64..64 + 3 * 8;

    for at in 0..bytes.len() - CHECKSUM {
        for change in [1, 0x80] {
            let altered = altered(&bytes, at, bytes[at] ^ change);
            let outcome = opened(&altered, "user:7", Some(&keys));
            match generations.contains(&at) {
                // Put in after the encryption; who judges the entry compares them.
                true => assert_eq!(outcome.unwrap(), PAYLOAD),
                false => assert!(outcome.is_err(), "byte {at}"),
            }
        }
    }
}

#[test]
fn the_first_key_writes_and_all_read() {
    let (old, both, new) = (keys(&[1]), keys(&[2, 1]), keys(&[2]));
    let (by_old, by_both) = (sealed(&old), sealed(&both));

    assert_eq!(opened(&by_old, "user:7", Some(&both)).unwrap(), PAYLOAD);
    assert_eq!(opened(&by_both, "user:7", Some(&both)).unwrap(), PAYLOAD);
    assert_eq!(opened(&by_both, "user:7", Some(&new)).unwrap(), PAYLOAD);
    let unknown = |id| Err(Rejected::Sealed(Sealed::Under(id)));
    assert_eq!(opened(&by_both, "user:7", Some(&old)), unknown(2));
    assert_eq!(opened(&by_old, "user:7", Some(&new)), unknown(1));
}

#[test]
fn another_key_of_the_same_id_does_not_open() {
    let mut other = Keys::default();
    other.add(1, &[9; 32]).unwrap();
    let bytes = sealed(&keys(&[1]));

    let outcome = opened(&bytes, "user:7", Some(&other));
    assert_eq!(outcome, Err(Rejected::Sealed(Sealed::Tampered)));
}

#[test]
fn who_encrypts_takes_nothing_in_clear_and_who_does_not_nothing_encrypted() {
    let keys = keys(&[1]);
    let bytes = sealed(&keys);
    let mut clear = Vec::new();
    let header = Header {
        encrypted: false,
        ..header()
    };
    write(&header, ["tag@a"].into_iter(), &mut clear, |out| {
        out.extend_from_slice(PAYLOAD);
        Ok(())
    })
    .unwrap();

    assert_eq!(opened(&clear, "user:7", None).unwrap(), PAYLOAD);
    assert_eq!(
        opened(&clear, "user:7", Some(&keys)),
        Err(Rejected::NotEncrypted)
    );
    assert_eq!(opened(&bytes, "user:7", None), Err(Rejected::Encrypted));
}
