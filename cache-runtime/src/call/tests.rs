#![cfg(feature = "fallback")]

use std::sync::Arc;
use std::time::Duration;

use super::{Call, Ttl, Turn, plain};
use crate::cache::Cache;
use crate::config::CacheConfig;
use crate::entry::Times;
use crate::flight::{Flights, Follower, Joined, Landing, Seat};
use crate::held::Held;
use crate::policy::Terms;
use crate::seen::Seen;
use crate::value::{Kind, Shared};

const TTL: Duration = Duration::from_secs(60);

/// A call in a cache in process alone, and what it saw: nothing.
fn call(is_plain: bool) -> (Call, Seen) {
    let cache = Arc::clone(Cache::in_process(CacheConfig::default()).inner());
    let (key, counters) = cache.by_hand("video:1").unwrap();
    let seen = Seen {
        near: cache.near.view(&key),
        remote: None,
        failed: false,
    };
    let terms = Terms {
        plain: is_plain,
        ..cache.terms_by_hand()
    };
    let call = Call {
        site: None,
        cache: Held::Own(cache),
        key,
        kind: Kind::of::<u64>(),
        ttl: Ttl::Fixed(TTL),
        ruling: None,
        terms,
        counters: Held::Own(counters),
        limit: None,
        intent: None,
    };
    (call, seen)
}

impl Call {
    /// Puts a value into the in-process tier.
    fn put(&self, value: u64) {
        let value: Shared = Arc::new(value);
        let times = Times::of_a_new_value(TTL, Duration::ZERO);
        let view = self.cache.near.view(&self.key);
        let entry = self.query().near_entry(&value, 0, view, times);
        self.cache.near.insert(self.key.as_str(), entry);
    }

    fn join(&self, flights: &Arc<Flights>, seen: &Seen) -> Joined {
        let identity = self.kind.identity();
        flights.join(&self.key, identity, seen, flights.ticket(), None)
    }

    /// A leader, and somebody who follows it.
    #[track_caller]
    fn led_and_followed(&self, flights: &Arc<Flights>, seen: &Seen) -> (Seat, Follower) {
        match (self.join(flights, seen), self.join(flights, seen)) {
            (Joined::Lead(seat), Joined::Follow(follower)) => (seat, follower),
            _ => panic!("the first leads, and the second follows"),
        }
    }
}

/// An invalidation has detached the flight before this one, and is about to remove what this one finds.
#[tokio::test]
async fn what_a_leader_finds_in_the_process_is_not_shared() {
    let (call, seen) = call(false);
    let (seat, follower) = call.led_and_followed(&call.cache.flights, &seen);
    call.put(7);

    let turn = call.take_off_locally(seat, seen, None);

    assert!(matches!(turn, Turn::Found(_)));
    assert!(matches!(follower.landing().await, Landing::Dissolved));
    assert_eq!(call.cache.flights.len(), 0);
}

#[tokio::test]
async fn nor_is_it_by_a_call_that_is_not_async() {
    let (call, seen) = call(true);
    let (seat, follower) = call.led_and_followed(&call.cache.plain_flights, &seen);
    call.put(7);

    let turn = call.take_plain_lead(seat, seen);

    assert!(matches!(turn, plain::Turn::Found(_)));
    assert!(matches!(follower.landing().await, Landing::Dissolved));
    assert_eq!(call.cache.plain_flights.len(), 0);
}

#[tokio::test]
async fn a_leader_that_finds_nothing_loads_for_whoever_follows() {
    let (call, seen) = call(false);
    let (seat, follower) = call.led_and_followed(&call.cache.flights, &seen);

    let Turn::Load(load) = call.take_off_locally(seat, seen, None) else {
        panic!("there is nothing to find");
    };
    let mut seat = load.seat.unwrap();
    seat.land(Arc::new(8_u64));

    match follower.landing().await {
        Landing::Landed(value) => assert_eq!(value.downcast_ref(), Some(&8_u64)),
        _ => panic!("it has landed"),
    }
}
