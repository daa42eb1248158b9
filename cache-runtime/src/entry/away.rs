//! Why Redis has no answer to a look-up.

use crate::stats::Counters;
use crate::store::{Read, Trouble};

/// Why there is no answer of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Away {
    /// There is no Redis, or it is known to be away and was not asked.
    Known,
    /// It was asked, and failed.
    Failed,
}

pub(super) fn answered(read: Result<Read, Trouble>, counters: &Counters) -> Result<Read, Away> {
    read.map_err(|trouble| match trouble.is_failure() {
        false => Away::Known,
        true => {
            counters.errors.one();
            Away::Failed
        }
    })
}
