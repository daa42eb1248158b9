//! Waiting for another process to fill an entry.

use std::future::Future;
use std::time::Duration;

use crate::clock;
use crate::random;

/// The first wait where nobody tells of the fill.
const SHORTEST: Duration = Duration::from_millis(5);
/// The longest one.
const LONGEST: Duration = Duration::from_millis(250);

/// Looks in the lifetime of a lease where the fill is told of: for the lease that ends by itself.
const LOOKS: u32 = 8;

/// How long to wait until the next look: until it is told of, else with exponential back-off.
#[derive(Debug)]
pub(crate) struct Patience {
    next: Duration,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self { next: SHORTEST }
    }

    /// Waits until something is `told`, or until it is time to look in any case.
    pub(crate) async fn wait(
        &mut self,
        told: impl Future<Output = ()>,
        tells: bool,
        lease: Duration,
    ) {
        let limit = match tells {
            true => lease / LOOKS,
            false => self.back_off(),
        };
        let _ = clock::within(limit, told).await;
    }

    /// From half to the whole of a time that doubles, so that those who wait do not look all at once.
    fn back_off(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        let share = u32::try_from(random::token() % 1_024).unwrap_or_default();
        whole / 2 + whole / 2 * share / 1_024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_up_to_its_limit() {
        let mut patience = Patience::new();
        for whole in [5, 10, 20, 40, 80, 160, 250, 250].map(Duration::from_millis) {
            let wait = patience.back_off();
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
        }
    }
}
