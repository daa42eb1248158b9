//! `cached` by its attributes: one lock around a map, its sharded store, Redis, and Redis with client-side caching.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use cached::AsyncRedisCache;
use cached::macros::{cached, concurrent_cached};

use super::{Candidate, Outcome};
use crate::work::{self, TTL, Video};

static REDIS: OnceLock<String> = OnceLock::new();

#[cached]
async fn plain_shared(id: u64, language: &str) -> Arc<Video> {
    Arc::new(work::load(id, language).await)
}

#[cached]
async fn plain_cloned(id: u64, language: &str) -> Video {
    work::load(id, language).await
}

#[concurrent_cached]
async fn sharded_shared(id: u64, language: &str) -> Arc<Video> {
    Arc::new(work::load(id, language).await)
}

#[concurrent_cached]
async fn sharded_cloned(id: u64, language: &str) -> Video {
    work::load(id, language).await
}

async fn store(name: &str, client_side: bool) -> AsyncRedisCache<String, Video> {
    AsyncRedisCache::builder(name)
        .ttl(TTL)
        .connection_string(REDIS.get().expect("the candidate was opened"))
        .client_side_caching(client_side)
        .build()
        .await
        .expect("the server answers")
}

#[concurrent_cached(
    map_error = |error| unreachable(error),
    ty = "AsyncRedisCache<String, Video>",
    create = { store("bench", false).await },
    convert = { format!("{id}:{language}") }
)]
async fn remote(id: u64, language: &str) -> Result<Video, Infallible> {
    Ok(work::load(id, language).await)
}

#[concurrent_cached(
    map_error = |error| unreachable(error),
    ty = "AsyncRedisCache<String, Video>",
    create = { store("bench-client-side", true).await },
    convert = { format!("{id}:{language}") }
)]
async fn client_side(id: u64, language: &str) -> Result<Video, Infallible> {
    Ok(work::load(id, language).await)
}

fn unreachable(error: impl std::fmt::Debug) -> Infallible {
    panic!("the server answers: {error:?}")
}

/// A candidate that calls one of the functions above.
macro_rules! candidate {
    ($name:ident, $value:ty, $function:ident $(, $unwrap:ident)?) => {
        #[derive(Debug, Clone)]
        pub struct $name;

        impl Candidate for $name {
            type Value = $value;

            async fn open(redis: &str) -> Outcome<Self> {
                REDIS.get_or_init(|| redis.to_owned());
                Ok(Self)
            }

            async fn call(&self, id: u64, language: &str) -> Self::Value {
                $function(id, language).await$(.$unwrap())?
            }
        }
    };
}

candidate!(PlainShared, Arc<Video>, plain_shared);
candidate!(PlainCloned, Video, plain_cloned);
candidate!(ShardedShared, Arc<Video>, sharded_shared);
candidate!(ShardedCloned, Video, sharded_cloned);
candidate!(Remote, Video, remote, unwrap);
candidate!(ClientSide, Video, client_side, unwrap);
