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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_compressed_and_what_is_cannot_be_read() {
        assert_eq!(compress(&[0; 10_000]), None);
        assert_eq!(
            decompress(b"\x05\0\0\0\x50hello"),
            Err(Rejected::Compressed)
        );
    }
}
