//! Many entries looked up at once.

use super::{Found, Query};
use crate::store::Trouble;
use crate::together::{Part, together};

/// Entries in one request: a server does nothing else while it answers one.
const MOST: usize = 512;

/// What the tier in use has of each of these entries of one cache, in their order. Redis is asked in one round trip, or one
/// for every [`MOST`].
pub(crate) async fn fetch_many(queries: &[Query<'_>]) -> Vec<Found> {
    let mut found = Vec::with_capacity(queries.len());
    for some in queries.chunks(MOST) {
        found.extend(fetch_some(some).await);
    }
    found
}

async fn fetch_some(queries: &[Query<'_>]) -> Vec<Found> {
    // Before the read: what is heard from here on is newer than what it finds.
    let views = queries.iter().map(|query| query.view());
    let views: Vec<_> = views.collect();
    let remote = queries
        .first()
        .and_then(|query| query.cache.remote.as_ref());
    let asked = match remote {
        Some(remote) => {
            let keys: Vec<_> = queries.iter().map(|query| query.key.clone()).collect();
            remote.look_up_each(&keys, true).await
        }
        None => Err(Trouble::Open),
    };
    let reads = match asked {
        Ok(reads) => reads,
        Err(trouble) => queries.iter().map(|_| Err(trouble.clone())).collect(),
    };
    let mut found: Vec<Option<Found>> = queries.iter().map(|_| None).collect();
    let answers = queries.iter().zip(reads).zip(views).zip(&mut found);
    // Together, since one that was stored under further groups is asked for again.
    let answers = answers.map(|(((query, read), view), found)| -> Part<'_> {
        Box::pin(async move { *found = Some(query.answer(read, view).await) })
    });
    together(answers.collect()).await;
    found.into_iter().flatten().collect()
}
