//! Compression without the feature `compression`: values are stored as they are, and what is compressed cannot be read.

use super::envelope::Rejected;

pub(crate) const BUILT_IN: bool = false;

pub(crate) const REJECTED: &str = "the entry is compressed, and this program is built without the feature `compression` of `cache-runtime`";

pub(crate) fn compress(_plain: &[u8]) -> Option<Vec<u8>> {
    None
}

pub(crate) fn decompress(_stored: &[u8]) -> Result<Vec<u8>, Rejected> {
    Err(Rejected::Compressed)
}
