//! A look-up whose read is carried with those of others: what comes before and after it takes no future.

use std::future::Future;
use std::pin::Pin;
use std::task::Waker;

use super::away::answered;
use super::{Found, Query, Wider};
use crate::clock::Instant;
use crate::near::View;
use crate::store::{Carried, Told, Trouble};

/// A future of what is rare. Boxed, so that what is not is small.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<'a> Query<'a> {
    /// Joins those whose reads travel together; `None`: what there is is to be [fetched](Self::fetch).
    pub(crate) fn join(self, waker: &Waker) -> Option<(Option<View>, Carried)> {
        let remote = self.cache.remote.as_ref()?;
        remote.join((self.key, self.watch()), waker, || self.view())
    }

    /// What it amounts to that was told to one who had joined with this view, or how to find that out.
    pub(crate) fn hear(self, told: Told, view: Option<View>) -> Result<Found, Boxed<'a, Found>> {
        let read = match (told, &self.cache.remote) {
            (Told::Read(read), Some(remote)) => remote.heard(self.key, read),
            (Told::Read(read), None) => read,
            (Told::AskAlone { since }, _) => {
                return Err(Box::pin(self.fetch_after(since, view)));
            }
        };
        let unpacked = match answered(read, self.counters) {
            Ok(read) => self.unpack(read, view),
            Err(away) => return Ok(self.find_here(view, away)),
        };
        match unpacked {
            Ok(answer) => Ok(self.found(answer, view)),
            Err(wider) => Err(Box::pin(self.fetch_wider(wider, view))),
        }
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
