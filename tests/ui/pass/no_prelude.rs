//! Nothing of the prelude in scope.
#![deny(warnings)]
#![no_implicit_prelude]

#[::cache_runtime::cached(ttl = 60, prefix = "bare", key = "{id}")]
async fn template(id: u32) -> ::core::result::Result<u32, ()> {
    ::core::result::Result::Ok(id)
}

#[::cache_runtime::cached(ttl = ::core::time::Duration::from_secs(1))]
async fn arguments((a, b): (u32, u32)) -> u32 {
    a + b
}

#[::cache_runtime::cached(
    tags = ["{id}", "all"],
    near_ttl = 5,
    coalesce = "fleet",
    stale_while_revalidate = 60
)]
async fn tagged(id: u32) -> u32 {
    id
}

#[::cache_runtime::cached(near = false)]
async fn not_near(id: u32) -> u32 {
    id
}

#[::cache_runtime::cache_invalidate(tags = ["{id}", "all"])]
async fn untagging(id: u32) -> u32 {
    id
}

#[::cache_runtime::cache_invalidate(prefix = ["bare", "other"])]
async fn invalidating(_id: u32) {}

fn main() {
    ::core::mem::drop(template(1));
    ::core::mem::drop(arguments((1, 2)));
    ::core::mem::drop(tagged(1));
    ::core::mem::drop(not_near(1));
    ::core::mem::drop(untagging(1));
    ::core::mem::drop(invalidating(1));
}
