//! This project: annotated functions, in process, in front of Redis, and with every read asking Redis.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_runtime::{Cache, CacheBuilder, Mode, cached};

use super::{Candidate, Outcome};
use crate::work::{self, ROOM, TTL, Video};

#[cached(ttl = "1h", prefix = "bench")]
pub async fn shared(id: u64, language: &str) -> Arc<Video> {
    Arc::new(work::load(id, language).await)
}

#[cached(ttl = "1h", prefix = "bench")]
pub async fn cloned(id: u64, language: &str) -> Video {
    work::load(id, language).await
}

#[cached(ttl = "1h", prefix = "bench", near = false)]
pub async fn distant(id: u64, language: &str) -> Video {
    work::load(id, language).await
}

/// Where the entries are.
pub trait Place: Send + Sync + 'static {
    fn open(redis: &str) -> impl Future<Output = Outcome<()>> + Send;
}

/// In the process alone.
#[derive(Debug)]
pub struct Process;

/// In the process, in front of Redis.
#[derive(Debug)]
pub struct Front;

fn builder() -> CacheBuilder {
    Cache::builder()
        .default_ttl(TTL)
        .max_entries(ROOM)
        .memory_limit(8 << 30)
        // A benchmark wants to see the time, not the refusal to wait for it.
        .connect_timeout(Duration::from_secs(10))
        .response_timeout(Duration::from_secs(10))
}

/// A cache on that server, once it answers.
pub async fn on_redis(redis: &str) -> Outcome<Cache> {
    on_redis_with(redis, true).await
}

/// The same, with or without a tier in the process.
pub async fn on_redis_with(redis: &str, near: bool) -> Outcome<Cache> {
    let start = Instant::now();
    loop {
        let cache = builder().redis_url(redis).near(near).open().await?;
        if cache.mode() == Mode::Redis {
            return Ok(cache);
        }
        if start.elapsed() > Duration::from_secs(20) {
            return Err(format!("no server answers at {redis}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Place for Process {
    async fn open(_redis: &str) -> Outcome<()> {
        Ok(cache_runtime::install(builder().open().await?)?)
    }
}

impl Place for Front {
    async fn open(redis: &str) -> Outcome<()> {
        Ok(cache_runtime::install(on_redis(redis).await?)?)
    }
}

/// What is cached is behind an `Arc`.
#[derive(Debug)]
pub struct Shared<P>(PhantomData<P>);

/// What is cached is cloned for each caller.
#[derive(Debug)]
pub struct Cloned<P>(PhantomData<P>);

/// Every read asks Redis.
#[derive(Debug, Clone)]
pub struct Distant;

impl<P> Clone for Shared<P> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<P> Clone for Cloned<P> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<P: Place> Candidate for Shared<P> {
    type Value = Arc<Video>;

    async fn open(redis: &str) -> Outcome<Self> {
        P::open(redis).await?;
        Ok(Self(PhantomData))
    }

    fn call(&self, id: u64, language: &str) -> impl Future<Output = Self::Value> + Send {
        shared(id, language)
    }
}

impl<P: Place> Candidate for Cloned<P> {
    type Value = Video;

    async fn open(redis: &str) -> Outcome<Self> {
        P::open(redis).await?;
        Ok(Self(PhantomData))
    }

    fn call(&self, id: u64, language: &str) -> impl Future<Output = Self::Value> + Send {
        cloned(id, language)
    }
}

impl Candidate for Distant {
    type Value = Video;

    async fn open(redis: &str) -> Outcome<Self> {
        Front::open(redis).await?;
        Ok(Self)
    }

    fn call(&self, id: u64, language: &str) -> impl Future<Output = Self::Value> + Send {
        distant(id, language)
    }
}
