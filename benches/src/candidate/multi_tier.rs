//! multi-tier-cache by hand, which is the only way it has: moka in front of Redis, and Redis alone.

use std::sync::Arc;

use multi_tier_cache::{
    CacheManager, CacheStrategy, CacheSystemBuilder, MokaCacheConfig, RedisCache, TierConfig,
};

use super::{Candidate, Outcome};
use crate::work::{self, ROOM, TTL, Video};

async fn video(manager: &CacheManager, id: u64, language: &str) -> Video {
    let key = format!("video:{id}:{language}");
    let strategy = CacheStrategy::Custom(TTL);
    let load = || async { Ok(work::load(id, language).await) };
    let video = manager.get_or_compute_typed(&key, strategy, load).await;
    video.expect("the server answers")
}

#[derive(Clone)]
pub struct TwoTier(Arc<CacheManager>);

#[derive(Clone)]
pub struct Remote(Arc<CacheManager>);

impl Candidate for TwoTier {
    type Value = Video;

    async fn open(redis: &str) -> Outcome<Self> {
        let memory = MokaCacheConfig {
            max_capacity: ROOM,
            time_to_live: TTL,
            time_to_idle: TTL,
        };
        let system = CacheSystemBuilder::new()
            .with_moka_config(memory)
            .with_l2(Arc::new(RedisCache::with_url(redis).await?))
            .build()
            .await?;
        Ok(Self(Arc::clone(system.cache_manager())))
    }

    async fn call(&self, id: u64, language: &str) -> Video {
        video(&self.0, id, language).await
    }
}

impl Candidate for Remote {
    type Value = Video;

    async fn open(redis: &str) -> Outcome<Self> {
        let remote = Arc::new(RedisCache::with_url(redis).await?);
        let system = CacheSystemBuilder::new()
            .with_tier(remote, TierConfig::as_l1())
            .build()
            .await?;
        Ok(Self(Arc::clone(system.cache_manager())))
    }

    async fn call(&self, id: u64, language: &str) -> Video {
        video(&self.0, id, language).await
    }
}
