//! The runtime under another name.
#![deny(warnings)]

mod framework {
    pub use cache_runtime as cache;
}

#[framework::cache::cached(crate = framework::cache)]
async fn relative(id: u8) -> u8 {
    id
}

#[framework::cache::cache_invalidate(prefix = "a", crate = crate::framework::cache)]
async fn absolute(id: u8) -> u8 {
    id
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(relative(1).await, 1);
    assert_eq!(absolute(1).await, 1);
}
