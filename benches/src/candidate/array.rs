//! No cache at all: the values in an array, where a hit is the clone alone. What no cache can be quicker than.

use std::sync::Arc;

use super::{Candidate, Outcome};
use crate::work::{KEYS, LANGUAGE, Payload, Video};

/// What an entry of a cache takes beside its value, about.
const BESIDE: usize = 500;

#[derive(Clone)]
pub struct Array<V>(Arc<[V]>);

/// The values as far away as those of a cache that is asked without its type, and as far from each other: the array has
/// pointers to entries, and these have pointers to the values.
#[derive(Clone)]
pub struct Far<V>(Arc<[Box<Entry<V>>]>);

struct Entry<V> {
    before: [u64; 6],
    value: Arc<V>,
    after: [u64; 7],
    _beside: Box<[u8]>,
}

fn values<V: From<Video>>() -> impl Iterator<Item = V> {
    (0..KEYS).map(|id| V::from(Video::new(id, LANGUAGE)))
}

fn place(id: u64) -> usize {
    usize::try_from(id).expect("there are few")
}

impl<V> Candidate for Array<V>
where
    V: Payload + Clone + Sync + From<Video>,
{
    type Value = V;

    async fn open(_redis: &str) -> Outcome<Self> {
        Ok(Self(values().collect()))
    }

    async fn call(&self, id: u64, _language: &str) -> V {
        self.0[place(id)].clone()
    }
}

impl<V> Candidate for Far<V>
where
    V: Payload + Clone + Sync + From<Video>,
{
    type Value = V;

    async fn open(_redis: &str) -> Outcome<Self> {
        let entry = |value| {
            Box::new(Entry {
                before: [0; 6],
                value: Arc::new(value),
                after: [0; 7],
                _beside: vec![0; BESIDE].into(),
            })
        };
        Ok(Self(values().map(entry).collect()))
    }

    async fn call(&self, id: u64, _language: &str) -> V {
        let entry = &self.0[place(id)];
        // As a cache looks at more of an entry than where its value is.
        assert_eq!(entry.before[0], entry.after[6]);
        V::clone(&entry.value)
    }
}
