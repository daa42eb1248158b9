//! A serializer that writes nothing and counts what it is shown.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

use super::{Form, Loss};

const HANDLE: usize = 24; // A pointer, a length and a capacity.
const HASH_TABLE_ENTRY: usize = 16;

/// What an allocation takes: a header of 8 in multiples of 16, at least 32, as glibc does it.
fn allocation(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        _ => bytes.saturating_add(8 + 15).max(32) & !15,
    }
}

pub(super) struct Survey {
    form: Form,
    /// Scalars and handles of the collection at hand, or of the value outside of any.
    pub(super) inline: usize,
    pub(super) heap: usize,
    /// The next thing said is what an `Option` holds.
    in_some: bool,
    pub(super) loss: Option<Loss>,
}

impl Survey {
    pub(super) fn new(form: Form) -> Self {
        Self {
            form,
            inline: 0,
            heap: 0,
            in_some: false,
            loss: None,
        }
    }

    #[inline]
    fn scalar(&mut self, width: usize) -> Result<(), Unserializable> {
        self.in_some = false;
        self.inline = self.inline.saturating_add(width);
        Ok(())
    }

    #[inline]
    fn null(&mut self, width: usize) -> Result<(), Unserializable> {
        if self.in_some {
            self.lose(Loss::AmbiguousNull);
        }
        self.scalar(width)
    }

    #[inline]
    fn float(&mut self, is_finite: bool, width: usize) -> Result<(), Unserializable> {
        if !is_finite {
            self.lose(Loss::AmbiguousNull);
        }
        self.scalar(width)
    }

    #[inline]
    fn text(&mut self, length: usize) -> Result<(), Unserializable> {
        self.heap = self.heap.saturating_add(allocation(length));
        self.scalar(HANDLE)
    }

    /// Each form loses in its own way: text has the names of fields, machine form has no `null`.
    fn lose(&mut self, loss: Loss) {
        let loses = match loss {
            Loss::LeftOut(_) => self.form == Form::Compact,
            Loss::AmbiguousNull => self.form == Form::Readable,
        };
        if loses {
            self.loss.get_or_insert(loss);
        }
    }

    #[inline]
    fn fields(&mut self, tag: usize) -> Result<Parts<'_>, Unserializable> {
        self.scalar(tag)?;
        Ok(Parts::new(self, None))
    }

    #[inline]
    fn elements(&mut self) -> Result<Parts<'_>, Unserializable> {
        self.scalar(HANDLE)?;
        let around = std::mem::take(&mut self.inline);
        Ok(Parts::new(self, Some(around)))
    }
}

/// What a value is made of, while it is being counted.
pub(super) struct Parts<'a> {
    survey: &'a mut Survey,
    /// For elements, which live in an allocation of their own: the `inline` of what they are in.
    around: Option<usize>,
    entries: usize,
}

impl<'a> Parts<'a> {
    #[inline]
    fn new(survey: &'a mut Survey, around: Option<usize>) -> Self {
        Self {
            survey,
            around,
            entries: 0,
        }
    }

    #[inline]
    fn part<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), Unserializable> {
        self.survey.in_some = false;
        part.serialize(&mut *self.survey)
    }

    #[inline]
    fn close(self) -> Result<(), Unserializable> {
        let Some(around) = self.around else {
            return Ok(());
        };
        let elements = std::mem::replace(&mut self.survey.inline, around);
        let table = match self.entries {
            0 => elements,
            entries => elements
                .saturating_add(elements / 2)
                .saturating_add(entries.saturating_mul(HASH_TABLE_ENTRY)),
        };
        self.survey.heap = self.survey.heap.saturating_add(allocation(table));
        Ok(())
    }
}

macro_rules! scalars {
    ($($serialize:ident: $type:ty)*) => { $(
        #[inline]
        fn $serialize(self, _: $type) -> Result<(), Unserializable> {
            self.scalar(size_of::<$type>())
        }
    )* };
}

impl<'a> Serializer for &'a mut Survey {
    type Ok = ();
    type Error = Unserializable;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    scalars! {
        serialize_bool: bool serialize_char: char
        serialize_i8: i8 serialize_i16: i16 serialize_i32: i32 serialize_i64: i64 serialize_i128: i128
        serialize_u8: u8 serialize_u16: u16 serialize_u32: u32 serialize_u64: u64 serialize_u128: u128
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), Unserializable> {
        self.float(value.is_finite(), 4)
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Unserializable> {
        self.float(value.is_finite(), 8)
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Unserializable> {
        self.text(value.len())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unserializable> {
        self.text(value.len())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Unserializable> {
        let mut length = Length(0);
        fmt::write(&mut length, format_args!("{value}")).map_err(|_| Unserializable)?;
        self.text(length.0)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Unserializable> {
        self.null(16)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unserializable> {
        self.scalar(8)?;
        self.in_some = true;
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Unserializable> {
        self.null(0)
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unserializable> {
        self.null(0)
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
    ) -> Result<(), Unserializable> {
        self.scalar(8)
    }

    /// Transparent, `in_some` included.
    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unserializable> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unserializable> {
        self.scalar(8)?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Unserializable> {
        self.elements()
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Unserializable> {
        self.elements()
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Unserializable> {
        self.fields(0)
    }

    #[inline]
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Unserializable> {
        self.fields(0)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Unserializable> {
        self.fields(0)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Unserializable> {
        self.fields(8)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Unserializable> {
        self.fields(8)
    }

    fn is_human_readable(&self) -> bool {
        self.form == Form::Readable
    }
}

macro_rules! parts {
    ($($of:ident: $part:ident)*) => { $(
        impl ser::$of for Parts<'_> {
            type Ok = ();
            type Error = Unserializable;

            #[inline]
            fn $part<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), Unserializable> {
                self.part(part)
            }

            #[inline]
            fn end(self) -> Result<(), Unserializable> {
                self.close()
            }
        }
    )* };
}

macro_rules! named_parts {
    ($($of:ident)*) => { $(
        impl ser::$of for Parts<'_> {
            type Ok = ();
            type Error = Unserializable;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _: &'static str,
                field: &T,
            ) -> Result<(), Unserializable> {
                self.part(field)
            }

            fn skip_field(&mut self, field: &'static str) -> Result<(), Unserializable> {
                self.survey.lose(Loss::LeftOut(field));
                Ok(())
            }

            #[inline]
            fn end(self) -> Result<(), Unserializable> {
                self.close()
            }
        }
    )* };
}

parts! {
    SerializeSeq: serialize_element
    SerializeTuple: serialize_element
    SerializeTupleStruct: serialize_field
    SerializeTupleVariant: serialize_field
}

named_parts! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Unserializable;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unserializable> {
        self.entries = self.entries.saturating_add(1);
        self.part(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unserializable> {
        self.part(value)
    }

    #[inline]
    fn end(self) -> Result<(), Unserializable> {
        self.close()
    }
}

struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.saturating_add(text.len());
        Ok(())
    }
}

/// The value's own `Serialize` gave up.
#[derive(Debug)]
pub(super) struct Unserializable;

impl fmt::Display for Unserializable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the value does not serialize")
    }
}

impl std::error::Error for Unserializable {}

impl ser::Error for Unserializable {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}
