//! The hits that are counted: one task, one thread, a fixed number.

use std::hint::black_box;
use std::time::Duration;

use cache_runtime::{Cache, CacheBuilder, Mode, cached};
use serde::{Deserialize, Serialize};

use crate::Outcome;

/// Keys go round, so that what one key finds in a processor's or a table's first place is not all there is.
const KEYS: u64 = 100;

/// Tasks where there are many.
const TASKS: u64 = 256;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Video {
    id: u64,
    title: String,
    language: String,
    seconds: u32,
    tags: Vec<String>,
}

impl Video {
    fn new(id: u64, language: &str) -> Self {
        Self {
            id,
            title: format!("A video with a title of usual length, number {id}"),
            language: language.to_owned(),
            seconds: 5_400,
            tags: vec!["documentary".to_owned(), "nature".to_owned()],
        }
    }
}

#[cached(ttl = "1h", prefix = "count")]
async fn kept(id: u64, language: &str) -> std::sync::Arc<Video> {
    std::sync::Arc::new(Video::new(id, language))
}

#[cached(ttl = "1h", prefix = "count", near = false)]
async fn distant(id: u64, language: &str) -> Video {
    Video::new(id, language)
}

/// Callgrind slows all down fifty times, and no deadline is to pass meanwhile.
fn builder() -> CacheBuilder {
    Cache::builder()
        .connect_timeout(Duration::from_secs(60))
        .response_timeout(Duration::from_secs(60))
}

fn run(work: impl Future<Output = Outcome<()>>) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

pub(crate) fn near(hits: &str) -> Outcome<()> {
    let hits: u64 = hits.parse()?;
    run(async move {
        cache_runtime::install(builder().open().await?)?;
        for number in 0..KEYS + hits {
            black_box(kept(black_box(number % KEYS), "en").await);
        }
        expect_hits(hits)
    })
}

pub(crate) fn redis(hits: &str, redis: &str) -> Outcome<()> {
    let hits: u64 = hits.parse()?;
    run(async move {
        let cache = builder().redis_url(redis).open().await?;
        if cache.mode() != Mode::Redis {
            return Err(format!("no server answers at {redis}").into());
        }
        cache_runtime::install(cache)?;
        for number in 0..KEYS + hits {
            black_box(distant(black_box(number % KEYS), "en").await);
        }
        expect_hits(hits)
    })
}

/// Hits of many tasks, which travel together.
pub(crate) fn redis_of_many(hits: &str, redis: &str) -> Outcome<()> {
    let hits: u64 = hits.parse()?;
    let redis = redis.to_owned();
    run(async move {
        let cache = builder().redis_url(&redis).open().await?;
        if cache.mode() != Mode::Redis {
            return Err(format!("no server answers at {redis}").into());
        }
        cache_runtime::install(cache)?;
        for number in 0..KEYS {
            black_box(distant(black_box(number), "en").await);
        }
        let tasks = (0..TASKS).map(|task| {
            tokio::spawn(async move {
                for number in task..task + hits.div_ceil(TASKS) {
                    black_box(distant(black_box(number % KEYS), "en").await);
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await?;
        }
        expect_hits(hits)
    })
}

/// Nothing else was counted than what the name says.
fn expect_hits(hits: u64) -> Outcome<()> {
    let found = cache_runtime::cache().stats().hits;
    match found >= hits {
        true => Ok(()),
        false => Err(format!("{found} hits, and not {hits}").into()),
    }
}
