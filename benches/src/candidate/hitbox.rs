//! hitbox by its attribute: moka, Redis, and both composed, with the refill that is off by default.

use std::sync::Arc;

use hitbox::offload::OffloadManager;
use hitbox::policy::PolicyConfig;
use hitbox_backend::Compose;
use hitbox_backend::composition::CompositionBackend;
use hitbox_backend::composition::policy::RefillPolicy;
use hitbox_fn::{Cache, cached};
use hitbox_moka::MokaBackend;
use hitbox_redis::{ConnectionMode, RedisBackend};

use super::{Candidate, Outcome};
use crate::work::{self, ROOM, TTL, Video};

#[cached(prefix = "bench")]
async fn video(id: u64, language: String) -> Video {
    work::load(id, &language).await
}

fn policy() -> PolicyConfig {
    PolicyConfig::builder().ttl(TTL).build()
}

fn memory() -> MokaBackend {
    MokaBackend::builder().max_entries(ROOM).build()
}

fn remote(redis: &str) -> Outcome<RedisBackend> {
    let builder = RedisBackend::builder().connection(ConnectionMode::single(redis));
    Ok(builder.build()?)
}

/// A candidate whose cache is made by an expression over the address of the server.
macro_rules! candidate {
    ($name:ident, $backend:ty, |$redis:ident| $open:expr) => {
        #[derive(Clone)]
        pub struct $name(Arc<Cache<$backend>>);

        impl Candidate for $name {
            type Value = Video;

            async fn open($redis: &str) -> Outcome<Self> {
                let cache = Cache::builder().backend($open).policy(policy());
                Ok(Self(Arc::new(cache.build())))
            }

            async fn call(&self, id: u64, language: &str) -> Video {
                video(id, language.to_owned()).cache(&*self.0).await
            }
        }
    };
}

type Both = CompositionBackend<MokaBackend, RedisBackend, OffloadManager>;

candidate!(Memory, MokaBackend, |_redis| memory());
candidate!(Remote, RedisBackend, |redis| remote(redis)?);
candidate!(TwoTier, Both, |redis| memory()
    .compose(remote(redis)?, OffloadManager::with_defaults())
    .refill(RefillPolicy::Always));
