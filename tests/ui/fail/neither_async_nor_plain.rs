use std::future::Future;
use std::pin::Pin;

use cache_runtime::{cache_invalidate, cache_put, cached};

#[cached]
const fn doubled(id: u64) -> u64 {
    id * 2
}

#[cache_invalidate(prefix = "user")]
fn update_user(id: u64) -> Pin<Box<dyn Future<Output = u64>>> {
    let update = async move { id };
    Box::pin(update)
}

#[cached]
async fn load(id: u64) -> u64 {
    id
}

#[cache_put(entry = load(id))]
fn put(id: u64) -> u64 {
    id
}

fn main() {
    let _ = (doubled(1), update_user(1), put(1));
}
