//! The list of what is measured, for whom.

use crate::scenario::{Kind, Load};
use crate::work::Keys;

/// One scenario and those who take part.
#[derive(Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
    /// The figures of the table, with what stands in its head.
    pub figures: &'static [(&'static str, &'static str)],
    pub candidates: &'static [&'static str],
}

const ALONE: Load = Load {
    tasks: 1,
    threads: 1,
};
const TWO_THREADS: Load = Load {
    tasks: 64,
    threads: 2,
};

const fn near(keys: Keys, load: Load) -> Kind {
    Kind::Hits { keys, load }
}

const fn redis(tasks: usize) -> Kind {
    let load = Load { tasks, threads: 1 };
    Kind::Hits {
        keys: Keys::Uniform,
        load,
    }
}

const PER_HIT: &[(&str, &str)] = &[
    ("ns", "ns per hit"),
    ("allocations", "allocations"),
    ("bytes", "bytes"),
];
const PER_SECOND: &[(&str, &str)] = &[
    ("per_second", "hits per second"),
    ("allocations", "allocations"),
    ("bytes", "bytes"),
];
const STORM: &[(&str, &str)] = &[("bodies", "bodies run"), ("times", "time, in bodies")];
const MISS: &[(&str, &str)] = &[
    ("round_trips", "round trips"),
    ("us", "µs, through a proxy"),
];
const PREFIX: &[(&str, &str)] = &[
    ("pings", "PINGs"),
    ("round_trips", "round trips"),
    ("us", "µs"),
];

const ARC: &[&str] = &[
    "ours_arc",
    "array_arc",
    "quick_cache_borrowed",
    "quick_cache_arc",
    "cached_sharded_arc",
    "memoize_arc",
    "foyer_arc",
    "moka_arc",
    "cached_arc",
    "multi_tier",
    "hitbox",
];
const BESIDE: &[&str] = &["ours_arc", "array_arc", "quick_cache_arc"];
const CLONE: &[&str] = &[
    "ours_clone",
    "array_clone",
    "far_clone",
    "quick_cache_clone",
    "cached_sharded_clone",
    "memoize_clone",
    "foyer_clone",
    "moka_clone",
    "cached_clone",
    "multi_tier",
    "hitbox",
];
const FRONT: &[&str] = &[
    "ours_arc",
    "ours_tracked",
    "cached_client_side",
    "multi_tier",
    "hitbox_two_tier",
];
const REDIS: &[&str] = &[
    "ours_redis",
    "raw_redis",
    "cached_redis",
    "multi_tier_redis",
    "hitbox_redis",
];
const COLD: &[&str] = &[
    "ours_arc",
    "ours_tracked",
    "ours_redis",
    "quick_cache_arc",
    "foyer_arc",
    "moka_arc",
    "cached_arc",
    "raw_redis",
    "cached_redis",
    "multi_tier_redis",
    "hitbox_redis",
];
const MISSES: &[&str] = &[
    "ours_tracked",
    "ours_redis",
    "raw_redis",
    "cached_redis",
    "multi_tier_redis",
    "hitbox_redis",
];

/// Those whose user writes an attribute and nothing else.
pub const ANNOTATED: &[&str] = &[
    "cached_arc",
    "cached_sharded_arc",
    "memoize_arc",
    "cached_clone",
    "cached_sharded_clone",
    "memoize_clone",
    "hitbox",
];

/// In the order of the table.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "near_hot",
        title: "Hit in the process, `Arc`, one task, one key",
        kind: near(Keys::Hot, ALONE),
        figures: PER_HIT,
        candidates: ARC,
    },
    Scenario {
        name: "near_zipf",
        title: "Hit in the process, `Arc`, one task, 10,000 keys by Zipf's law",
        kind: near(Keys::Zipf, ALONE),
        figures: PER_HIT,
        candidates: ARC,
    },
    Scenario {
        name: "near_hot_clone",
        title: "Hit in the process, cloned value, one task, one key",
        kind: near(Keys::Hot, ALONE),
        figures: PER_HIT,
        candidates: CLONE,
    },
    Scenario {
        name: "near_zipf_clone",
        title: "Hit in the process, cloned value, one task, 10,000 keys",
        kind: near(Keys::Zipf, ALONE),
        figures: PER_HIT,
        candidates: CLONE,
    },
    Scenario {
        name: "near_hot_threads",
        title: "Hit in the process, `Arc`, 64 tasks on two threads, one key",
        kind: near(Keys::Hot, TWO_THREADS),
        figures: PER_HIT,
        candidates: ARC,
    },
    Scenario {
        name: "near_zipf_threads",
        title: "Hit in the process, `Arc`, 64 tasks on two threads, 10,000 keys",
        kind: near(Keys::Zipf, TWO_THREADS),
        figures: PER_HIT,
        candidates: ARC,
    },
    Scenario {
        name: "near_zipf_beside",
        title: "Hit in the process, `Arc`, one task, 10,000 keys, beside another process that does the same",
        kind: Kind::Beside,
        figures: PER_HIT,
        candidates: BESIDE,
    },
    Scenario {
        name: "front_hot",
        title: "Hit in the process in front of Redis, one task, one key",
        kind: near(Keys::Hot, ALONE),
        figures: PER_HIT,
        candidates: FRONT,
    },
    Scenario {
        name: "front_zipf",
        title: "Hit in the process in front of Redis, one task, 10,000 keys",
        kind: near(Keys::Zipf, ALONE),
        figures: PER_HIT,
        candidates: FRONT,
    },
    Scenario {
        name: "redis_1",
        title: "Hit in Redis, one task",
        kind: redis(1),
        figures: PER_HIT,
        candidates: REDIS,
    },
    Scenario {
        name: "redis_64",
        title: "Hits in Redis, 64 tasks",
        kind: redis(64),
        figures: PER_SECOND,
        candidates: REDIS,
    },
    Scenario {
        name: "redis_256",
        title: "Hits in Redis, 256 tasks",
        kind: redis(256),
        figures: PER_SECOND,
        candidates: REDIS,
    },
    Scenario {
        name: "redis_1024",
        title: "Hits in Redis, 1,024 tasks",
        kind: redis(1024),
        figures: PER_SECOND,
        candidates: REDIS,
    },
    Scenario {
        name: "storm",
        title: "1,000 callers of a cold key, body of 50 ms",
        kind: Kind::Storm,
        figures: STORM,
        candidates: COLD,
    },
    Scenario {
        name: "miss",
        title: "A call that finds nothing",
        kind: Kind::Misses,
        figures: MISS,
        candidates: MISSES,
    },
    Scenario {
        name: "prefix_1k",
        title: "Invalidating a prefix of 1,000 entries",
        kind: Kind::Prefix { entries: 1_000 },
        figures: PREFIX,
        candidates: &["ours_redis"],
    },
    Scenario {
        name: "prefix_1m",
        title: "Invalidating a prefix of 1,000,000 entries",
        kind: Kind::Prefix { entries: 1_000_000 },
        figures: PREFIX,
        candidates: &["ours_redis"],
    },
    Scenario {
        name: "memory",
        title: "Bytes of an entry in the process beside its key and value",
        kind: Kind::Memory,
        figures: &[("bytes", "bytes")],
        candidates: &["ours_arc", "moka_arc"],
    },
    Scenario {
        name: "future",
        title: "Bytes of a cached call beside its body",
        kind: Kind::Sizes,
        figures: &[("near", "bytes"), ("redis", "bytes, `near = false`")],
        candidates: &["ours_arc"],
    },
];

pub fn scenario(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

/// What a candidate is called in tables and charts.
pub fn label(candidate: &str) -> &str {
    match candidate {
        "ours_arc" | "ours_clone" => "cache-runtime",
        "ours_tracked" => "cache-runtime in front of Redis",
        "ours_redis" => "cache-runtime, near = false",
        "quick_cache_arc" | "quick_cache_clone" => "quick_cache by hand, get_or_insert",
        "array_arc" | "array_clone" => "no cache: an array of the values",
        "far_clone" => "no cache: an array of pointers to entries that point to values",
        "quick_cache_borrowed" => "quick_cache by hand, borrowed key",
        "moka_arc" | "moka_clone" => "moka by hand",
        "foyer_arc" | "foyer_clone" => "foyer by hand",
        "cached_arc" | "cached_clone" => "cached",
        "cached_sharded_arc" | "cached_sharded_clone" => "cached, sharded",
        "cached_redis" => "cached, Redis",
        "cached_client_side" => "cached, client-side caching",
        "memoize_arc" | "memoize_clone" => "memoize, shared",
        "hitbox" => "hitbox, moka",
        "hitbox_two_tier" => "hitbox, moka and Redis",
        "hitbox_redis" => "hitbox, Redis",
        "multi_tier" => "multi-tier-cache by hand",
        "multi_tier_redis" => "multi-tier-cache by hand, Redis",
        "raw_redis" => "redis-rs by hand, GET and decode",
        other => other,
    }
}
