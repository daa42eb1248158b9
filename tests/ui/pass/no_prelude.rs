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

#[::cache_runtime::cached(near = false, bypass = id > 7)]
async fn not_near(id: u32) -> u32 {
    id
}

#[::cache_runtime::cached(
    ttl = |_| ::core::time::Duration::from_secs(1),
    cache_if = ::core::option::Option::is_some,
    negative_ttl = 5,
    stale_if_error = "1h",
    max_loads = 2,
    sensitive(id)
)]
async fn asked(id: u32) -> ::core::option::Option<u32> {
    ::core::option::Option::Some(id)
}

#[::cache_runtime::cached(ttl = 60, prefix = "plain")]
fn plain(id: u32) -> ::core::option::Option<u32> {
    ::core::option::Option::Some(id)
}

#[::cache_runtime::cache_invalidate(tags = ["{id}", "all"])]
async fn untagging(id: u32) -> u32 {
    id
}

#[::cache_runtime::cache_invalidate(prefix = ["bare", "other"], entry = tagged(id), when = "before")]
async fn invalidating(id: u32) {
    _ = id;
}

#[::cache_runtime::cache_invalidate(prefix = "plain", when = "ok")]
fn invalidating_plainly(id: u32) -> ::core::result::Result<u32, ()> {
    ::core::result::Result::Ok(id)
}

#[::cache_runtime::cache_put(entry = template(id), ttl = "1h")]
async fn putting(id: u32) -> ::core::result::Result<u32, ()> {
    ::core::result::Result::Ok(id + 1)
}

async fn run() {
    ::std::assert_eq!(template(1).await, ::core::result::Result::Ok(1));
    ::std::assert_eq!(arguments((1, 2)).await, 3);
    ::std::assert_eq!(tagged(1).await, 1);
    ::std::assert_eq!(not_near(1).await, 1);
    ::std::assert_eq!(asked(1).await, ::core::option::Option::Some(1));
    ::std::assert_eq!(plain(1), ::core::option::Option::Some(1));
    ::std::assert_eq!(untagging(1).await, 1);
    invalidating(1).await;
    ::std::assert_eq!(invalidating_plainly(1), ::core::result::Result::Ok(1));
    ::std::assert_eq!(putting(1).await, ::core::result::Result::Ok(2));
    ::std::assert_eq!(template(1).await, ::core::result::Result::Ok(2));
}

fn main() {
    let mut runtime = ::tokio::runtime::Builder::new_current_thread();
    let runtime = ::core::result::Result::unwrap(runtime.enable_all().build());
    runtime.block_on(run());
}
