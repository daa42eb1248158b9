use without::cached;

/// The runtime as it is built without the feature `compression`.
mod without {
    pub use cache_runtime::cached;
    pub mod __private {
        pub use cache_runtime::__private::*;
        pub struct Compression;
    }
}

#[cached(compress = true, crate = crate::without)]
async fn get_user(id: u64) -> String {
    id.to_string()
}

#[cached(compress = false, crate = crate::without)]
async fn get_name(id: u64) -> String {
    id.to_string()
}

fn main() {}
