//! Names of the user's that could be taken for those of an expansion.
#![deny(warnings)]
#![allow(dead_code)]

use cache_runtime::{cache_invalidate, cache_put, cached};

struct Option;
struct Some;
struct None;
struct Call;
struct Duration;
enum Result {
    Ok,
    Err,
}
struct Ok;
struct Err;
struct String;
struct Vec;
struct Box;
struct Pin;
struct Future;
struct Send;

mod core {}
mod std {}

const SITE: usize = 2;

#[cached]
async fn arguments(call: u32, key: u32, hit: u32, load: u32, outcome: u32, returned: u32) -> u32 {
    call + key + hit + load + outcome + returned
}

#[cached]
async fn underscored(__call: u32, __key: u32, __load: u32, result: u32, argument_0: u32) -> u32 {
    __call + __key + __load + result + argument_0
}

#[cached]
async fn more(key: u32, result: u32, cache: u32, self_: u32, __call: u32, entry: u32) -> u32 {
    key + result + cache + self_ + __call + entry
}

#[cached]
fn plain(
    key: u32,
    result: u32,
    cache: u32,
    self_: u32,
    __call: u32,
    (load, call): (u32, u32),
) -> u32 {
    key + result + cache + self_ + __call + load + call
}

#[cached(bypass = bypass, ttl = |ttl| ::std::time::Duration::from_secs(*ttl as u64), cache_if = |rules| *rules > 0)]
async fn asked(bypass: bool, ttl: u32, rules: u32, call: u32) -> u32 {
    bypass as u32 + ttl + rules + call
}

#[cached(key = "{key}:{call}", ttl = ::std::time::Duration::from_secs(hit))]
async fn template(key: u32, call: u32, hit: u64) -> u32 {
    let load = key + call;
    load + hit as u32
}

#[cached(tags = ["{tag}:{tags}", "{call}", "{key}"], coalesce = "off", near_ttl = 5)]
async fn tagged(tag: u32, tags: u32, call: u32, key: u32) -> u32 {
    tag + tags + call + key
}

#[cached]
async fn items(n: u32) -> [u32; SITE] {
    [n, SITE as u32]
}

#[cache_invalidate(prefix = "names", key = "{targets}:{key}")]
async fn invalidating(targets: u32, key: u32, success: u32, load: u32, call: u32) -> u32 {
    targets + key + success + load + call
}

#[cache_invalidate(tags = ["{tag}:{targets}", "{key}:{call}"])]
async fn untagging(tag: u32, targets: u32, key: u32, call: u32) -> u32 {
    tag + targets + key + call
}

#[cache_invalidate(
    prefix = "names",
    key = "{result}:{cache}:{self_}:{__call}",
    entry = more(*key, result, cache, self_, __call, 6)
)]
async fn invalidating_more(key: &u32, result: u32, cache: u32, self_: u32, __call: u32) -> u32 {
    key + result + cache + self_ + __call
}

#[cache_invalidate(prefix = "names", tags = "{key}:{result}", when = "before")]
fn invalidating_plain(key: u32, result: u32, cache: u32, self_: u32, __call: u32) -> u32 {
    key + result + cache + self_ + __call
}

#[cache_put(entry = more(key, result, cache, self_, __call, entry), ttl = ::std::time::Duration::from_secs(ttl))]
async fn putting(
    key: u32,
    result: u32,
    cache: u32,
    self_: u32,
    __call: u32,
    entry: u32,
    ttl: u64,
    returned: u32,
    outcome: u32,
    load: u32,
) -> u32 {
    key + result + cache + self_ + __call + entry + ttl as u32 + returned + outcome + load
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(arguments(1, 2, 3, 4, 5, 6).await, 21);
    assert_eq!(underscored(1, 2, 3, 4, 5).await, 15);
    assert_eq!(more(1, 2, 3, 4, 5, 6).await, 21);
    assert_eq!(plain(1, 2, 3, 4, 5, (6, 7)), 28);
    assert_eq!(plain(1, 2, 3, 4, 5, (6, 7)), 28);
    assert_eq!(asked(true, 1, 2, 3).await, 7);
    assert_eq!(asked(false, 1, 2, 3).await, 6);
    assert_eq!(invalidating_more(&1, 2, 3, 4, 5).await, 15);
    assert_eq!(invalidating_plain(1, 2, 3, 4, 5), 15);
    assert_eq!(putting(1, 2, 3, 4, 5, 6, 7, 8, 9, 10).await, 55);
    assert_eq!(more(1, 2, 3, 4, 5, 6).await, 55);
    assert_eq!(template(1, 2, 3).await, 6);
    assert_eq!(tagged(1, 2, 3, 4).await, 10);
    assert_eq!(items(1).await, [1, 2]);
    assert_eq!(invalidating(1, 2, 3, 4, 5).await, 15);
    assert_eq!(untagging(1, 2, 3, 4).await, 10);
}
