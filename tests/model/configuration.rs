//! Who takes part: small casts, each of which is searched to the end.
//!
//! There is one entry, since entries meet in nothing but their generations, and one prefix or a prefix and a tag above it.

use crate::world::{Event, Version};

/// The cast of one search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Configuration {
    pub(crate) name: &'static str,
    pub(crate) calls: &'static [Caller],
    pub(crate) invalidations: &'static [Invalidation],
    /// Generations that every entry names; the others never change.
    pub(crate) levels: usize,
    pub(crate) coalesce: Coalesce,
    /// Whether there is a Redis; else all calls are those of one process.
    pub(crate) redis: bool,
    /// Whether there is a near tier, in front of Redis or alone.
    pub(crate) near: bool,
    /// The entry that stands in Redis at the beginning, and in the near tier of each process.
    pub(crate) warm: Option<Version>,
    /// How the environment may interfere, each once.
    pub(crate) events: &'static [Event],
}

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) process: usize,
    pub(crate) near: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coalesce {
    Process,
    Fleet,
}

/// One mutating function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalidation {
    pub(crate) by: By,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Process(usize),
    /// Somebody with `redis-cli`: there is nothing local to end.
    Operator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Entry,
    Level(u8),
}

impl Configuration {
    /// Whether an invalidation has a local pass before a deletion that somebody could notice.
    pub(crate) fn forgets_before_it_deletes(&self) -> bool {
        let reads = |process| self.calls.iter().any(|call| call.process == process);
        let mut invalidations = self.invalidations.iter();
        self.redis
            && invalidations.any(|one| matches!(one.by, By::Process(process) if reads(process)))
    }

    /// Whether a call may have to do without Redis.
    pub(crate) fn loads_without_redis(&self) -> bool {
        !self.redis || self.events.contains(&Event::Unanswered)
    }

    /// Nothing but calls: then a body has no reason to run twice.
    pub(crate) fn is_quiet(&self) -> bool {
        self.invalidations.is_empty() && self.events.is_empty()
    }
}

/// A call that asks Redis.
const fn asks(process: usize) -> Caller {
    Caller {
        process,
        near: false,
    }
}

/// A call that looks into the near tier first.
const fn near(process: usize) -> Caller {
    Caller {
        process,
        near: true,
    }
}

const fn by(process: usize, what: What) -> Invalidation {
    Invalidation {
        by: By::Process(process),
        what,
    }
}

const fn by_hand(what: What) -> Invalidation {
    Invalidation {
        by: By::Operator,
        what,
    }
}

const ENTRY: What = What::Entry;
const PREFIX: What = What::Level(0);
const TAG: What = What::Level(1);

const PLAIN: Configuration = Configuration {
    name: "",
    calls: &[],
    invalidations: &[],
    levels: 1,
    coalesce: Coalesce::Process,
    redis: true,
    near: false,
    warm: None,
    events: &[],
};

/// A cache in process alone.
const ALONE: Configuration = Configuration {
    redis: false,
    near: true,
    ..PLAIN
};

pub(crate) const SHORT: &[Configuration] = &[
    Configuration {
        name: "calls of one process",
        calls: &[asks(0), asks(0), asks(0)],
        ..PLAIN
    },
    Configuration {
        name: "an entry is invalidated",
        calls: &[asks(0), asks(0), asks(1)],
        invalidations: &[by(1, ENTRY)],
        ..PLAIN
    },
    Configuration {
        name: "an entry is evicted, and invalidated",
        calls: &[asks(0), asks(0), asks(1)],
        invalidations: &[by(1, ENTRY)],
        events: &[Event::EvictEntry],
        ..PLAIN
    },
    Configuration {
        name: "a prefix is invalidated",
        calls: &[asks(0), asks(0), asks(1)],
        invalidations: &[by(1, PREFIX)],
        ..PLAIN
    },
    Configuration {
        name: "a prefix is invalidated twice",
        calls: &[asks(0), asks(0)],
        invalidations: &[by(1, PREFIX), by_hand(PREFIX)],
        ..PLAIN
    },
    Configuration {
        name: "a prefix and a tag are invalidated",
        calls: &[asks(0), asks(0)],
        invalidations: &[by(1, PREFIX), by(1, TAG)],
        levels: 2,
        ..PLAIN
    },
    Configuration {
        name: "an entry and a prefix are invalidated",
        calls: &[asks(0), asks(0)],
        invalidations: &[by(1, ENTRY), by(0, PREFIX)],
        ..PLAIN
    },
    Configuration {
        name: "accidents",
        calls: &[asks(0), asks(0), asks(1)],
        invalidations: &[by_hand(ENTRY)],
        events: &[Event::Crash, Event::ExpireLease, Event::EvictEntry],
        ..PLAIN
    },
    Configuration {
        name: "Redis does not answer",
        calls: &[near(0), near(0)],
        invalidations: &[by(0, PREFIX)],
        near: true,
        events: &[Event::Unanswered],
        ..PLAIN
    },
    Configuration {
        name: "Redis does not answer, and an entry is invalidated",
        calls: &[near(0), near(0)],
        invalidations: &[by(0, ENTRY)],
        near: true,
        events: &[Event::Unanswered],
        ..PLAIN
    },
    Configuration {
        name: "calls of a fleet",
        calls: &[asks(0), asks(0), asks(1)],
        coalesce: Coalesce::Fleet,
        ..PLAIN
    },
    Configuration {
        name: "a fleet and a crash",
        calls: &[asks(0), asks(0), asks(1)],
        coalesce: Coalesce::Fleet,
        events: &[Event::Crash],
        ..PLAIN
    },
    Configuration {
        name: "a fleet and an invalidated entry",
        calls: &[asks(0), asks(0), asks(1)],
        invalidations: &[by(1, ENTRY)],
        coalesce: Coalesce::Fleet,
        ..PLAIN
    },
    Configuration {
        name: "a fleet and accidents",
        calls: &[asks(0), asks(1)],
        invalidations: &[by(0, ENTRY)],
        coalesce: Coalesce::Fleet,
        events: &[
            Event::Crash,
            Event::ExpireLease,
            Event::EvictEntry,
            Event::EvictGeneration,
        ],
        ..PLAIN
    },
    Configuration {
        name: "near tier: a cold entry is invalidated",
        calls: &[near(0), near(0)],
        invalidations: &[by(1, ENTRY)],
        near: true,
        ..PLAIN
    },
    Configuration {
        name: "near tier: an entry is invalidated",
        calls: &[near(0), near(0), near(1)],
        invalidations: &[by(1, ENTRY)],
        near: true,
        warm: Some(0),
        ..PLAIN
    },
    Configuration {
        name: "near tier: its own entry is invalidated",
        calls: &[near(0), near(0)],
        invalidations: &[by(0, ENTRY)],
        near: true,
        ..PLAIN
    },
    Configuration {
        name: "near tier: a cold prefix is invalidated",
        calls: &[near(0), near(0)],
        invalidations: &[by(1, PREFIX)],
        near: true,
        ..PLAIN
    },
    Configuration {
        name: "near tier: a prefix is invalidated",
        calls: &[near(0), near(0), near(1)],
        invalidations: &[by(1, PREFIX)],
        near: true,
        warm: Some(0),
        ..PLAIN
    },
    Configuration {
        name: "near tier: its own prefix is invalidated",
        calls: &[near(0), near(0)],
        invalidations: &[by(0, PREFIX)],
        near: true,
        warm: Some(0),
        ..PLAIN
    },
    Configuration {
        name: "near tier: calls with and without it",
        calls: &[near(0), near(0), asks(0)],
        invalidations: &[by(1, ENTRY)],
        near: true,
        warm: Some(0),
        ..PLAIN
    },
    Configuration {
        name: "near tier: an entry and a prefix are invalidated",
        calls: &[near(0), near(0)],
        invalidations: &[by(1, ENTRY), by(0, PREFIX)],
        near: true,
        warm: Some(0),
        ..PLAIN
    },
    Configuration {
        name: "near tier: an entry is invalidated by two",
        calls: &[near(0), near(0)],
        invalidations: &[by(0, ENTRY), by_hand(ENTRY)],
        near: true,
        ..PLAIN
    },
    Configuration {
        name: "near tier: evictions",
        calls: &[near(0), near(0)],
        invalidations: &[by(1, ENTRY)],
        near: true,
        warm: Some(0),
        events: &[
            Event::EvictEntry,
            Event::EvictGeneration,
            Event::ExpireLease,
        ],
        ..PLAIN
    },
    Configuration {
        name: "near tier: a connection is lost",
        calls: &[near(0), near(0)],
        invalidations: &[by(1, ENTRY)],
        near: true,
        warm: Some(0),
        events: &[Event::LoseConnection],
        ..PLAIN
    },
    Configuration {
        name: "near tier: a connection is lost under a cold prefix",
        calls: &[near(0), near(0)],
        invalidations: &[by_hand(PREFIX)],
        near: true,
        events: &[Event::LoseConnection],
        ..PLAIN
    },
    Configuration {
        name: "near tier: generations are prolonged",
        calls: &[near(0), near(0)],
        invalidations: &[by(1, PREFIX)],
        near: true,
        warm: Some(0),
        events: &[Event::Prolong],
        ..PLAIN
    },
    Configuration {
        name: "near tier: a fleet",
        calls: &[near(0), near(1)],
        invalidations: &[by(1, ENTRY)],
        near: true,
        coalesce: Coalesce::Fleet,
        events: &[Event::Crash],
        ..PLAIN
    },
    Configuration {
        name: "a fleet, a crash and an invalidated entry",
        calls: &[asks(0), asks(0), asks(1)],
        invalidations: &[by(0, ENTRY)],
        coalesce: Coalesce::Fleet,
        events: &[Event::Crash],
        ..PLAIN
    },
    Configuration {
        name: "alone: calls",
        calls: &[near(0), near(0), near(0)],
        ..ALONE
    },
    Configuration {
        name: "alone: an entry is invalidated",
        calls: &[near(0), near(0), near(0)],
        invalidations: &[by(0, ENTRY)],
        ..ALONE
    },
    Configuration {
        name: "alone: an entry is evicted, and invalidated",
        calls: &[near(0), near(0), near(0)],
        invalidations: &[by(0, ENTRY)],
        warm: Some(0),
        events: &[Event::EvictNear],
        ..ALONE
    },
    Configuration {
        name: "alone: an entry is invalidated twice",
        calls: &[near(0), near(0)],
        invalidations: &[by(0, ENTRY), by(0, ENTRY)],
        ..ALONE
    },
    Configuration {
        name: "alone: a prefix is invalidated",
        calls: &[near(0), near(0), near(0)],
        invalidations: &[by(0, PREFIX)],
        ..ALONE
    },
    Configuration {
        name: "alone: an entry and a prefix are invalidated",
        calls: &[near(0), near(0)],
        invalidations: &[by(0, ENTRY), by(0, PREFIX)],
        ..ALONE
    },
    Configuration {
        name: "alone: a crash, and an entry is invalidated",
        calls: &[near(0), near(0), near(0)],
        invalidations: &[by(0, ENTRY)],
        events: &[Event::Crash],
        ..ALONE
    },
];

/// Millions of states each.
pub(crate) const LONG: &[Configuration] = &[
    Configuration {
        name: "four calls and an entry",
        calls: &[asks(0), asks(0), asks(0), asks(1)],
        invalidations: &[by(1, ENTRY)],
        ..PLAIN
    },
    Configuration {
        name: "three calls, an entry and a prefix",
        calls: &[asks(0), asks(0), asks(1)],
        invalidations: &[by(1, ENTRY), by(0, PREFIX)],
        ..PLAIN
    },
    Configuration {
        name: "near tier: three calls under a cold prefix",
        calls: &[near(0), near(0), near(1)],
        invalidations: &[by(1, PREFIX)],
        near: true,
        ..PLAIN
    },
    Configuration {
        name: "near tier: three calls and two invalidations",
        calls: &[near(0), near(0), asks(0)],
        invalidations: &[by(1, ENTRY), by(0, PREFIX)],
        near: true,
        warm: Some(0),
        ..PLAIN
    },
    Configuration {
        name: "near tier: three calls and a lost connection",
        calls: &[near(0), near(0), near(1)],
        invalidations: &[by(1, ENTRY)],
        near: true,
        warm: Some(0),
        events: &[Event::LoseConnection],
        ..PLAIN
    },
    Configuration {
        name: "near tier: a fleet, and Redis does not answer",
        calls: &[near(0), near(0), asks(1)],
        invalidations: &[by(0, ENTRY)],
        near: true,
        warm: Some(0),
        coalesce: Coalesce::Fleet,
        events: &[Event::Unanswered, Event::Timer],
        ..PLAIN
    },
    Configuration {
        name: "near tier: three calls, and Redis does not answer",
        calls: &[near(0), near(0), near(0)],
        invalidations: &[by(0, ENTRY)],
        near: true,
        warm: Some(0),
        events: &[Event::Unanswered],
        ..PLAIN
    },
    Configuration {
        name: "Redis does not answer two processes that invalidate",
        calls: &[near(0), near(0)],
        invalidations: &[by(0, PREFIX), by(1, ENTRY)],
        near: true,
        events: &[Event::Unanswered],
        ..PLAIN
    },
    Configuration {
        name: "alone: three calls, and an entry twice",
        calls: &[near(0), near(0), near(0)],
        invalidations: &[by(0, ENTRY), by(0, ENTRY)],
        ..ALONE
    },
    Configuration {
        name: "alone: three calls, an entry and a prefix",
        calls: &[near(0), near(0), near(0)],
        invalidations: &[by(0, ENTRY), by(0, PREFIX)],
        ..ALONE
    },
    Configuration {
        name: "alone: accidents",
        calls: &[near(0), near(0), near(0), near(0)],
        invalidations: &[by(0, ENTRY)],
        warm: Some(0),
        events: &[Event::Crash, Event::EvictNear],
        ..ALONE
    },
];
