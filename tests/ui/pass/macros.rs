//! Functions that a macro writes, and functions inside functions.
#![deny(warnings)]

use cache_runtime::{cache_invalidate, cached};

macro_rules! lookup {
    ($(#[$meta:meta])* $name:ident($argument:ident: $type:ty) -> $returned:ty, $ttl:expr, $prefix:literal, $body:expr) => {
        $(#[$meta])*
        #[cached(ttl = $ttl, prefix = $prefix)]
        async fn $name($argument: $type, call: u8) -> $returned {
            let key = 1;
            $body + key + call
        }
    };
}

lookup! {
    /// Documented.
    doubled(call: u8) -> u8, 60, "macros", call * 2
}

macro_rules! method {
    ($receiver:ident, $body:block) => {
        #[cached]
        async fn method(&$receiver) -> u8 $body
    };
}

#[derive(serde::Serialize)]
struct Counter(u8);

impl Counter {
    method!(self, { self.0 });
}

macro_rules! tagged {
    ($tag:literal, $near:literal, $near_ttl:expr, $coalesce:expr, $tags:expr) => {
        #[cached(tags = [$tag, "all"], near = $near, coalesce = $coalesce)]
        async fn tagged(id: u8) -> u8 {
            id
        }

        #[cached(tags = $tags, near_ttl = $near_ttl, stale_while_revalidate = $near_ttl)]
        async fn also_tagged(id: u8) -> u8 {
            id
        }

        #[cache_invalidate(tags = [$tag])]
        async fn untag(id: u8) -> u8 {
            id
        }
    };
}

tagged!("id:{id}", false, "5s", "fleet", ["id:{id}", "some"]);

macro_rules! whole {
    ($item:item) => {
        #[cached(key = "{id}")]
        $item
    };
}

whole! {
    async fn inside(id: u8) -> u8 {
        #[cached]
        async fn nested(id: u8) -> u8 {
            id + 1
        }

        #[cache_invalidate(prefix = "nested")]
        async fn forget() {}

        forget().await;
        nested(id).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(doubled(2, 10).await, 15);
    assert_eq!(Counter(3).method().await, 3);
    assert_eq!(tagged(1).await, 1);
    assert_eq!(also_tagged(1).await, 1);
    assert_eq!(untag(1).await, 1);
    assert_eq!(inside(1).await, 2);
}
