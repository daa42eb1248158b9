//! What every read is held against.

use std::time::Duration;

use super::record::{Kind, Record};

/// How far a value in front of Redis may lag behind what another process has invalidated.
pub const MAX_LAG: Duration = Duration::from_secs(1);

/// The versions that were settled when a read began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// By the process that reads.
    pub own: u64,
    /// By any process.
    pub anywhere: u64,
    /// By any process, as of [`MAX_LAG`] before.
    pub long_ago: u64,
}

/// A read that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Read {
    pub record: Record,
    pub due: Due,
    pub version: u64,
    /// The newest version there was when it had ended.
    pub newest: u64,
}

/// A read returns a version from the last that was due when it began to the newest that there was when it had ended.
pub fn check(read: &Read) -> Result<(), String> {
    let Due {
        own,
        anywhere,
        long_ago,
    } = read.due;
    let due = match read.record.kind {
        Kind::Asked => own.max(anywhere),
        Kind::Near | Kind::Fleet | Kind::Stale | Kind::Behind => own.max(long_ago),
    };
    if read.version < due {
        return Err(format!("older than {due}, which was due: {read:?}"));
    }
    if read.version > read.newest {
        return Err(format!("newer than all there was: {read:?}"));
    }
    Ok(())
}
