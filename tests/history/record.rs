//! What is cached: the records of the source of truth, and one set of annotated functions for each way to keep them.

/// Records of each kind.
pub const RECORDS: u64 = 3;

/// How a record is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// With the tier in process.
    Near,
    /// Every read asks Redis.
    Asked,
    /// With the tier in process, and one load in all processes.
    Fleet,
    /// With the tier in process; expired values are returned while they are loaded anew.
    Stale,
    /// The same, also early and where the load fails or takes too long; it then goes on in a task of its own.
    Behind,
}

pub const KINDS: [Kind; 5] = [
    Kind::Near,
    Kind::Asked,
    Kind::Fleet,
    Kind::Stale,
    Kind::Behind,
];

impl Kind {
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Asked => "asked",
            Self::Fleet => "fleet",
            Self::Stale => "stale",
            Self::Behind => "behind",
        }
    }
}

/// One record of the source of truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    pub kind: Kind,
    pub id: u64,
}

/// How many there are.
pub const ALL: usize = KINDS.len() * RECORDS as usize;

impl Record {
    pub fn index(self) -> usize {
        self.kind as usize * RECORDS as usize + self.id as usize
    }

    /// The text that its entry and the level above it share.
    pub fn name(self) -> String {
        format!("{}:{}", self.kind.prefix(), self.id)
    }

    pub fn entry(self) -> String {
        format!("{}:row", self.name())
    }

    pub fn tag(self) -> String {
        format!("{}-tag:{}", self.kind.prefix(), self.id)
    }
}

/// What a mutating function names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Entry,
    Prefix,
    Tag,
}

macro_rules! functions {
    ($module:ident, $kind:ident, $prefix:tt, $tag:tt, $ttl:tt, $long_ttl:tt, [$($option:tt)*]) => {
        mod $module {
            use cache_runtime::{cache_invalidate, cached};

            use super::super::truth::Truth;
            use super::{Kind, Record};

            fn record(id: u64) -> Record {
                Record { kind: Kind::$kind, id }
            }

            #[cached(ttl = $ttl, prefix = $prefix, key = "{id}:row", tags = [$tag] $($option)*)]
            pub async fn read(truth: &'static Truth, id: u64) -> Result<u64, u64> {
                truth.load(record(id)).await
            }

            /// The same entry, kept for so long that a fill prolongs the generations that others have made.
            #[cached(ttl = $long_ttl, prefix = $prefix, key = "{id}:row", tags = [$tag] $($option)*)]
            pub async fn read_for_long(truth: &'static Truth, id: u64) -> Result<u64, u64> {
                truth.load(record(id)).await
            }

            #[cache_invalidate(prefix = $prefix, key = "{id}:row")]
            pub async fn change_entry(truth: &'static Truth, id: u64) -> u64 {
                truth.change(record(id)).await
            }

            #[cache_invalidate(prefix = $prefix, when = "before")]
            pub async fn change_prefix(truth: &'static Truth, id: u64) -> u64 {
                truth.change(record(id)).await
            }

            #[cache_invalidate(tags = [$tag])]
            pub async fn change_tag(truth: &'static Truth, id: u64) -> u64 {
                truth.change(record(id)).await
            }
        }
    };
}

functions!(near, Near, "near", "near-tag:{id}", "1m", "2d", []);
functions!(asked, Asked, "asked", "asked-tag:{id}", "1m", "2d", [, near = false]);
functions!(fleet, Fleet, "fleet", "fleet-tag:{id}", "1m", "2d", [, coalesce = "fleet"]);
functions!(stale, Stale, "stale", "stale-tag:{id}", "50ms", "100ms", [, stale_while_revalidate = "1m", background = false]);
functions!(
    behind, Behind, "behind", "behind-tag:{id}", "50ms", "100ms",
    [, stale_while_revalidate = "20ms", stale_if_error = "1m", load_timeout = "10ms", early_refresh = true]
);

use super::truth::Truth;

/// What the cached function of the record returns: the version, or that which a body has read that failed.
pub async fn read(truth: &'static Truth, record: Record) -> Result<u64, u64> {
    match record.kind {
        Kind::Near => near::read(truth, record.id).await,
        Kind::Asked => asked::read(truth, record.id).await,
        Kind::Fleet => fleet::read(truth, record.id).await,
        Kind::Stale => stale::read(truth, record.id).await,
        Kind::Behind => behind::read(truth, record.id).await,
    }
}

/// The same of the other function over that entry.
pub async fn read_for_long(truth: &'static Truth, record: Record) -> Result<u64, u64> {
    match record.kind {
        Kind::Near => near::read_for_long(truth, record.id).await,
        Kind::Asked => asked::read_for_long(truth, record.id).await,
        Kind::Fleet => fleet::read_for_long(truth, record.id).await,
        Kind::Stale => stale::read_for_long(truth, record.id).await,
        Kind::Behind => behind::read_for_long(truth, record.id).await,
    }
}

/// Writes the record and invalidates by attribute; answers the version written.
pub async fn change(truth: &'static Truth, record: Record, target: Target) -> u64 {
    let id = record.id;
    match (record.kind, target) {
        (Kind::Near, Target::Entry) => near::change_entry(truth, id).await,
        (Kind::Near, Target::Prefix) => near::change_prefix(truth, id).await,
        (Kind::Near, Target::Tag) => near::change_tag(truth, id).await,
        (Kind::Asked, Target::Entry) => asked::change_entry(truth, id).await,
        (Kind::Asked, Target::Prefix) => asked::change_prefix(truth, id).await,
        (Kind::Asked, Target::Tag) => asked::change_tag(truth, id).await,
        (Kind::Fleet, Target::Entry) => fleet::change_entry(truth, id).await,
        (Kind::Fleet, Target::Prefix) => fleet::change_prefix(truth, id).await,
        (Kind::Fleet, Target::Tag) => fleet::change_tag(truth, id).await,
        (Kind::Stale, Target::Entry) => stale::change_entry(truth, id).await,
        (Kind::Behind, Target::Entry) => behind::change_entry(truth, id).await,
        (Kind::Stale, Target::Prefix) => stale::change_prefix(truth, id).await,
        (Kind::Behind, Target::Prefix) => behind::change_prefix(truth, id).await,
        (Kind::Stale, Target::Tag) => stale::change_tag(truth, id).await,
        (Kind::Behind, Target::Tag) => behind::change_tag(truth, id).await,
    }
}
