//! The serde half of `key::text`: one method per kind of value, each a line of the grammar.

use std::fmt::Write as _;

use serde::ser::{self, Error as _, Serialize};

use super::{Unwritable, hex, write_word};

/// Appends whatever serde describes.
pub(super) struct Writer<'a>(pub(super) &'a mut String);

macro_rules! integers {
    ($($method:ident($integer:ty))*) => {$(
        fn $method(self, value: $integer) -> Result<(), Unwritable> {
            self.0.push_str(itoa::Buffer::new().format(value));
            Ok(())
        }
    )*};
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Items<'a>;
    type SerializeStructVariant = Items<'a>;

    integers! {
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
    }

    fn serialize_bool(self, value: bool) -> Result<(), Unwritable> {
        self.0.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unwritable> {
        self.serialize_f64(f64::from(value))
    }

    // `{:?}` gives the shortest text that reads back as the same number, and always a point or an exponent.
    fn serialize_f64(self, value: f64) -> Result<(), Unwritable> {
        write!(self.0, "{value:?}").map_err(Unwritable::custom)
    }

    fn serialize_char(self, value: char) -> Result<(), Unwritable> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Unwritable> {
        write_word(self.0, value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unwritable> {
        self.0.push('$');
        for byte in value {
            self.0.extend(hex(*byte));
        }
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Unwritable> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        let start = self.0.len();
        value.serialize(Writer(self.0))?;
        if self.0.get(start..).unwrap_or_default().starts_with('~') {
            self.0.push('~');
        }
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Unwritable> {
        self.0.push('~');
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Unwritable> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Unwritable> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        write_word(self.0, variant);
        let mut items = Items::open(self.0);
        items.item(value)?;
        items.close()
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Items<'a>, Unwritable> {
        Ok(Items::open(self.0))
    }

    fn serialize_tuple(self, _len: usize) -> Result<Items<'a>, Unwritable> {
        Ok(Items::open(self.0))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<Items<'a>, Unwritable> {
        Ok(Items::open(self.0))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Items<'a>, Unwritable> {
        write_word(self.0, variant);
        Ok(Items::open(self.0))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Entries<'a>, Unwritable> {
        Ok(Entries {
            out: self.0,
            written: Vec::new(),
            key: None,
        })
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Items<'a>, Unwritable> {
        Ok(Items::open(self.0))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Items<'a>, Unwritable> {
        write_word(self.0, variant);
        Ok(Items::open(self.0))
    }
}

/// A list or the fields of a struct, between parentheses.
pub(super) struct Items<'a> {
    out: &'a mut String,
    written: usize,
}

impl<'a> Items<'a> {
    fn open(out: &'a mut String) -> Self {
        out.push('(');
        Self { out, written: 0 }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.separate();
        value.serialize(Writer(self.out))
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Unwritable> {
        self.separate();
        write_word(self.out, name);
        self.out.push('=');
        value.serialize(Writer(self.out))
    }

    fn separate(&mut self) {
        if self.written > 0 {
            self.out.push(',');
        }
        self.written += 1;
    }

    fn close(self) -> Result<(), Unwritable> {
        self.out.push(')');
        Ok(())
    }

    fn close_fields(self) -> Result<(), Unwritable> {
        if self.written == 0 {
            self.out.push('=');
        }
        self.close()
    }

    // `A(1)` is the newtype variant.
    fn close_variant(self) -> Result<(), Unwritable> {
        if self.written == 1 {
            self.out.push(',');
        }
        self.close()
    }
}

macro_rules! items {
    ($($kind:ident :: $method:ident($($name:ident)?) -> $item:ident, $close:ident;)*) => {$(
        impl ser::$kind for Items<'_> {
            type Ok = ();
            type Error = Unwritable;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &T,
            ) -> Result<(), Unwritable> {
                self.$item($($name,)? value)
            }

            fn end(self) -> Result<(), Unwritable> {
                self.$close()
            }
        }
    )*};
}

items! {
    SerializeSeq::serialize_element() -> item, close;
    SerializeTuple::serialize_element() -> item, close;
    SerializeTupleStruct::serialize_field() -> item, close;
    SerializeTupleVariant::serialize_field() -> item, close_variant;
    SerializeStruct::serialize_field(name) -> field, close_fields;
    SerializeStructVariant::serialize_field(name) -> field, close_fields;
}

/// A map, whose entries have to be seen before the first can be written.
pub(super) struct Entries<'a> {
    out: &'a mut String,
    written: Vec<(String, String)>,
    key: Option<String>,
}

impl ser::SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        let mut text = String::new();
        key.serialize(Writer(&mut text))?;
        match self.key.replace(text) {
            None => Ok(()),
            Some(_) => Err(Unwritable::custom("a map with a key without a value")),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        let Some(key) = self.key.take() else {
            return Err(Unwritable::custom("a map with a value without a key"));
        };
        let mut text = String::new();
        value.serialize(Writer(&mut text))?;
        self.written.push((key, text));
        Ok(())
    }

    fn end(mut self) -> Result<(), Unwritable> {
        if self.key.is_some() {
            return Err(Unwritable::custom("a map with a key without a value"));
        }
        // Stable: a map that names a key twice differs from the one that names it in another order.
        self.written.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut separator = '(';
        for (key, value) in &self.written {
            self.out.push(separator);
            self.out.push_str(key);
            self.out.push('=');
            self.out.push_str(value);
            separator = ',';
        }
        self.out
            .push_str(if self.written.is_empty() { "(=)" } else { ")" });
        Ok(())
    }
}
