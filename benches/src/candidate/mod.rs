//! Who is measured: each candidate answers the same question in its own way, by hand or by its attribute.

use std::future::Future;

use crate::work::Payload;

pub mod array;
#[cfg(feature = "cached")]
pub mod cached;
#[cfg(feature = "foyer")]
pub mod foyer;
#[cfg(feature = "hitbox")]
pub mod hitbox;
#[cfg(feature = "memoize")]
pub mod memoize;
#[cfg(feature = "moka")]
pub mod moka;
#[cfg(feature = "multi-tier-cache")]
pub mod multi_tier;
pub mod ours;
#[cfg(feature = "quick_cache")]
pub mod quick_cache;
pub mod raw;

pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A cache in front of [`crate::work::load`].
pub trait Candidate: Clone + Send + Sync + 'static {
    type Value: Payload;

    /// Makes it ready; `redis` is where a server listens, for those that want one.
    fn open(redis: &str) -> impl Future<Output = Outcome<Self>> + Send;

    /// The cached call.
    fn call(&self, id: u64, language: &str) -> impl Future<Output = Self::Value> + Send;
}

/// Calls a generic async function with the candidate of that name.
macro_rules! with_candidate {
    ($name:expr, $function:ident($($argument:expr),*)) => {
        match $name {
            "ours_arc" => $function::<ours::Shared<ours::Process>>($($argument),*).await,
            "ours_clone" => $function::<ours::Cloned<ours::Process>>($($argument),*).await,
            "ours_tracked" => $function::<ours::Shared<ours::Front>>($($argument),*).await,
            "ours_tracked_clone" => $function::<ours::Cloned<ours::Front>>($($argument),*).await,
            "ours_redis" => $function::<ours::Distant>($($argument),*).await,
            "array_arc" => $function::<array::Array<std::sync::Arc<crate::work::Video>>>($($argument),*).await,
            "array_clone" => $function::<array::Array<crate::work::Video>>($($argument),*).await,
            "far_clone" => $function::<array::Far<crate::work::Video>>($($argument),*).await,
            "raw_redis" => $function::<raw::Raw>($($argument),*).await,
            #[cfg(feature = "cached")]
            "cached_arc" => $function::<cached::PlainShared>($($argument),*).await,
            #[cfg(feature = "cached")]
            "cached_clone" => $function::<cached::PlainCloned>($($argument),*).await,
            #[cfg(feature = "cached")]
            "cached_sharded_arc" => $function::<cached::ShardedShared>($($argument),*).await,
            #[cfg(feature = "cached")]
            "cached_sharded_clone" => $function::<cached::ShardedCloned>($($argument),*).await,
            #[cfg(feature = "cached")]
            "cached_redis" => $function::<cached::Remote>($($argument),*).await,
            #[cfg(feature = "cached")]
            "cached_client_side" => $function::<cached::ClientSide>($($argument),*).await,
            #[cfg(feature = "memoize")]
            "memoize_arc" => $function::<memoize::Shared>($($argument),*).await,
            #[cfg(feature = "memoize")]
            "memoize_clone" => $function::<memoize::Cloned>($($argument),*).await,
            #[cfg(feature = "moka")]
            "moka_arc" => $function::<moka::Moka<std::sync::Arc<crate::work::Video>>>($($argument),*).await,
            #[cfg(feature = "moka")]
            "moka_clone" => $function::<moka::Moka<crate::work::Video>>($($argument),*).await,
            #[cfg(feature = "quick_cache")]
            "quick_cache_arc" => $function::<quick_cache::Quick<std::sync::Arc<crate::work::Video>>>($($argument),*).await,
            #[cfg(feature = "quick_cache")]
            "quick_cache_clone" => $function::<quick_cache::Quick<crate::work::Video>>($($argument),*).await,
            #[cfg(feature = "quick_cache")]
            "quick_cache_borrowed" => $function::<quick_cache::Borrowed>($($argument),*).await,
            #[cfg(feature = "foyer")]
            "foyer_arc" => $function::<foyer::Foyer<std::sync::Arc<crate::work::Video>>>($($argument),*).await,
            #[cfg(feature = "foyer")]
            "foyer_clone" => $function::<foyer::Foyer<crate::work::Video>>($($argument),*).await,
            #[cfg(feature = "hitbox")]
            "hitbox" => $function::<hitbox::Memory>($($argument),*).await,
            #[cfg(feature = "hitbox")]
            "hitbox_two_tier" => $function::<hitbox::TwoTier>($($argument),*).await,
            #[cfg(feature = "hitbox")]
            "hitbox_redis" => $function::<hitbox::Remote>($($argument),*).await,
            #[cfg(feature = "multi-tier-cache")]
            "multi_tier" => $function::<multi_tier::TwoTier>($($argument),*).await,
            #[cfg(feature = "multi-tier-cache")]
            "multi_tier_redis" => $function::<multi_tier::Remote>($($argument),*).await,
            unknown => Err(format!("no candidate {unknown} in this build").into()),
        }
    };
}
pub(crate) use with_candidate;
