//! One entry in the place of another one, which must still stand there.

use super::redis::Store;
use super::scripts::SWAP;
use super::{Loads, Swap, Trouble};
use crate::clock;
use crate::key;

impl Store {
    /// Answers whether it was stored.
    pub(crate) async fn swap(&self, entry: &str, swap: Swap<'_>) -> Result<bool, Trouble> {
        let mut call = SWAP.prepare_invoke();
        call.key(entry);
        if swap.loads == Loads::End {
            call.key(key::lease_name(entry));
        }
        let left = swap.left.map(|left| clock::millis(left).to_string());
        call.arg(swap.seen)
            .arg(swap.bytes)
            .arg(clock::millis(swap.ttl).max(1))
            .arg(left.unwrap_or_default());
        self.ask(&call).await
    }
}
