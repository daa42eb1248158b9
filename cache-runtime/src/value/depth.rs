//! A guard round a `Deserializer` whose input may be hostile.
//! bincode and postcard recurse as deep as the bytes say (the process dies of stack overflow), believe announced lengths, and
//! go round once for every announced element even if an element takes no bytes.
//! Inside the guard each of these is an ordinary error.
#![cfg(any(feature = "bincode", feature = "postcard"))]

use std::cell::Cell;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

/// How deep a value may be nested; serde_json draws the same line, and 2 MiB of stack hold it in a debug build.
const DEPTH: u8 = 128;

/// What decoding may still spend.
/// An element of an honest sequence takes a byte of input, so the input's length bounds how many there are.
/// The exceptions, such as `Vec<()>`, get by with `ELEMENTS_WITHOUT_BYTES`.
pub(crate) struct Allowance {
    elements: Cell<usize>,
}

const ELEMENTS_WITHOUT_BYTES: usize = 1024;

impl Allowance {
    /// For an input of so many bytes.
    pub(crate) fn for_input(bytes: usize) -> Self {
        Self {
            elements: Cell::new(bytes.saturating_add(ELEMENTS_WITHOUT_BYTES)),
        }
    }

    fn spend<E: Error>(&self, elements: usize) -> Result<(), E> {
        match self.elements.get().checked_sub(elements) {
            Some(left) => {
                self.elements.set(left);
                Ok(())
            }
            None => Err(too_many()),
        }
    }
}

/// This stands for a `T` that is nested at most [`DEPTH`] deep and has no more elements than `allowance` grants.
pub(crate) fn bounded<'de, T: Deserialize<'de>>(
    allowance: &Allowance,
) -> impl DeserializeSeed<'de, Value = T> {
    Bounded {
        inner: std::marker::PhantomData,
        bounds: Bounds {
            depth: DEPTH,
            length: Length::Fixed,
            allowance,
        },
    }
}

#[derive(Clone, Copy)]
struct Bounds<'a> {
    depth: u8,
    length: Length,
    allowance: &'a Allowance,
}

/// Who says how many elements the container at hand has.
#[derive(Clone, Copy, PartialEq)]
enum Length {
    /// The type, or the input, which has paid for them.
    Fixed,
    /// The input.
    Announced,
}

impl<'a> Bounds<'a> {
    #[inline]
    fn wrap<T>(self, inner: T) -> Bounded<'a, T> {
        Bounded {
            inner,
            bounds: self,
        }
    }

    /// One level down.
    /// Every container counts, `Option` too: `struct List(Option<Box<List>>)` nests through nothing else.
    #[inline]
    fn deeper<E: Error>(self, length: Length) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self {
                depth,
                length,
                ..self
            }),
            None => Err(too_deep()),
        }
    }

    /// Pays for the elements of a sequence or map: at once if the format says how many there are, as ours do, or one by one.
    #[inline]
    fn pay<E: Error>(self, elements: Option<usize>) -> Result<Self, E> {
        match (self.length, elements) {
            (Length::Announced, Some(elements)) => {
                self.allowance.spend(elements)?;
                Ok(Self {
                    length: Length::Fixed,
                    ..self
                })
            }
            (Length::Announced, None) | (Length::Fixed, _) => Ok(self),
        }
    }

    #[inline]
    fn pay_for_one<E: Error>(self) -> Result<(), E> {
        match self.length {
            Length::Announced => self.allowance.spend(1),
            Length::Fixed => Ok(()),
        }
    }
}

#[cold]
fn too_deep<E: Error>() -> E {
    E::custom("nested too deep")
}

#[cold]
fn too_many<E: Error>() -> E {
    E::custom("more elements than the input has bytes")
}

/// Anything of serde's, within bounds.
struct Bounded<'a, T> {
    inner: T,
    bounds: Bounds<'a>,
}

macro_rules! leaves {
    ($($asked:ident)*) => { $(
        #[inline]
        fn $asked<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$asked(visitor)
        }
    )* };
}

macro_rules! containers {
    ($length:ident: $($asked:ident($($argument:ident: $type:ty),*))*) => { $(
        #[inline]
        fn $asked<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let bounds = self.bounds.deeper(Length::$length)?;
            self.inner.$asked($($argument,)* bounds.wrap(visitor))
        }
    )* };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Bounded<'_, D> {
    type Error = D::Error;

    leaves! {
        deserialize_bool deserialize_char deserialize_f32 deserialize_f64
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_str deserialize_bytes deserialize_unit
    }

    containers! { Announced:
        deserialize_any()
        deserialize_ignored_any()
        deserialize_identifier()
        deserialize_seq()
        deserialize_map()
    }

    containers! { Fixed:
        deserialize_option()
        deserialize_newtype_struct(name: &'static str)
        deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    /// Asks for a borrowed string: bincode's owned one is allocated, at the announced length, before the bytes are looked for.
    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_str(visitor)
    }

    /// As with strings.
    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visits {
    ($($visit:ident($type:ty))*) => { $(
        #[inline]
        fn $visit<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$visit(value)
        }
    )* };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Bounded<'_, V> {
    type Value = V::Value;

    visits! {
        visit_bool(bool) visit_char(char) visit_f32(f32) visit_f64(f64)
        visit_i8(i8) visit_i16(i16) visit_i32(i32) visit_i64(i64) visit_i128(i128)
        visit_u8(u8) visit_u16(u16) visit_u32(u32) visit_u64(u64) visit_u128(u128)
        visit_str(&str) visit_borrowed_str(&'de str) visit_string(String)
        visit_bytes(&[u8]) visit_borrowed_bytes(&'de [u8]) visit_byte_buf(Vec<u8>)
    }

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    #[inline]
    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    #[inline]
    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(self.bounds.wrap(deserializer))
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(self.bounds.wrap(inner))
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let bounds = self.bounds.pay(access.size_hint())?;
        self.inner.visit_seq(bounds.wrap(access))
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let bounds = self.bounds.pay(access.size_hint())?;
        self.inner.visit_map(bounds.wrap(access))
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(self.bounds.wrap(access))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Bounded<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(self.bounds.wrap(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let element = self.inner.next_element_seed(self.bounds.wrap(seed))?;
        if element.is_some() {
            self.bounds.pay_for_one()?;
        }
        Ok(element)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let key = self.inner.next_key_seed(self.bounds.wrap(seed))?;
        if key.is_some() {
            self.bounds.pay_for_one()?;
        }
        Ok(key)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(self.bounds.wrap(seed))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'a, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Bounded<'a, A> {
    type Error = A::Error;
    type Variant = Bounded<'a, A::Variant>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let bounds = self.bounds;
        let (value, variant) = self.inner.variant_seed(bounds.wrap(seed))?;
        Ok((value, bounds.wrap(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(self.bounds.wrap(seed))
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, self.bounds.wrap(visitor))
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, self.bounds.wrap(visitor))
    }
}

#[cfg(test)]
mod tests;
