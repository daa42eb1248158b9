//! Compression of what is stored in Redis: an LZ4 block behind the length that it comes to.
//!
//! Nothing that stands there is believed: the length is held against two limits before a byte is allocated for it, and the
//! block may come to that length only.

use lz4_flex::block;

use super::envelope::Rejected;

/// Whether this build can compress.
pub(crate) const BUILT_IN: bool = true;

/// Why what is compressed cannot be read.
pub(crate) const REJECTED: &str = "the entry does not decompress";

/// Below this a value is stored as it is: it would save less than what stands round it takes.
const SMALLEST: usize = 1024;

/// The longest value that is compressed, and the longest that a block may come to: 64 MiB.
pub(crate) const LONGEST: usize = 64 << 20;

/// What one byte of an LZ4 block comes to at the most, where it prolongs a match.
const RATIO: usize = 255;

const LENGTH: usize = size_of::<u32>();

/// The same in fewer bytes; `None` where it is too short or too long for that, or does not become shorter.
pub(crate) fn compress(plain: &[u8]) -> Option<Vec<u8>> {
    if !(SMALLEST..=LONGEST).contains(&plain.len()) {
        return None;
    }
    let length = u32::try_from(plain.len()).ok()?;
    let mut out = vec![0; LENGTH + block::get_maximum_output_size(plain.len())];
    let (head, rest) = out.split_first_chunk_mut::<LENGTH>()?;
    *head = length.to_le_bytes();
    let written = block::compress_into(plain, rest).ok()?;
    out.truncate(LENGTH + written);
    (out.len() < plain.len()).then_some(out)
}

/// What was compressed.
pub(crate) fn decompress(stored: &[u8]) -> Result<Vec<u8>, Rejected> {
    let (length, compressed) = announced(stored)?;
    let mut plain = vec![0; length];
    match block::decompress_into(compressed, &mut plain) {
        Ok(written) if written == length => Ok(plain),
        Ok(_) | Err(_) => Err(Rejected::Compressed),
    }
}

/// The length that a block says it comes to, where there may be room for it, and the block.
fn announced(stored: &[u8]) -> Result<(usize, &[u8]), Rejected> {
    let (length, compressed) = stored.split_first_chunk().ok_or(Rejected::Compressed)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let most = LONGEST.min(compressed.len().saturating_mul(RATIO));
    match length <= most {
        true => Ok((length, compressed)),
        false => Err(Rejected::Compressed),
    }
}

#[cfg(test)]
mod tests;
