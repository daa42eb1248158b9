//! How a value becomes bytes and comes back.
//! Decoding trusts nothing: whatever the bytes are, the answer is a value or an error, never a panic, an abort or an allocation out of proportion to what arrived.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(any(feature = "bincode", feature = "postcard"))]
use super::depth::{self, Allowance};
#[cfg(any(feature = "bincode", feature = "postcard", feature = "json"))]
use super::weight::{Form, loss_of};

/// How values are written into Redis.
///
/// Every entry says which codec wrote it, and only the codecs built into a process can be read by it: to switch, first deploy
/// with the new codec built in beside the old one, then change the setting.
/// Entries in another codec than the one that is built in are misses and get replaced, so switching at once costs only loads.
///
/// Each variant exists if the cargo feature of its name is on.
///
/// ```
/// use cache_runtime::Codec;
///
/// # #[cfg(feature = "bincode")]
/// assert_eq!("bincode".parse(), Ok(Codec::Bincode));
/// assert!("yaml".parse::<Codec>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Codec {
    /// Compact and fast; cannot carry `#[serde(flatten)]`, `untagged`, `tag = ".."` or `skip_serializing_if`.
    ///
    /// bincode works and its format is frozen, but it is [no longer maintained](https://rustsec.org/advisories/RUSTSEC-2025-0141.html),
    /// and `cargo audit` and `cargo deny` say so.
    /// Whoever minds turns the default features off and uses `postcard`, which is as fast, as compact and has the same limits.
    #[cfg(feature = "bincode")]
    Bincode,
    /// Compact and fast, with the same limits as bincode; maintained.
    #[cfg(feature = "postcard")]
    Postcard,
    /// For values that other languages read, and for types the compact codecs cannot carry; two to three times as slow and as large.
    ///
    /// Cannot carry infinite and NaN floats, and no map whose keys are not strings or numbers.
    #[cfg(feature = "json")]
    Json,
}

/// Every codec there is, built in or not.
const KNOWN: [&str; 3] = ["bincode", "postcard", "json"];

/// The codecs of this build, in order of preference.
const BUILT_IN: &[Codec] = &[
    #[cfg(feature = "bincode")]
    Codec::Bincode,
    #[cfg(feature = "postcard")]
    Codec::Postcard,
    #[cfg(feature = "json")]
    Codec::Json,
];

impl Codec {
    /// The first of bincode, postcard and JSON that is built in.
    pub const DEFAULT: Option<Self> = BUILT_IN.first().copied();

    /// What stands for this codec in an envelope.
    pub(crate) fn id(self) -> u8 {
        match self {
            #[cfg(feature = "bincode")]
            Self::Bincode => 1,
            #[cfg(feature = "postcard")]
            Self::Postcard => 2,
            #[cfg(feature = "json")]
            Self::Json => 3,
        }
    }

    /// The codec an envelope names, if it is built in.
    pub(crate) fn from_id(id: u8) -> Option<Self> {
        BUILT_IN.iter().copied().find(|codec| codec.id() == id)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "bincode")]
            Self::Bincode => "bincode",
            #[cfg(feature = "postcard")]
            Self::Postcard => "postcard",
            #[cfg(feature = "json")]
            Self::Json => "json",
        }
    }

    /// Whether the bytes say what they are, so that the type may ask (`untagged`, `flatten`, `serde_json::Value`).
    pub(crate) fn is_self_describing(self) -> bool {
        match self {
            #[cfg(feature = "bincode")]
            Self::Bincode => false,
            #[cfg(feature = "postcard")]
            Self::Postcard => false,
            #[cfg(feature = "json")]
            Self::Json => true,
        }
    }

    /// Appends the encoded value to `out`, or leaves `out` as it was.
    ///
    /// A value that would come back as another one is refused: see `weight::Loss`.
    #[cfg_attr(
        not(any(feature = "bincode", feature = "postcard", feature = "json")),
        expect(
            unused_variables,
            unreachable_code,
            reason = "there is no codec to call this on"
        )
    )]
    pub(crate) fn encode<T: Serialize + ?Sized>(
        self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let start = out.len();
        let encoded: Result<(), Box<str>> = match self {
            #[cfg(feature = "bincode")]
            Self::Bincode => encode_bincode(value, out),
            #[cfg(feature = "postcard")]
            Self::Postcard => encode_postcard(value, out),
            #[cfg(feature = "json")]
            Self::Json => encode_json(value, out),
        };
        if encoded.is_err() {
            out.truncate(start);
        }
        encoded.map_err(|reason| CodecError::Encode {
            codec: self.name(),
            reason,
        })
    }

    /// Reads a value that takes up all of `bytes`.
    #[cfg_attr(
        not(any(feature = "bincode", feature = "postcard", feature = "json")),
        expect(
            unused_variables,
            unreachable_code,
            reason = "there is no codec to call this on"
        )
    )]
    pub(crate) fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, CodecError> {
        let decoded: Result<T, Box<str>> = match self {
            #[cfg(feature = "bincode")]
            Self::Bincode => decode_bincode(bytes),
            #[cfg(feature = "postcard")]
            Self::Postcard => decode_postcard(bytes),
            #[cfg(feature = "json")]
            Self::Json => decode_json(bytes),
        };
        decoded.map_err(|reason| CodecError::Decode {
            codec: self.name(),
            reason,
        })
    }

    /// Whether `encoded` can be read back, and to the same length: a type may serialize what it does not deserialize.
    ///
    /// Lengths are compared, not bytes, since a `HashMap` comes back in another order.
    pub(crate) fn round_trips<T: Serialize + DeserializeOwned>(
        self,
        encoded: &[u8],
    ) -> Result<(), CodecError> {
        let value: T = self.decode(encoded)?;
        let mut again = Vec::with_capacity(encoded.len());
        self.encode(&value, &mut again)?;
        if again.len() == encoded.len() {
            Ok(())
        } else {
            Err(CodecError::Changed { codec: self.name() })
        }
    }
}

#[cfg(feature = "bincode")]
fn encode_bincode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), Box<str>> {
    refuse_loss(value, Form::Compact)?;
    match bincode::serde::encode_into_std_write(value, out, bincode::config::standard()) {
        Ok(_) => Ok(()),
        Err(bincode::error::EncodeError::OtherString(message)) => Err(discreet(&message)),
        Err(error) => Err(error.to_string().into()),
    }
}

/// Without bincode's own limit, which must be known at compile time: inside the guard nothing is allocated before its bytes were seen.
#[cfg(feature = "bincode")]
fn decode_bincode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Box<str>> {
    let allowance = Allowance::for_input(bytes.len());
    let standard = bincode::config::standard();
    match bincode::serde::seed_decode_from_slice(depth::bounded(&allowance), bytes, standard) {
        Ok((value, consumed)) if consumed == bytes.len() => Ok(value),
        Ok(_) => Err(TRAILING.into()),
        Err(bincode::error::DecodeError::OtherString(message)) => Err(discreet(&message)),
        Err(error) => Err(error.to_string().into()),
    }
}

#[cfg(feature = "postcard")]
fn encode_postcard<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), Box<str>> {
    refuse_loss(value, Form::Compact)?;
    postcard::serialize_with_flavor(value, Appended(out)).map_err(|error| error.to_string().into())
}

/// postcard's own ways to append either lose the buffer on an error or write byte by byte.
#[cfg(feature = "postcard")]
struct Appended<'a>(&'a mut Vec<u8>);

#[cfg(feature = "postcard")]
impl postcard::ser_flavors::Flavor for Appended<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "postcard")]
fn decode_postcard<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Box<str>> {
    use serde::de::DeserializeSeed;

    let allowance = Allowance::for_input(bytes.len());
    let mut input = postcard::Deserializer::from_bytes(bytes);
    let value = depth::bounded(&allowance)
        .deserialize(&mut input)
        .map_err(|error: postcard::Error| error.to_string())?;
    match input.finalize() {
        Ok([]) => Ok(value),
        _ => Err(TRAILING.into()),
    }
}

#[cfg(any(feature = "bincode", feature = "postcard", feature = "json"))]
fn refuse_loss<T: Serialize + ?Sized>(value: &T, form: Form) -> Result<(), Box<str>> {
    match loss_of(value, form) {
        Some(loss) => Err(loss.to_string().into()),
        None => Ok(()),
    }
}

#[cfg(feature = "json")]
fn encode_json<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), Box<str>> {
    refuse_loss(value, Form::Readable)?;
    serde_json::to_writer(out, value).map_err(|error| json_reason(&error))
}

/// serde_json counts its own depth, allocates nothing unseen and refuses trailing text.
#[cfg(feature = "json")]
fn decode_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Box<str>> {
    serde_json::from_slice(bytes).map_err(|error| json_reason(&error))
}

#[cfg(feature = "json")]
fn json_reason(error: &serde_json::Error) -> Box<str> {
    match error.classify() {
        serde_json::error::Category::Data => discreet(&error.to_string()),
        serde_json::error::Category::Io
        | serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof => error.to_string().into(),
    }
}

#[cfg(any(feature = "bincode", feature = "postcard"))]
const TRAILING: &str = "bytes are left over after the value";

/// What a type says on refusing often quotes the value ("invalid type: string \"hunter2\", expected u64"), and errors get logged.
/// Only what speaks of the type passes.
#[cfg(any(feature = "bincode", feature = "json"))]
fn discreet(message: &str) -> Box<str> {
    const SPEAKS_OF_THE_TYPE: [&str; 8] = [
        "missing field",
        "duplicate field",
        "nested too deep",
        "more elements than",
        "can only flatten",
        "cannot serialize tagged",
        "the enum variant",
        "lock poison",
    ];
    if SPEAKS_OF_THE_TYPE
        .iter()
        .any(|start| message.starts_with(start))
    {
        return message.into();
    }
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("not what the type takes, expected {expected}").into(),
        None => "the type refused it".into(),
    }
}

/// Why a value could not be encoded or decoded; quotes nothing of the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CodecError {
    Encode {
        codec: &'static str,
        reason: Box<str>,
    },
    Decode {
        codec: &'static str,
        reason: Box<str>,
    },
    /// Read back, it was another value.
    Changed { codec: &'static str },
    /// An envelope holds 255 generations.
    Generations(usize),
}

impl CodecError {
    /// For a type that asks what comes next, which this codec cannot say.
    pub(crate) fn needs_self_describing(codec: Codec) -> Self {
        Self::Encode {
            codec: codec.name(),
            reason: "the type is, or holds, `untagged`, `tag`, `flatten` or a JSON value; use the codec `json`".into(),
        }
    }
}

impl CodecError {
    /// For a build without any codec.
    pub(crate) fn no_codec() -> Self {
        Self::Encode {
            codec: "no codec",
            reason: "none is built in; enable the feature `bincode`, `postcard` or `json`".into(),
        }
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode { codec, reason } => write!(out, "{codec} cannot encode this: {reason}"),
            Self::Decode { codec, reason } => write!(out, "{codec} cannot decode this: {reason}"),
            Self::Changed { codec } => write!(out, "{codec} gives back another value"),
            Self::Generations(count) => write!(out, "{count} generations are too many"),
        }
    }
}

impl std::error::Error for CodecError {}

impl fmt::Display for Codec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Codec {
    type Err = UnknownCodec;

    fn from_str(name: &str) -> Result<Self, UnknownCodec> {
        let built_in = BUILT_IN.iter().copied().find(|codec| codec.name() == name);
        built_in.ok_or_else(|| UnknownCodec { name: name.into() })
    }
}

/// The name of no codec of this build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCodec {
    name: Box<str>,
}

impl fmt::Display for UnknownCodec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        if KNOWN.contains(&&**name) {
            return write!(
                out,
                "codec `{name}` is not built in; turn on the feature `{name}`"
            );
        }
        write!(
            out,
            "`{name}` is not a codec; there are `bincode`, `postcard` and `json`"
        )
    }
}

impl std::error::Error for UnknownCodec {}

#[cfg(test)]
mod tests;
