//! foyer by hand: `get_or_fetch` by an owned key.

use foyer::{Cache, CacheBuilder};

use super::{Candidate, Outcome};
use crate::work::{self, Payload, ROOM, Video};

/// Without a time to live, which it does not know.
#[derive(Clone)]
pub struct Foyer<V>(Cache<(u64, String), V>)
where
    V: Clone + Send + Sync + 'static;

impl<V> Candidate for Foyer<V>
where
    V: Payload + Clone + Sync + From<Video>,
{
    type Value = V;

    async fn open(_redis: &str) -> Outcome<Self> {
        Ok(Self(CacheBuilder::new(ROOM as usize).build()))
    }

    async fn call(&self, id: u64, language: &str) -> V {
        let key = (id, language.to_owned());
        // The look-up first: fetching is its slow way, and boxes what it awaits.
        if let Some(entry) = self.0.get(&key) {
            return entry.value().clone();
        }
        let language = language.to_owned();
        let fetched = self.0.get_or_fetch(&key, || async move {
            Ok::<_, foyer::Error>(V::from(work::load(id, &language).await))
        });
        fetched.await.expect("the body succeeds").value().clone()
    }
}
