//! What a type may ask of its deserializer, and what the probe answers.
//! Each answer writes the question down first, with every name and width in it.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::{Kind, Probe, Refused};

/// What types that read themselves from text are likely to take.
const TEXTS: [&str; 12] = [
    "a",
    "2000-01-01T00:00:00Z",
    "1",
    "00000000-0000-4000-8000-000000000001",
    "2000-01-01",
    "a@example.com",
    "https://example.com/",
    "127.0.0.1",
    "00:00:00",
    "1.0.0",
    "2000-01-01T00:00:00",
    "UTC",
];

/// 16 first: UUIDs and addresses. No zeros, which C strings refuse.
const LENGTHS: [usize; 9] = [16, 1, 12, 32, 4, 8, 20, 64, 0];
const BYTES: [u8; 64] = [b'a'; 64];

macro_rules! scalars {
    ($($asked:ident $visit:ident $name:literal $answers:expr;)*) => { $(
        fn $asked<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            self.word($name);
            self.ask(Kind::Leaf, $answers.len(), visitor, |_, visitor, answer| {
                visitor.$visit(*$answers.get(answer).ok_or(Refused)?)
            })
        }
    )* };
}

impl<'de> Deserializer<'de> for &mut Probe {
    type Error = Refused;

    scalars! {
        deserialize_bool visit_bool "bool" [true, false];
        deserialize_char visit_char "char" ['a', '1'];
        deserialize_f32 visit_f32 "f32" [1.0, 0.0];
        deserialize_f64 visit_f64 "f64" [1.0, 0.0];
        deserialize_i8 visit_i8 "i8" [1, 0, 100];
        deserialize_i16 visit_i16 "i16" [1, 0, 2000];
        deserialize_i32 visit_i32 "i32" [1, 0, 2000];
        deserialize_i64 visit_i64 "i64" [1, 0, 2000];
        deserialize_i128 visit_i128 "i128" [1, 0, 2000];
        deserialize_u8 visit_u8 "u8" [1, 0, 100];
        deserialize_u16 visit_u16 "u16" [1, 0, 2000];
        deserialize_u32 visit_u32 "u32" [1, 0, 2000];
        deserialize_u64 visit_u64 "u64" [1, 0, 2000];
        deserialize_u128 visit_u128 "u128" [1, 0, 2000];
        deserialize_str visit_str "text" TEXTS;
        deserialize_string visit_str "text" TEXTS;
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.word("bytes");
        self.ask(Kind::Leaf, LENGTHS.len(), visitor, |_, visitor, answer| {
            let length = *LENGTHS.get(answer).ok_or(Refused)?;
            visitor.visit_bytes(BYTES.get(..length).ok_or(Refused)?)
        })
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.word("unit");
        self.ask(Kind::Leaf, 1, visitor, |_, visitor, _| visitor.visit_unit())
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.word("unit struct");
        self.word(name);
        self.ask(Kind::Leaf, 1, visitor, |_, visitor, _| visitor.visit_unit())
    }

    /// Something self-describing; whatever it takes will do, since nobody knows what it looks for.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.self_describing = true;
        self.word("any");
        self.ask(
            Kind::Leaf,
            6,
            visitor,
            |probe, visitor, answer| match answer {
                0 => visitor.visit_u64(1),
                1 => visitor.visit_str("1"),
                2 => visitor.visit_unit(),
                3 => visitor.visit_bool(true),
                4 => visitor.visit_seq(Elements::new(probe, 0)),
                _ => visitor.visit_map(Elements::new(probe, 0)),
            },
        )
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.self_describing = true;
        self.word("identifier");
        self.ask(Kind::Leaf, 1, visitor, |_, visitor, _| {
            visitor.visit_str("a")
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.self_describing = true;
        self.word("ignored");
        self.ask(Kind::Leaf, 1, visitor, |_, visitor, _| visitor.visit_unit())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.word("option");
        self.ask(
            Kind::MaybeEmpty,
            2,
            visitor,
            |probe, visitor, answer| match answer {
                0 => visitor.visit_some(probe),
                _ => visitor.visit_none(),
            },
        )
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.word("sequence");
        self.ask(Kind::MaybeEmpty, 2, visitor, |probe, visitor, answer| {
            visitor.visit_seq(Elements::new(probe, 1 - answer.min(1)))
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.word("map");
        self.ask(Kind::MaybeEmpty, 2, visitor, |probe, visitor, answer| {
            visitor.visit_map(Elements::new(probe, 1 - answer.min(1)))
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.word("newtype");
        self.word(name);
        self.ask(Kind::Fields, 1, visitor, |probe, visitor, _| {
            visitor.visit_newtype_struct(probe)
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.word("tuple");
        self.number(len);
        self.ask(Kind::Fields, 1, visitor, |probe, visitor, _| {
            visitor.visit_seq(Elements::new(probe, len))
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.word("tuple struct");
        self.word(name);
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.word("struct");
        self.word(name);
        self.words(fields);
        self.ask(Kind::Fields, 1, visitor, |probe, visitor, _| {
            visitor.visit_seq(Elements::new(probe, fields.len()))
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.word("enum");
        self.word(name);
        self.words(variants);
        self.ask(
            Kind::Variants,
            variants.len(),
            visitor,
            |probe, visitor, variant| {
                probe.number(variant);
                let variant = u32::try_from(variant).map_err(|_| Refused)?;
                visitor.visit_enum(Variant { probe, variant })
            },
        )
    }

    /// As the compact codecs say it.
    fn is_human_readable(&self) -> bool {
        false
    }
}

struct Elements<'a> {
    probe: &'a mut Probe,
    left: usize,
}

impl<'a> Elements<'a> {
    fn new(probe: &'a mut Probe, left: usize) -> Self {
        Self { probe, left }
    }

    /// Whether there is another element, which is then taken.
    fn take(&mut self) -> bool {
        let left = self.left;
        self.left = left.saturating_sub(1);
        left > 0
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refused> {
        match self.take() {
            true => seed.deserialize(&mut *self.probe).map(Some),
            false => Ok(None),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Elements<'_> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refused> {
        match self.take() {
            true => seed.deserialize(&mut *self.probe).map(Some),
            false => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        seed.deserialize(&mut *self.probe)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

struct Variant<'a> {
    probe: &'a mut Probe,
    variant: u32,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Refused;
    type Variant = Self;

    /// By number, as the compact codecs do.
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Refused> {
        let value =
            seed.deserialize(IntoDeserializer::<Refused>::into_deserializer(self.variant))?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        self.probe.word("unit variant");
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refused> {
        self.probe.word("newtype variant");
        seed.deserialize(self.probe)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        self.probe.word("tuple variant");
        self.probe.number(len);
        visitor.visit_seq(Elements::new(self.probe, len))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.probe.word("struct variant");
        self.probe.words(fields);
        visitor.visit_seq(Elements::new(self.probe, fields.len()))
    }
}
