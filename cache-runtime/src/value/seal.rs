//! Encryption at rest: XChaCha20-Poly1305 over the payload of an entry, bound to everything that stands round it.
//!
//! Who can write to Redis but has no key can neither read a value, nor make one, nor put an entry under another key, nor
//! alter its expiry, type, stamp or tags: each is a miss. Not bound are the generations, which a script puts in after the
//! encryption; that loses nothing, because who can write to Redis can as well set a generation back to what an older entry
//! of the same key names. So an entry can be put back until it expires, and no later.

use std::fmt;

use chacha20poly1305::aead::{Aead, AeadInOut, Generate, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use super::envelope::{Bound, Sealed};

/// The bytes of a key.
const KEY: usize = 32;
const NONCE: usize = 24;

const BAD_LIST: &str = "expected `id:key`, or several separated by `,`, the id a number and the key 32 bytes as 64 hexadecimal digits or as base64";

/// The keys of a cache, each under its id: the first is used to write, all to read.
#[derive(Clone, Default)]
pub(crate) struct Keys(Vec<(u32, XChaCha20Poly1305)>);

impl Keys {
    /// Reads `2:<key>,1:<key>`, each key 32 bytes in hexadecimal digits or base64.
    ///
    /// # Errors
    /// What was expected, without a piece of the text.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut keys = Self::default();
        for part in text.split(',') {
            let (id, key) = part.split_once(':').ok_or(BAD_LIST)?;
            let key = key_bytes(key.trim()).ok_or(BAD_LIST)?;
            keys.add(number(id.trim()).ok_or(BAD_LIST)?, &key)?;
        }
        Ok(keys)
    }

    /// A further key.
    ///
    /// # Errors
    /// A key of another length than 32 bytes, or an id that is taken.
    pub(crate) fn add(&mut self, id: u32, key: &[u8]) -> Result<(), &'static str> {
        let cipher = XChaCha20Poly1305::new_from_slice(key);
        let cipher = cipher.map_err(|_| "expected a key of 32 bytes, random ones")?;
        if self.0.iter().any(|(known, _)| *known == id) {
            return Err("two keys have one id; give each its own");
        }
        self.0.push((id, cipher));
        Ok(())
    }

    /// Encrypts what stands in `out` from `start` on, and appends what it takes to open it.
    ///
    /// # Errors
    /// No random bytes could be had. What was to be encrypted is still there.
    pub(crate) fn seal(
        &self,
        bound: Bound<'_>,
        out: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), Sealed> {
        let (id, cipher) = self.0.first().ok_or(Sealed::Tampered)?;
        let nonce = XNonce::try_generate().map_err(|_| Sealed::Tampered)?;
        let bound = bound.under(*id);
        let plain = out.get_mut(start..).unwrap_or_default();
        let tag = cipher
            .encrypt_inout_detached(&nonce, &bound, plain.into())
            .map_err(|_| Sealed::Tampered)?;
        out.extend_from_slice(&tag);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&id.to_le_bytes());
        Ok(())
    }

    /// What was sealed, if it was sealed by one of these keys, for this place.
    pub(crate) fn open(&self, bound: Bound<'_>, sealed: &[u8]) -> Result<Vec<u8>, Sealed> {
        let (sealed, id) = sealed.split_last_chunk().ok_or(Sealed::Tampered)?;
        let (sealed, nonce) = sealed.split_last_chunk::<NONCE>().ok_or(Sealed::Tampered)?;
        let id = u32::from_le_bytes(*id);
        let known = self.0.iter().find(|(known, _)| *known == id);
        let (_, cipher) = known.ok_or(Sealed::Under(id))?;
        let payload = Payload {
            msg: sealed,
            aad: &bound.under(id),
        };
        cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| Sealed::Tampered)
    }
}

/// By their ids: which keys a process has is worth knowing, and tells nothing of them.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = self.0.iter().map(|(id, _)| (id, format_args!("***")));
        f.debug_map().entries(hidden).finish()
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// 32 bytes as 64 hexadecimal digits, or as 43 or 44 characters of base64, in either alphabet.
fn key_bytes(text: &str) -> Option<[u8; KEY]> {
    if text.len() == 2 * KEY {
        return collect(text.chars().map(|digit| digit.to_digit(16)), 4);
    }
    let symbols = text.strip_suffix('=').unwrap_or(text);
    let symbol = |symbol: char| match symbol {
        'A'..='Z' => Some(u32::from(symbol) - u32::from('A')),
        'a'..='z' => Some(u32::from(symbol) - u32::from('a') + 26),
        '0'..='9' => Some(u32::from(symbol) - u32::from('0') + 52),
        '+' | '-' => Some(62),
        '/' | '_' => Some(63),
        _ => None,
    };
    collect(symbols.chars().map(symbol), 6)
}

/// Bits into bytes; what is left over at the end is less than a byte, and 0.
fn collect(digits: impl Iterator<Item = Option<u32>>, width: u32) -> Option<[u8; KEY]> {
    let mut bytes = Vec::with_capacity(KEY);
    let (mut bits, mut count) = (0, 0);
    for digit in digits {
        bits = (bits << width) | digit?;
        count += width;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    let whole = bits == 0 && count < width;
    bytes.try_into().ok().filter(|_| whole)
}

#[cfg(test)]
mod tests;
