#![cfg(all(feature = "redis", feature = "fallback", feature = "bincode"))]

use std::sync::Arc;

use super::judge::judge;
use super::*;
use crate::clock;
use crate::config::CacheConfig;
use crate::location::RedisUrl;
use crate::near::Near;
use crate::policy::NearTerms;
use crate::remote::Remote;
use crate::store::Told;
use crate::value::Place;
use crate::value::codec::{Codec, CodecError};

const TTL: Duration = Duration::from_secs(60);

const VALUE: u64 = 42;

/// A function in a cache whose server nobody asks.
struct Function {
    cache: Arc<Inner>,
    key: Key,
    kind: Kind,
    terms: Terms,
    counters: Arc<Counters>,
}

impl Function {
    fn new(near: NearTerms) -> Self {
        let config = CacheConfig {
            redis: RedisUrl::parse("redis://127.0.0.1:1").ok(),
            ..CacheConfig::default()
        };
        let tier = Arc::new(Near::new(1_000_000, 10));
        let remote = Remote::open(&config, Arc::clone(&tier)).unwrap();
        let cache = Arc::new(Inner::new(config, Some(Arc::new(remote)), tier));
        let (key, counters) = cache.by_hand("video:1").unwrap();
        let terms = Terms {
            near,
            ..cache.terms_by_hand()
        };
        Self {
            kind: Kind::of::<u64>(),
            cache,
            key,
            terms,
            counters,
        }
    }

    fn query(&self) -> Query<'_> {
        Query {
            cache: &self.cache,
            key: &self.key,
            kind: &self.kind,
            terms: &self.terms,
            counters: &self.counters,
            trace: None,
        }
    }

    /// What two find who ask together for an entry that was stored just now.
    fn reads(&self) -> Vec<Read> {
        let value: Shared = Arc::new(VALUE);
        let parcel = Parcel {
            key: &self.key,
            kind: self.kind,
            terms: self.terms,
            value: &value,
            ttl: TTL,
            took: Duration::from_secs(1),
        };
        let generations = [7, 8].map(Some);
        let named: Option<Generations> = generations.into_iter().collect();
        let bytes = parcel.pack(&self.cache, named.unwrap()).unwrap();
        Read::of_two(bytes, generations.into_iter().collect())
    }

    /// What one hears who was carried, and what is in his place then.
    fn hears(&self, read: &Read) -> (Option<Found>, Option<u64>) {
        let (view, mut place) = (self.query().view(), None);
        let told = Told::Read(Ok(read.clone()));
        let heard = self.query().hear(told, view, &mut place);
        (
            heard.unwrap_or_else(|_| panic!("there is more to ask")),
            place,
        )
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_as_valid_as_when_it_came_and_what_is_kept_of_it_lives_on_from_now() {
    let mut function = Function::new(NearTerms::Off);
    let reads = function.reads();
    let life = |function: &Function, read| judge(function.query(), read, |judged| judged.life);
    let left = |time| Ok(Some(Life::Left(time)));
    assert_eq!(life(&function, &reads[0]), left(TTL));

    clock::advance(TTL / 3).await;

    assert_eq!(life(&function, &reads[1]), left(TTL));
    function.terms.near = NearTerms::On;
    assert_eq!(life(&function, &reads[1]), left(TTL - TTL / 3));
}

#[tokio::test(start_paused = true)]
async fn a_value_is_taken_by_one_alone_where_it_is_not_kept_and_calls_for_no_other() {
    let distant = Function::new(NearTerms::Off);
    let read = &distant.reads()[0];
    assert!(matches!(distant.hears(read), (None, Some(VALUE))));
    assert_eq!(distant.cache.book.read().hits, 1);

    let kept = Function::new(NearTerms::On);
    let (found, place) = kept.hears(&kept.reads()[0]);
    assert!(matches!((found, place), (Some(Found::Value(_)), None)));
    assert!(kept.query().near().is_some());

    let mut early = Function::new(NearTerms::Off);
    early.terms.early = f64::INFINITY;
    let (found, place) = early.hears(&early.reads()[0]);
    assert!(matches!((found, place), (Some(Found::Aged(..)), None)));

    let mut stale = Function::new(NearTerms::Off);
    stale.terms.stale.revalidate = TTL;
    let read = &stale.reads()[0];
    clock::advance(TTL + TTL / 3).await;
    let (found, place) = stale.hears(read);
    assert!(matches!((found, place), (Some(Found::Aged(..)), None)));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_decode_is_counted_once_and_nobodys_value() {
    let mut function = Function::new(NearTerms::Off);
    let read = &function.reads()[0];
    fn fails(_: Codec, _: &[u8]) -> Result<Shared, CodecError> {
        Err(CodecError::needs_self_describing(Codec::Bincode))
    }
    fn fails_too(codec: Codec, bytes: &[u8], _: Place<'_>) -> Result<bool, CodecError> {
        fails(codec, bytes).map(|_| true)
    }
    (function.kind.decode, function.kind.decode_into) = (fails, fails_too);

    let (found, place) = function.hears(read);

    assert!(matches!((found, place), (Some(Found::Nothing(_)), None)));
    assert_eq!(function.cache.book.read().errors, 1);
}
