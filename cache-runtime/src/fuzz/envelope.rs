//! Bytes under one of our keys, whoever put them there.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::input::Input;
use crate::value::codec::Codec;
use crate::value::compression;
use crate::value::envelope::{self, Header, Rejected};

/// What can be read says all that stands there; what is written is read back; what is damaged is refused.
pub fn envelope(bytes: &[u8]) {
    read_and_write(bytes);
    // Else a checksum would keep the fuzzer from everything behind it.
    if let Some(mended) = mended(bytes) {
        assert_ne!(envelope::read(&mended).err(), Some(Rejected::Checksum));
        read_and_write(&mended);
    }
    write_and_read(Input::new(bytes));
}

/// The same bytes as an envelope of this format, with the right checksum; `None` where they are too few.
fn mended(bytes: &[u8]) -> Option<Vec<u8>> {
    let (body, _) = bytes.split_last_chunk::<8>()?;
    let mut mended = body.to_vec();
    mended
        .get_mut(..5)?
        .copy_from_slice(written(&header(&mut Input::new(&[]), 0)?, &[], &[]).get(..5)?);
    let counts = mended.get(60..62)?.iter().copied().map(usize::from);
    let (head, tail) = envelope::around_generations(&mended, counts.sum());
    let checksum = xxh3_64_with_seed(tail, xxh3_64(head));
    mended.extend_from_slice(&checksum.to_le_bytes());
    Some(mended)
}

fn read_and_write(bytes: &[u8]) {
    let Ok(read) = envelope::read(bytes) else {
        return;
    };
    assert_eq!(
        envelope::stamp_of(bytes),
        read.header.stamp.to_le_bytes(),
        "the stamp stands where scripts look for it"
    );
    let mut written = Vec::new();
    let outcome = envelope::write(&read.header, read.tags(), &mut written, |out| {
        out.extend_from_slice(read.stored_payload());
        Ok(())
    });
    assert_eq!(outcome, Ok(()));
    assert_eq!(written, bytes, "nothing stands there that was not read");
    if let Ok(opened) = read.open("", None) {
        let most = read.stored_payload().len().saturating_mul(255);
        assert!(opened.len() <= most, "no few bytes come to very many");
    }
}

fn write_and_read(mut input: Input<'_>) {
    let tags: Vec<String> = (0..input.byte() % 20).map(|_| input.text()).collect();
    let Some(header) = header(&mut input, tags.len()) else {
        return;
    };
    let (at, flip) = (input.word(), input.byte());
    let payload = input.rest();
    // Often enough that it becomes shorter.
    let plain = payload.repeat(16);
    let stored = header.compressed.then(|| compression::compress(&plain));
    let stored = stored.flatten();
    let payload = stored.as_deref().unwrap_or(payload);
    let mut written = written(&header, &tags, payload);
    check_read(&written, &header, &tags, payload);
    if stored.is_some() && !header.encrypted {
        check_opened(&written, &plain);
    }

    // Cut off, it is refused; unless it ends with bytes of the user's, who may have written a checksum there.
    let fixed = 64 + 8 * header.generations.len();
    let length = u64::try_from(written.len()).unwrap_or(u64::MAX);
    let at = usize::try_from(at % length).unwrap_or_default();
    let cut = envelope::read(written.get(..at).unwrap_or_default());
    assert!(cut.is_err() || at >= fixed + 8, "cut off at {at}");
    // Damaged anywhere but in its generations, which make it another, it is refused.
    if let Some(byte) = written.get_mut(at) {
        *byte ^= flip;
    }
    let damaged = flip != 0 && !(64..fixed).contains(&at);
    assert!(
        !damaged || envelope::read(&written).is_err(),
        "damaged at {at}"
    );
}

fn header(input: &mut Input<'_>, tags: usize) -> Option<Header> {
    let levels = input.byte() % 20;
    let flags = input.byte();
    let count = usize::from(levels) + tags;
    Some(Header {
        codec: Codec::from_id(1 + input.byte() % 3)?,
        encrypted: flags % 5 == 1,
        compressed: flags % 3 == 1,
        stamp: input.word(),
        key_hash: input.word(),
        origin: input.word(),
        fingerprint: input.word(),
        expires_at_ms: input.word(),
        filled_at_ms: input.word(),
        load_ms: u32::from_le_bytes(input.bytes()),
        levels,
        generations: (0..count).map(|_| input.word()).collect(),
    })
}

fn written(header: &Header, tags: &[String], payload: &[u8]) -> Vec<u8> {
    let mut written = b"before".to_vec();
    let tags = tags.iter().map(String::as_str);
    let outcome = envelope::write(header, tags, &mut written, |out| {
        out.extend_from_slice(payload);
        Ok(())
    });
    assert_eq!(outcome, Ok(()));
    written.split_off(b"before".len())
}

/// What was compressed is read back.
fn check_opened(written: &[u8], plain: &[u8]) {
    let read = envelope::read(written).ok();
    let opened = read.and_then(|read| read.open("", None).ok());
    assert_eq!(opened.as_deref(), Some(plain));
}

fn check_read(written: &[u8], header: &Header, tags: &[String], payload: &[u8]) {
    let read = envelope::read(written);
    assert!(read.is_ok(), "{read:?}");
    if let Ok(read) = read {
        assert_eq!(&read.header, header);
        assert!(read.tags().eq(tags.iter()), "{tags:?}");
        assert_eq!(read.stored_payload(), payload);
    }
}
