//! The runtime under another name.
#![deny(warnings)]

mod framework {
    pub use cache_runtime as cache;
}

#[framework::cache::cached(crate = framework::cache)]
async fn relative(id: u8) -> u8 {
    id
}

#[framework::cache::cached(crate = framework::cache)]
fn plain(id: u8) -> u8 {
    id
}

#[framework::cache::cache_invalidate(prefix = "a", crate = crate::framework::cache)]
async fn absolute(id: u8) -> u8 {
    id
}

#[framework::cache::cache_put(entry = relative(id), crate = self::framework::cache)]
async fn put(id: u8) -> u8 {
    id + 1
}

#[framework::cache::cache_put(entry = relative(id), crate = ::cache_runtime)]
async fn put_by_its_own_name(id: u8) -> u8 {
    id + 2
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(relative(1).await, 1);
    assert_eq!(plain(1), 1);
    assert_eq!(absolute(1).await, 1);
    assert_eq!([put(1).await, relative(1).await], [2, 2]);
    assert_eq!([put_by_its_own_name(1).await, relative(1).await], [3, 3]);
}
