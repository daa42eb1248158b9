//! Whatever the bytes are: a value or an error.

use super::*;

#[test]
fn truncated_and_lengthened_values_are_errors() {
    for codec in BUILT_IN {
        let mut bytes = encoded(*codec, &profile());
        for length in 0..bytes.len() {
            assert!(
                codec.decode::<Profile>(&bytes[..length]).is_err(),
                "{codec} {length}"
            );
        }
        bytes.push(1);
        assert!(codec.decode::<Profile>(&bytes).is_err(), "{codec}");
    }
}

#[test]
fn flipped_bits_never_panic() {
    for codec in BUILT_IN {
        let mut bytes = encoded(*codec, &profile());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                let _ = codec.decode::<Profile>(&bytes);
                bytes[at] ^= 1 << bit;
            }
        }
    }
}

/// A length of 2^40 and little behind it.
fn boasting(codec: Codec) -> Vec<u8> {
    let mut bytes = match codec.name() {
        "bincode" => vec![253, 0, 0, 0, 0, 0, 1, 0, 0],
        _ => vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x20],
    };
    bytes.extend([1; 20]);
    bytes
}

#[test]
fn announced_lengths_are_not_believed() {
    /// Takes memory but no bytes.
    #[derive(Default, Deserialize)]
    struct Hollow {
        #[serde(skip)]
        _words: [u64; 32],
    }

    /// Reserves what is announced, as some collections do.
    struct Trusting;
    impl<'de> Deserialize<'de> for Trusting {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Trusts;
            impl<'de> serde::de::Visitor<'de> for Trusts {
                type Value = Trusting;
                fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                    out.write_str("a sequence")
                }
                fn visit_seq<A: serde::de::SeqAccess<'de>>(
                    self,
                    access: A,
                ) -> Result<Trusting, A::Error> {
                    assert!(access.size_hint().unwrap_or(0) < 2000);
                    Ok(Trusting)
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    access: A,
                ) -> Result<Trusting, A::Error> {
                    assert!(access.size_hint().unwrap_or(0) < 2000);
                    Ok(Trusting)
                }
            }
            deserializer.deserialize_map(Trusts)
        }
    }

    for codec in compact() {
        let bytes = boasting(codec);
        assert!(codec.decode::<String>(&bytes).is_err());
        assert!(codec.decode::<Box<std::path::Path>>(&bytes).is_err());
        assert!(codec.decode::<Vec<u8>>(&bytes).is_err());
        assert!(codec.decode::<Vec<u64>>(&bytes).is_err());
        assert!(codec.decode::<Vec<()>>(&bytes).is_err());
        assert!(codec.decode::<Vec<Hollow>>(&bytes).is_err());
        assert!(codec.decode::<HashMap<String, u8>>(&bytes).is_err());
        assert!(codec.decode::<BTreeMap<u8, ()>>(&bytes).is_err());
        assert!(codec.decode::<Vec<Vec<Vec<u8>>>>(&bytes).is_err());
        assert!(codec.decode::<Trusting>(&bytes).is_err());
    }
}

#[test]
fn nesting_without_end_is_an_error() {
    #[derive(Debug, Deserialize)]
    struct List(#[expect(dead_code, reason = "only its depth matters")] Option<Box<Self>>);

    for codec in compact() {
        for byte in 0..=255 {
            let bytes = vec![byte; 300_000];
            assert!(codec.decode::<Tree>(&bytes).is_err());
            assert!(codec.decode::<List>(&bytes).is_err());
        }
    }
    #[cfg(feature = "json")]
    {
        let bytes = r#"{"name":"","children":["#.repeat(20_000);
        assert!(Codec::Json.decode::<Tree>(bytes.as_bytes()).is_err());
    }
}

proptest! {
    #[test]
    fn random_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        for codec in BUILT_IN {
            let _ = codec.decode::<Profile>(&bytes);
            let _ = codec.decode::<Tree>(&bytes);
            let _ = codec.decode::<HashMap<String, Vec<Option<Plan>>>>(&bytes);
            let _ = codec.decode::<Vec<Vec<(u8, std::time::Duration, std::net::IpAddr)>>>(&bytes);
        }
    }
}
