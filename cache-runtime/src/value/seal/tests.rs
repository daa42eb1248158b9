use proptest::prelude::*;

use super::*;

#[test]
fn keys_are_read_in_three_spellings() {
    let hexadecimal = "fb".repeat(32);
    let standard = base64(&[0xfb; 32], b'+', b'/');
    let url_safe = base64(&[0xfb; 32], b'-', b'_');
    for key in [
        &hexadecimal,
        &hexadecimal.to_uppercase(),
        &standard,
        &url_safe,
    ] {
        assert_eq!(key_bytes(key), Some([0xfb; 32]), "{key}");
        assert_eq!(
            key_bytes(key.trim_end_matches('=')),
            Some([0xfb; 32]),
            "{key}"
        );
    }
    let both = Keys::parse(&format!("2:{standard}, 1 : {hexadecimal}")).unwrap();
    assert_eq!(format!("{both:?}"), "{2: ***, 1: ***}");
}

/// The other direction, to compare with.
fn base64(bytes: &[u8], plus: u8, slash: u8) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|at| u32::from(chunk.get(at).copied().unwrap_or(0)));
        let bits = a << 16 | b << 8 | c;
        for at in 0..4 {
            let symbol = u8::try_from(bits >> (18 - 6 * at) & 63).unwrap();
            text.push(char::from(match symbol {
                _ if at > chunk.len() => b'=',
                0..26 => b'A' + symbol,
                26..52 => b'a' + symbol - 26,
                52..62 => b'0' + symbol - 52,
                62 => plus,
                _ => slash,
            }));
        }
    }
    text
}

#[test]
fn malformed_keys_are_refused_without_a_piece_of_them() {
    let key = "ab".repeat(32);
    for text in [
        key.clone(),
        format!(":{key}"),
        format!("a:{key}"),
        format!("-1:{key}"),
        format!("4294967296:{key}"),
        format!("1:{key},"),
        format!("1:{key},2"),
        format!("1:{key},1:{}", "cd".repeat(32)),
        format!("1:{}", &key[1..]),
        format!("1:{key}a"),
        format!("1:{}", &base64(&[7; 31], b'+', b'/')),
        format!("1:{}", &base64(&[7; 33], b'+', b'/')),
        format!("1:{}=", &base64(&[7; 32], b'+', b'/')),
        // Bits that are no byte of the key.
        format!("1:{}", "/".repeat(43)),
        format!("1:{}", &key.replace('a', "g")),
        "1:".to_owned(),
    ] {
        let error = Keys::parse(&text).map(drop).unwrap_err();
        assert!(!error.contains("abab"), "{error}");
    }
    assert!(Keys::default().add(1, &[0; 31]).is_err());
    assert!(Keys::default().add(1, &[0; 33]).is_err());
}

proptest! {
    #[test]
    fn every_key_is_read_back(key: [u8; KEY]) {
        let hexadecimal: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_eq!(key_bytes(&hexadecimal), Some(key));
        prop_assert_eq!(key_bytes(&base64(&key, b'+', b'/')), Some(key));
        prop_assert_eq!(key_bytes(&base64(&key, b'-', b'_')), Some(key));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9a-f:,=+/ -]{0,80}") {
        let _ = Keys::parse(&text);
    }
}
