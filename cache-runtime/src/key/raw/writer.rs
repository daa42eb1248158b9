//! The serde half of `key::raw`: what is one value is noted, everything else is not.

use std::fmt;

use serde::ser::{self, Impossible, Serialize};

use super::{FALSE, FLOAT, NATURAL, NEGATIVE, NOTHING, Notebook, STRING, TRUE, Unfit, WORD};
use crate::key::text::may_read_as_another_value;

/// Tells of whatever serde describes.
pub(super) struct Noter<'a, N> {
    book: &'a mut N,
    /// Whether the argument's type is always a string.
    is_string: fn() -> bool,
    /// Whether it is inside of a `Some`, where nothing is something else.
    is_some: bool,
}

impl<'a, N> Noter<'a, N> {
    #[inline(always)]
    pub(super) fn new(book: &'a mut N, is_string: fn() -> bool) -> Self {
        Self {
            book,
            is_string,
            is_some: false,
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it cannot be noted")
    }
}

impl std::error::Error for Unfit {}

impl ser::Error for Unfit {
    // What is wrong is said by whoever writes the text.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

macro_rules! naturals {
    ($($method:ident($integer:ty))*) => {$(
        #[inline]
        fn $method(self, value: $integer) -> Result<(), Unfit> {
            self.book.number(NATURAL, u64::from(value))
        }
    )*};
}

macro_rules! integers {
    ($($method:ident($integer:ty))*) => {$(
        #[inline]
        fn $method(self, value: $integer) -> Result<(), Unfit> {
            let kind = if value < 0 { NEGATIVE } else { NATURAL };
            self.book.number(kind, i64::from(value).cast_unsigned())
        }
    )*};
}

macro_rules! unfit {
    ($($method:ident($($argument:ty),*) -> $kind:ident;)*) => {$(
        #[inline]
        fn $method(self, $(_: $argument),*) -> Result<$kind<(), Unfit>, Unfit> {
            Err(Unfit)
        }
    )*};
}

impl<N: Notebook> ser::Serializer for Noter<'_, N> {
    type Ok = ();
    type Error = Unfit;
    type SerializeSeq = Impossible<(), Unfit>;
    type SerializeTuple = Impossible<(), Unfit>;
    type SerializeTupleStruct = Impossible<(), Unfit>;
    type SerializeTupleVariant = Impossible<(), Unfit>;
    type SerializeMap = Impossible<(), Unfit>;
    type SerializeStruct = Impossible<(), Unfit>;
    type SerializeStructVariant = Impossible<(), Unfit>;

    naturals! { serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) }
    integers! { serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) }
    unfit! {
        serialize_seq(Option<usize>) -> Impossible;
        serialize_tuple(usize) -> Impossible;
        serialize_tuple_struct(&'static str, usize) -> Impossible;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Impossible;
        serialize_map(Option<usize>) -> Impossible;
        serialize_struct(&'static str, usize) -> Impossible;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Impossible;
    }

    fn serialize_i128(self, _: i128) -> Result<(), Unfit> {
        Err(Unfit)
    }

    fn serialize_u128(self, _: u128) -> Result<(), Unfit> {
        Err(Unfit)
    }

    fn serialize_bool(self, value: bool) -> Result<(), Unfit> {
        self.book.mark(if value { TRUE } else { FALSE })
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unfit> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), Unfit> {
        self.book.number(FLOAT, value.to_bits())
    }

    fn serialize_char(self, value: char) -> Result<(), Unfit> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Unfit> {
        let word = may_read_as_another_value(value) && !(self.is_string)();
        self.book.string(if word { WORD } else { STRING }, value)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Unfit> {
        Err(Unfit)
    }

    fn serialize_none(self) -> Result<(), Unfit> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unfit> {
        value.serialize(Self {
            is_some: true,
            ..self
        })
    }

    fn serialize_unit(self) -> Result<(), Unfit> {
        match self.is_some {
            true => Err(Unfit),
            false => self.book.mark(NOTHING),
        }
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unfit> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Unfit> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unfit> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Unfit> {
        Err(Unfit)
    }
}
