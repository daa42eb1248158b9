//! Names of the user's that could be taken for those of an expansion.
#![deny(warnings)]
#![allow(dead_code)]

use cache_runtime::{cache_invalidate, cached};

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

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(arguments(1, 2, 3, 4, 5, 6).await, 21);
    assert_eq!(underscored(1, 2, 3, 4, 5).await, 15);
    assert_eq!(template(1, 2, 3).await, 6);
    assert_eq!(tagged(1, 2, 3, 4).await, 10);
    assert_eq!(items(1).await, [1, 2]);
    assert_eq!(invalidating(1, 2, 3, 4, 5).await, 15);
    assert_eq!(untagging(1, 2, 3, 4).await, 10);
}
