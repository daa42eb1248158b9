//! Which tier a cache uses.

use serde::Serialize;

/// Which tier answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Mode {
    /// Redis.
    Redis,
    /// The in-process tier, because Redis cannot be reached.
    Fallback,
    /// The in-process tier, because no Redis is configured.
    Memory,
    /// None: every call runs its body.
    Disabled,
}
