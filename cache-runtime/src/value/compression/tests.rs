use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn repetitive(length: usize) -> Vec<u8> {
    b"a genre, a title, a year, "
        .iter()
        .copied()
        .cycle()
        .take(length)
        .collect()
}

/// Bytes that no compression shortens: xorshift64.
fn random(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

/// A block behind another length than it comes to.
fn announcing(length: usize, stored: &[u8]) -> Vec<u8> {
    let length = u32::try_from(length).unwrap();
    [&length.to_le_bytes(), &stored[LENGTH..]].concat()
}

#[test]
fn what_is_compressed_is_shorter_and_comes_back() {
    for length in [SMALLEST, SMALLEST + 1, 10_000, 1 << 20] {
        let plain = repetitive(length);
        let stored = compress(&plain).unwrap();

        assert!(stored.len() < plain.len() / 10, "{length}");
        assert_eq!(decompress(&stored), Ok(plain), "{length}");
    }
}

#[test]
fn what_is_short_or_becomes_no_shorter_is_left_as_it_is() {
    assert_eq!(compress(&repetitive(SMALLEST - 1)), None);
    assert_eq!(compress(b""), None);
    for length in [SMALLEST, 5_000, 1 << 20] {
        assert_eq!(compress(&random(length)), None, "{length}");
    }
}

#[test]
fn what_is_longer_than_the_limit_is_neither_compressed_nor_read() {
    let most = vec![0; LONGEST];
    let stored = compress(&most).unwrap();
    assert_eq!(decompress(&stored), Ok(most));

    let more = vec![0; LONGEST + 1];
    assert_eq!(compress(&more), None);
    let block = [&[0; LENGTH], &block::compress(&more)[..]].concat();
    let bomb = announcing(more.len(), &block);
    assert_eq!(decompress(&bomb), Err(Rejected::Compressed));
}

#[test]
fn a_length_that_so_few_bytes_cannot_come_to_is_refused_before_there_is_room_for_it() {
    for block in [0, 1, 20, 1_000] {
        let stored = vec![0; LENGTH + block];
        let most = announcing(block * RATIO, &stored);
        assert_eq!(
            announced(&most).map(|(length, _)| length),
            Ok(block * RATIO)
        );
        let more = announcing(block * RATIO + 1, &stored);
        assert_eq!(announced(&more), Err(Rejected::Compressed));
    }
    let stored = compress(&vec![0; LONGEST]).unwrap();
    assert!(announced(&stored).is_ok(), "no block of LZ4 comes to more");
}

#[test]
fn a_block_that_comes_to_another_length_than_it_says_is_refused() {
    let stored = compress(&repetitive(5_000)).unwrap();
    for length in [0, 1, 4_999, 5_001, 10_000, LONGEST, u32::MAX as usize] {
        let other = announcing(length, &stored);
        assert_eq!(decompress(&other), Err(Rejected::Compressed), "{length}");
    }
}

#[test]
fn a_block_that_is_cut_off_is_refused() {
    let stored = compress(&repetitive(5_000)).unwrap();
    for length in 0..stored.len() {
        assert_eq!(
            decompress(&stored[..length]),
            Err(Rejected::Compressed),
            "{length}"
        );
    }
}

proptest! {
    #[test]
    fn whatever_is_compressed_comes_back(
        unit in vec(any::<u8>(), 1..300),
        length in SMALLEST..20_000,
    ) {
        let plain: Vec<u8> = unit.iter().copied().cycle().take(length).collect();
        if let Some(stored) = compress(&plain) {
            prop_assert!(stored.len() < plain.len());
            prop_assert_eq!(decompress(&stored), Ok(plain));
        }
    }

    #[test]
    fn random_bytes_come_to_what_they_say_or_are_refused(stored in vec(any::<u8>(), 0..2_000), length in 0..5_000_u32) {
        let stored = [&length.to_le_bytes(), &stored[..]].concat();
        if let Ok(plain) = decompress(&stored) {
            prop_assert_eq!(plain.len(), length as usize);
        }
    }
}
