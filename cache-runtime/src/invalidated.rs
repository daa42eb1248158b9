//! What an invalidation achieved.

use serde::Serialize;

/// What an invalidation achieved. In this process it holds in any case, from the moment it is returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Invalidated {
    /// Where it holds.
    pub reach: Reach,
    /// Why it is not confirmed as it was asked for; `None` where it is.
    pub reason: Option<String>,
    /// How many replicas have confirmed it; 0 unless [`Durability`](crate::Durability) asks for them.
    pub replicas: u32,
}

/// How far an invalidation reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Reach {
    /// Nowhere: the cache is disabled.
    Nowhere,
    /// This process, which has no Redis.
    Process,
    /// Every process that uses this Redis.
    Redis,
    /// This process, until Redis can be told: it is remembered, and replayed before this process trusts Redis again.
    Remembered,
}

impl Invalidated {
    /// Whether it holds everywhere it was meant to.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.reason.is_none()
    }

    pub(crate) fn confirmed(reach: Reach, replicas: u32) -> Self {
        Self {
            reach,
            reason: None,
            replicas,
        }
    }

    pub(crate) fn unconfirmed(reach: Reach, replicas: u32, reason: String) -> Self {
        Self {
            reach,
            reason: Some(reason),
            replicas,
        }
    }
}
