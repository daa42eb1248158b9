//! One entry, read from and packed for the tiers.

mod away;
mod carried;
mod judge;
mod kept;
mod many;
mod parcel;
mod standing;
mod times;

use std::sync::Arc;
use std::time::Duration;

use crate::inner::Inner;
use crate::intent::Intent;
use crate::key::{Key, Tags};
use crate::log;
use crate::near::{Asker, Caller, Kept, View, is_early};
use crate::policy::{Age, Coalesce, Terms};
use crate::seen::{Seen, SeenRemote};
use crate::stats::Counters;
use crate::store::{Read, Trouble, Watch};
use crate::traced::{Source, Trace};
use crate::value::envelope::{Envelope, Generations};
use crate::value::{Identity, Kind, Shared};
use away::{Away, answered};
use judge::{Judged, Life, Mismatch, judge, seen_in};
pub(crate) use many::fetch_many;
pub(crate) use parcel::Parcel;
pub(crate) use standing::{Standing, anybody, left_near, standing, stands_near};
pub(crate) use times::Times;

/// What a look-up found. Small, since every hit hands it on.
pub(crate) enum Found {
    Value(Shared),
    /// It calls for another one, and is of use until that is there.
    Aged(Aged, Box<Seen>),
    Nothing(Box<Seen>),
}

/// A value that has expired, or is to be loaded early.
pub(crate) struct Aged {
    pub(crate) value: Shared,
    pub(crate) age: Age,
}

/// What Redis has of a key.
enum Answer {
    Value(Shared),
    Aged(Aged, Box<SeenRemote>),
    Nothing(Box<SeenRemote>),
}

/// One question: which entry of which cache, of what type, kept on which terms. It is handed on from future to future, so it
/// only borrows.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a> {
    pub(crate) cache: &'a Arc<Inner>,
    pub(crate) key: &'a Key,
    pub(crate) kind: &'a Kind,
    pub(crate) terms: &'a Terms,
    pub(crate) counters: &'a Arc<Counters>,
    /// Where it is noted what the answer is and how old; `None` where nobody asks.
    pub(crate) trace: Option<&'a Intent>,
}

/// Shows what the in-process tier has, if there is something; answers what `take` does.
pub(crate) fn near(
    cache: &Inner,
    name: (&str, Option<Caller<'_>>),
    (asker, identity): (Asker, Identity),
    mut take: impl FnMut(&Kept) -> bool,
) -> bool {
    let take = |kept: &Kept| kept.identity() == identity && take(kept);
    cache.near.hit(name, asker, take)
}

impl Query<'_> {
    /// Looks in the process, and then in Redis while it answers.
    pub(crate) async fn look_up(self) -> Found {
        match self.near() {
            Some(value) => Found::Value(value),
            None => self.fetch().await,
        }
    }

    /// Who keeps nothing in process, and waits for no other process, has no use for being told of changes.
    fn watch(self) -> Watch {
        match self.terms.near.allow() || self.terms.coalesce == Coalesce::Fleet {
            true => Watch::Kept,
            false => Watch::None,
        }
    }

    fn asker(self) -> Asker {
        Asker::new(self.key.origin(), self.terms)
    }

    /// The value in the in-process tier, counted.
    pub(crate) fn near(self) -> Option<Shared> {
        if !self.terms.near.allow() {
            return None;
        }
        let asked = (self.asker(), self.kind.identity());
        let mut found = None;
        let take = |kept: &Kept| {
            self.note(Source::Near, || kept.age());
            found = Some(Arc::clone(kept.value()));
            true
        };
        if near(self.cache, (self.key.as_str(), None), asked, take) {
            self.counters.near_hit();
        }
        found
    }

    /// Notes what was found, for whoever asks.
    fn note(self, source: Source, age: impl FnOnce() -> Duration) {
        if let Some(intent) = self.trace {
            intent.note(Trace::found(source, age()));
        }
    }

    /// The state of the near tier before a read whose value may be kept there; `None` where none is.
    pub(crate) fn view(self) -> Option<View> {
        // Before the read: what is heard from here on is newer than what it finds.
        let is_kept = self.terms.near.allow();
        is_kept.then(|| self.cache.near.view(self.key))
    }

    /// The view of one who found nothing to return. Where nothing that was read is kept it may be younger than the read: a load
    /// that he begins is younger still, and one that he joins, under the same view, is no older than what had ended before he
    /// came.
    fn viewed(self, view: Option<View>) -> View {
        view.unwrap_or_else(|| self.cache.near.view(self.key))
    }

    /// Looks in the tier that is in use: Redis while it answers, else the process.
    pub(crate) async fn fetch(self) -> Found {
        let view = self.view();
        match self.ask_redis(view).await {
            Ok(answer) => self.found(answer, view),
            Err(away) => self.find_here(view, away),
        }
    }

    /// The same for a leader, whom others follow. While Redis does not answer it finds nothing that is fresh: what the process
    /// has is its own alone, and looked for once it knows that it goes without Redis.
    pub(crate) async fn fetch_to_share(self) -> Found {
        let view = self.view();
        match self.ask_redis(view).await {
            Ok(answer) => self.found(answer, view),
            Err(away) => self.nothing_here(view, away),
        }
    }

    /// What the answer of Redis to a look-up amounts to, or that there is none.
    pub(crate) async fn answer(self, read: Result<Read, Trouble>, view: Option<View>) -> Found {
        let answer = match answered(read, self.counters) {
            Ok(read) => self.weigh(read, view).await,
            Err(away) => Err(away),
        };
        match answer {
            Ok(answer) => self.found(answer, view),
            Err(away) => self.find_here(view, away),
        }
    }

    fn found(self, answer: Answer, view: Option<View>) -> Found {
        let seen = |remote: Box<SeenRemote>| {
            Box::new(Seen {
                near: self.viewed(view),
                remote: Some(*remote),
                failed: false,
            })
        };
        match answer {
            Answer::Value(value) => {
                self.counters.store_hits.one();
                Found::Value(value)
            }
            Answer::Aged(aged, remote) => Found::Aged(aged, seen(remote)),
            Answer::Nothing(remote) => Found::Nothing(seen(remote)),
        }
    }

    /// What the process has, while Redis is not there or does not answer.
    fn find_here(self, view: Option<View>, away: Away) -> Found {
        if let Some(value) = self.near() {
            return Found::Value(value);
        }
        self.nothing_here(view, away)
    }

    fn nothing_here(self, view: Option<View>, away: Away) -> Found {
        let seen = Box::new(Seen {
            near: self.viewed(view),
            remote: None,
            failed: away == Away::Failed,
        });
        match self.aged_here() {
            Some(aged) => Found::Aged(aged, seen),
            None => Found::Nothing(seen),
        }
    }

    /// A value in the process that calls for another one.
    fn aged_here(self) -> Option<Aged> {
        let window = self.terms.stale.longest();
        if (window.is_zero() && self.terms.early <= 0.0) || !self.terms.near.allow() {
            return None;
        }
        let (key, asker) = (self.key.as_str(), self.asker());
        let (kept, since) = self.cache.near.get_aged(key, asker, window)?;
        let age = match since.is_zero() {
            true => Age::Early,
            false => Age::Expired(since),
        };
        if kept.identity() != self.kind.identity() {
            return None;
        }
        self.note(Source::Near, || kept.age());
        let value = Arc::clone(kept.value());
        Some(Aged { value, age })
    }

    /// What Redis has.
    async fn ask_redis(self, view: Option<View>) -> Result<Answer, Away> {
        let remote = self.cache.remote.as_ref().ok_or(Away::Known)?;
        let read = answered(remote.look_up(self.key, self.watch()).await, self.counters)?;
        self.weigh(read, view).await
    }

    async fn weigh(self, read: Read, view: Option<View>) -> Result<Answer, Away> {
        match self.unpack(read, view) {
            Ok(answer) => Ok(answer),
            Err(wider) => Box::pin(self.ask_wider(wider)).await,
        }
    }

    /// Asks again, for the further levels or tags that an entry was stored under than the asker knows of.
    async fn ask_wider(self, wider: Box<Wider>) -> Result<Answer, Away> {
        let remote = self.cache.remote.as_ref().ok_or(Away::Known)?;
        let Wider { levels, tags, read } = *wider;
        let key = self.key.widened(levels, tags);
        let query = Query { key: &key, ..self };
        let view = query.view();
        let again = answered(remote.look_up(&key, self.watch()).await, self.counters)?;
        // Older than the second answer, so that a fill under them is no younger than it says.
        let older = |mut seen: Box<SeenRemote>| {
            seen.generations = read.generations().clone();
            seen
        };
        Ok(match query.unpack(again, view) {
            Ok(Answer::Value(value)) => Answer::Value(value),
            Ok(Answer::Aged(aged, seen)) => Answer::Aged(aged, older(seen)),
            Ok(Answer::Nothing(seen)) => Answer::Nothing(older(seen)),
            // It is stored under others by now.
            Err(wider) => Answer::Nothing(older(seen_in(&wider.read))),
        })
    }

    /// The value of an entry that may answer, which is kept in process as well; else what was seen.
    fn unpack(self, read: Read, view: Option<View>) -> Result<Answer, Box<Wider>> {
        let opened = judge(self, &read, |judged| {
            let Judged { envelope, life } = *judged;
            let value = self.open(envelope);
            if value.is_some() {
                self.note(Source::Redis, || judged.age());
            }
            let age = match life {
                Life::Expired(since) => Some(Age::Expired(since)),
                Life::Left(left) => {
                    let header = &envelope.header;
                    let took = Duration::from_millis(header.load_ms.into());
                    if let (Some(value), Some(view)) = (&value, view) {
                        let age = judged.age();
                        let entry = (header.origin, Times { left, took, age });
                        self.keep(value, entry, view, read.teller());
                    }
                    is_early(took, left, self.terms.early).then_some(Age::Early)
                }
            };
            (value, age)
        });
        let (value, age) = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) => (None, None),
            Err(Mismatch::Wider { levels, tags }) => {
                return Err(Box::new(Wider { levels, tags, read }));
            }
            Err(Mismatch::Rejected(rejected)) => {
                self.counters.errors.one();
                log::rejected(self.key.as_str(), &rejected);
                (None, None)
            }
            Err(mismatch) => {
                log::rejected(self.key.as_str(), &format_args!("{mismatch:?}"));
                (None, None)
            }
        };
        Ok(match (value, age) {
            (Some(value), None) => Answer::Value(value),
            (Some(value), Some(age)) => Answer::Aged(Aged { value, age }, seen_in(&read)),
            (None, _) => Answer::Nothing(seen_in(&read)),
        })
    }

    /// The value in an envelope, decrypted where it is to be, and decoded.
    fn open(self, envelope: &Envelope<'_>) -> Option<Shared> {
        let reject = |problem: &dyn std::fmt::Display| {
            self.counters.errors.one();
            log::rejected(self.key.as_str(), problem);
        };
        let keys = self.cache.config.encryption.as_ref();
        let opened = envelope.open(self.key.as_str(), keys);
        let payload = opened.inspect_err(|rejected| reject(rejected)).ok()?;
        let decoded = (self.kind.decode)(envelope.header.codec, &payload);
        decoded.inspect_err(|problem| reject(problem)).ok()
    }
}

/// An entry that names other levels or tags than were asked for, and what was read with it.
struct Wider {
    levels: usize,
    tags: Tags,
    read: Read,
}

/// The generations that a fill is bound to; `None` where one could not be had.
pub(crate) fn generations(seen: &Seen) -> Option<Generations> {
    let remote = seen.remote.as_ref()?;
    remote.generations.iter().copied().collect()
}

#[cfg(test)]
mod tests;
