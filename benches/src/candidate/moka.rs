//! moka by hand: `get` by an owned key, then `get_with`, as its documentation shows.

use std::sync::Arc;

use moka::future::Cache;

use super::{Candidate, Outcome};
use crate::work::{self, Payload, ROOM, TTL, Video};

#[derive(Clone)]
pub struct Moka<V>(Cache<(u64, String), V>)
where
    V: Clone + Send + Sync + 'static;

impl<V> Candidate for Moka<V>
where
    V: Payload + Clone + Sync + From<Video>,
{
    type Value = V;

    async fn open(_redis: &str) -> Outcome<Self> {
        let cache = Cache::builder().max_capacity(ROOM).time_to_live(TTL);
        Ok(Self(cache.build()))
    }

    async fn call(&self, id: u64, language: &str) -> V {
        let key = (id, language.to_owned());
        if let Some(value) = self.0.get(&key).await {
            return value;
        }
        let load = async { V::from(work::load(id, language).await) };
        self.0.get_with(key, load).await
    }
}

/// What moka itself keeps for an entry is measured with the key and the value that ours has.
pub fn of_texts() -> moka::sync::Cache<Arc<str>, Arc<Video>> {
    moka::sync::Cache::builder()
        .max_capacity(ROOM)
        .time_to_live(TTL)
        .build()
}
