//! A look-up whose read is carried with those of others: what comes before and after it takes no future.

use std::future::Future;
use std::pin::Pin;
use std::task::Waker;
use std::time::Duration;

use super::away::answered;
use super::judge::{Judged, Life, judge};
use super::{Found, Query, Wider};
use crate::clock::Instant;
use crate::near::{View, is_early};
use crate::store::{Carried, Read, Told, Trouble};
use crate::traced::Source;
use crate::value::Place;

/// A future of what is rare. Boxed, so that what is not is small.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<'a> Query<'a> {
    /// Joins those whose reads travel together; `None`: what there is is to be [fetched](Self::fetch).
    pub(crate) fn join(self, waker: &Waker) -> Option<(Option<View>, Carried)> {
        let remote = self.cache.remote.as_ref()?;
        remote.join((self.key, self.watch()), waker, || self.view())
    }

    /// What it amounts to that was told to one who had joined with this view, or how to find that out; `None`: it is a value
    /// that nobody else is to have, and in its place.
    pub(crate) fn hear(
        self,
        told: Told,
        view: Option<View>,
        place: Place<'_>,
    ) -> Result<Option<Found>, Boxed<'a, Found>> {
        let read = match (told, &self.cache.remote) {
            (Told::Read(read), Some(remote)) => remote.heard(self.key, read),
            (Told::Read(read), None) => read,
            (Told::AskAlone { since }, _) => {
                return Err(Box::pin(self.fetch_after(since, view)));
            }
        };
        let read = match answered(read, self.counters) {
            Ok(read) => read,
            Err(away) => return Ok(Some(self.find_here(view, away))),
        };
        if view.is_none() && self.take(&read, place).is_some() {
            self.counters.store_hits.one();
            return Ok(None);
        }
        match self.unpack(read, view) {
            Ok(answer) => Ok(Some(self.found(answer, view))),
            Err(wider) => Err(Box::pin(self.fetch_wider(wider, view))),
        }
    }

    /// Puts the value that was read into its place, if it may answer and calls for no other. `None` where there is more to be
    /// said or done, which is then left to whoever unpacks it.
    fn take(self, read: &Read, place: Place<'_>) -> Option<()> {
        judge(self, read, |judged| {
            let Judged { envelope, life } = *judged;
            let Life::Left(left) = life else {
                return None;
            };
            let took = Duration::from_millis(envelope.header.load_ms.into());
            if is_early(took, left, self.terms.early) {
                return None;
            }
            let keys = self.cache.config.encryption.as_ref();
            let payload = envelope.open(self.key.as_str(), keys).ok()?;
            let decoded = (self.kind.decode_into)(envelope.header.codec, &payload, place);
            let is_taken = decoded.ok()?;
            is_taken.then(|| self.note(Source::Redis, || judged.age()))
        })
        .ok()??
    }

    async fn fetch_after(self, since: Instant, view: Option<View>) -> Found {
        let read = match &self.cache.remote {
            Some(remote) => remote.look_up_after(self.key, self.watch(), since).await,
            None => Err(Trouble::Open),
        };
        self.answer(read, view).await
    }

    async fn fetch_wider(self, wider: Box<Wider>, view: Option<View>) -> Found {
        match self.ask_wider(wider).await {
            Ok(answer) => self.found(answer, view),
            Err(away) => self.find_here(view, away),
        }
    }
}
