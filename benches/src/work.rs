//! The work that every candidate does: a video of five heap allocations, named by a number and a language.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How many keys there are where there is more than one.
pub const KEYS: u64 = 10_000;

/// The second part of every key.
pub const LANGUAGE: &str = "en";

/// How long every candidate keeps its entries: longer than any run.
pub const TTL: Duration = Duration::from_secs(3_600);

/// Room for all entries of a scenario, so that nothing is evicted.
pub const ROOM: u64 = 1_000_000;

static BODIES: AtomicU64 = AtomicU64::new(0);
static BODY_MILLIS: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "hitbox", derive(hitbox_fn::CacheableResponse))]
pub struct Video {
    pub id: u64,
    pub title: String,
    pub language: String,
    pub seconds: u32,
    pub tags: Vec<String>,
}

impl Video {
    pub fn new(id: u64, language: &str) -> Self {
        Self {
            id,
            title: format!("A video with a title of usual length, number {id}"),
            language: language.to_owned(),
            seconds: 5_400,
            tags: vec!["documentary".to_owned(), "nature".to_owned()],
        }
    }
}

/// A video as a candidate returns it.
pub trait Payload: Send + 'static {
    fn video(&self) -> &Video;
}

impl Payload for Video {
    fn video(&self) -> &Video {
        self
    }
}

impl Payload for Arc<Video> {
    fn video(&self) -> &Video {
        self
    }
}

/// The body of every cached function.
pub async fn load(id: u64, language: &str) -> Video {
    BODIES.fetch_add(1, Relaxed);
    let millis = BODY_MILLIS.load(Relaxed);
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    Video::new(id, language)
}

/// The same for functions that are not async.
pub fn load_now(id: u64, language: &str) -> Video {
    BODIES.fetch_add(1, Relaxed);
    Video::new(id, language)
}

/// How often a body has run.
pub fn bodies() -> u64 {
    BODIES.load(Relaxed)
}

/// From here on a body takes so long.
pub fn slow_bodies(time: Duration) {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    BODY_MILLIS.store(millis, Relaxed);
}

/// Which keys are asked for, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// One key, over and over.
    Hot,
    /// [`KEYS`] of them by Zipf's law with exponent 0.99, the same sequence in every run.
    Zipf,
    /// [`KEYS`] of them, each as often as any other.
    Uniform,
}

impl Keys {
    /// How many different keys there are.
    pub fn count(self) -> u64 {
        match self {
            Self::Hot => 1,
            Self::Zipf | Self::Uniform => KEYS,
        }
    }

    /// A sequence of keys to go round in; sixteen thousand, which stay in the processor's cache.
    pub fn sequence(self) -> Arc<[u32]> {
        const LENGTH: usize = 1 << 14;
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        match self {
            Self::Hot => vec![0; LENGTH].into(),
            Self::Uniform => (0..LENGTH)
                .map(|_| u32::try_from(random.next() % KEYS).unwrap_or(0))
                .collect(),
            Self::Zipf => {
                let mut sum = 0.0;
                let sums: Vec<f64> = (1..=KEYS)
                    .map(|rank| {
                        sum += (rank as f64).powf(-0.99);
                        sum
                    })
                    .collect();
                (0..LENGTH)
                    .map(|_| {
                        let point = (random.next() >> 11) as f64 / (1_u64 << 53) as f64 * sum;
                        let rank = sums.partition_point(|&sum| sum < point) as u64;
                        // Neighbours in rank are no neighbours in memory.
                        u32::try_from(rank * 7_919 % KEYS).unwrap_or(0)
                    })
                    .collect()
            }
        }
    }
}

/// SplitMix64: the same numbers in every run.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
