#![cfg(any(feature = "bincode", feature = "postcard", feature = "json"))]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn header(generations: Vec<u64>, levels: u8) -> Header {
    Header {
        codec: Codec::DEFAULT.unwrap(),
        encrypted: false,
        compressed: false,
        stamp: 0x0102_0304_0506_0708,
        key_hash: key_hash("user:7"),
        origin: 3,
        fingerprint: 4,
        expires_at_ms: u64::MAX,
        filled_at_ms: 5,
        load_ms: 12,
        levels,
        generations: generations.into(),
    }
}

/// As many tags as the header counts.
fn tags(header: &Header) -> impl Iterator<Item = &'static str> {
    let count = header.generations.len() - usize::from(header.levels);
    std::iter::repeat_n("tag@a", count)
}

fn none() -> std::iter::Empty<&'static str> {
    std::iter::empty()
}

fn written(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write(header, tags(header), &mut out, |out| {
        out.extend_from_slice(payload);
        Ok(())
    })
    .unwrap();
    out
}

#[test]
fn the_layout_is_fixed() {
    let bytes = written(&header(vec![9, 10], 1), b"payload");

    assert_eq!(
        bytes[..8],
        [
            0xCA,
            b'C',
            b'H',
            b'E',
            3,
            Codec::DEFAULT.unwrap().id(),
            0,
            0
        ]
    );
    assert_eq!(bytes[8..16], [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(bytes[48..56], [5, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[56..64], [12, 0, 0, 0, 1, 1, 0, 0]);
    assert_eq!(
        bytes[64..80],
        [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 10]
    );
    assert_eq!(bytes[80..87], *b"\x05\0tag@a");
    assert_eq!(bytes[87..94], *b"payload");
    let checksum = xxh3_64_with_seed(&bytes[80..94], xxh3_64(&bytes[..64]));
    assert_eq!(bytes[94..], checksum.to_le_bytes());
}

#[test]
fn the_stamp_is_what_getrange_gives() {
    let bytes = written(&header(vec![], 0), b"");

    assert_eq!(stamp_of(&bytes), &bytes[STAMP]);
    assert_eq!(stamp_of(&bytes[..12]), &bytes[8..12]);
    assert_eq!(stamp_of(&bytes[..8]), b"");
    assert_eq!(stamp_of(&bytes[..3]), b"");
    assert_eq!(stamp_of(b""), b"");
}

#[test]
fn an_envelope_is_appended_to_what_is_there() {
    let header = header(vec![1], 1);
    let mut out = b"before".to_vec();

    write(&header, tags(&header), &mut out, |out| {
        out.push(7);
        Ok(())
    })
    .unwrap();

    let (before, envelope) = out.split_at(6);
    assert_eq!(before, b"before");
    let read = read(envelope).unwrap();
    assert_eq!((read.header, read.payload), (header, &[7][..]));
}

#[test]
fn a_payload_that_fails_leaves_nothing_behind() {
    let mut out = b"before".to_vec();

    let error = write(&header(vec![1], 1), none(), &mut out, |out| {
        out.push(7);
        Err(CodecError::Changed { codec: "bincode" })
    });

    assert_eq!(error, Err(CodecError::Changed { codec: "bincode" }));
    assert_eq!(out, b"before");
}

#[test]
fn more_generations_than_fit_are_an_error() {
    let most = header((0..255).collect(), 200);
    assert_eq!(read(&written(&most, b"x")).unwrap().header, most);

    let mut out = Vec::new();
    let error = write(&header((0..256).collect(), 0), none(), &mut out, |_| Ok(()));
    assert_eq!(error, Err(CodecError::Generations(256)));
    let error = write(&header(vec![1], 2), none(), &mut out, |_| Ok(()));
    assert_eq!(error, Err(CodecError::Generations(1)));
    assert!(out.is_empty());
}

#[test]
fn generations_of_which_there_are_few_stay_in_place() {
    let few: Generations = (0..8).collect();
    assert!(matches!(few, Generations::Inline { .. }));
    assert_eq!(*few, [0, 1, 2, 3, 4, 5, 6, 7]);

    let more: Generations = (0..9).collect();
    assert!(matches!(more, Generations::Spilled(_)));
    assert_eq!(*more, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

/// With a checksum that is right, as a process of another version writes it.
fn forged(at: usize, byte: u8) -> Result<(), Rejected> {
    let mut bytes = written(&header(vec![1], 1), b"payload");
    bytes.truncate(bytes.len() - CHECKSUM);
    bytes[at] = byte;
    let count = usize::from(bytes[60]) + usize::from(bytes[61]);
    let (head, tail) = around_generations(&bytes, count);
    let checksum = checksum(head, tail);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    read(&bytes).map(drop)
}

#[test]
fn each_reason_to_reject_is_told_apart() {
    assert_eq!(read(b"").map(drop), Err(Rejected::Truncated));
    assert_eq!(read(b"\xCAC").map(drop), Err(Rejected::Truncated));
    assert_eq!(read(b"hello").map(drop), Err(Rejected::Foreign));
    assert_eq!(read(b"he").map(drop), Err(Rejected::Foreign));
    assert_eq!(forged(0, 0), Err(Rejected::Foreign));
    assert_eq!(forged(4, 1), Err(Rejected::Version));
    assert_eq!(forged(5, 99), Err(Rejected::Codec));
    assert_eq!(forged(6, 4), Err(Rejected::Version));
    assert_eq!(forged(6, 0x80), Err(Rejected::Version));
    assert_eq!(forged(7, 1), Err(Rejected::Version));
    assert_eq!(forged(62, 1), Err(Rejected::Version));
    assert_eq!(forged(63, 1), Err(Rejected::Version));
    assert_eq!(forged(61, 200), Err(Rejected::Truncated));
    assert_eq!(forged(61, 255), Err(Rejected::Version));
}

#[test]
fn a_compressed_entry_opens_where_that_is_built_in_and_else_the_feature_is_named() {
    let compressed = Header {
        compressed: true,
        ..header(vec![1], 1)
    };
    // Five bytes that stand in the block as they are.
    let bytes = written(&compressed, b"\x05\0\0\0\x50hello");

    let opened = read(&bytes).unwrap().open("user:7", None);

    match cfg!(feature = "compression") {
        true => assert_eq!(opened.as_deref(), Ok(&b"hello"[..])),
        false => {
            assert_eq!(opened, Err(Rejected::Compressed));
            let said = Rejected::Compressed.to_string();
            assert!(said.contains("without the feature `compression`"), "{said}");
        }
    }
}

#[test]
fn every_truncation_is_rejected() {
    let bytes = written(&header(vec![1, 2, 3], 2), b"some payload");

    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn every_flipped_bit_is_rejected_or_another_generation() {
    let header = header(vec![1, 2, 3], 2);
    let mut bytes = written(&header, b"some payload");

    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            match read(&bytes) {
                Err(_) => {}
                Ok(read) => assert_ne!(
                    read.header.generations, header.generations,
                    "bit {bit} of {at}"
                ),
            }
            bytes[at] ^= 1 << bit;
        }
    }
}

#[test]
fn bytes_after_the_end_are_rejected() {
    let mut bytes = written(&header(vec![], 0), b"payload");
    bytes.push(0);

    assert_eq!(read(&bytes).map(drop), Err(Rejected::Checksum));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        words in any::<[u64; 6]>(),
        flags in any::<[bool; 2]>(),
        load_ms: u32,
        generations in vec(any::<u64>(), 0..=255),
        levels: u8,
        payload in vec(any::<u8>(), 0..500),
    ) {
        let [stamp, key_hash, origin, fingerprint, expires_at_ms, filled_at_ms] = words;
        let [encrypted, compressed] = flags;
        let levels = levels.min(generations.len() as u8);
        let codec = Codec::DEFAULT.unwrap();
        let generations = generations.into();
        let header = Header {
            codec, encrypted, compressed, stamp, key_hash, origin, fingerprint, expires_at_ms, filled_at_ms, load_ms, levels,
            generations,
        };
        let bytes = written(&header, &payload);
        let read = read(&bytes).unwrap();

        prop_assert_eq!(read.payload, &payload);
        prop_assert_eq!(read.tags().count(), tags(&header).count());
        prop_assert_eq!(read.header, header);
    }

    #[test]
    fn random_bytes_are_rejected(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn random_bytes_after_a_right_beginning_and_before_a_right_end_never_panic(
        bytes in vec(any::<u8>(), 0..300),
    ) {
        let mut bytes = [&[0xCA, b'C', b'H', b'E', FORMAT, Codec::DEFAULT.unwrap().id(), 0, 0], &bytes[..]].concat();
        let counts = bytes.get(COUNTS).unwrap_or_default();
        let (head, tail) = around_generations(&bytes, counts.iter().copied().map(usize::from).sum());
        let checksum = checksum(head, tail);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        let _ = read(&bytes);
    }
}
