use std::sync::Arc;

use super::{Cabin, Flights, Follower, Joined, Landing, Seat, Ticket};
use crate::key::{Key, Levels};
use crate::lease::Permit;
use crate::near::Near;
use crate::seen::{Seen, SeenRemote};
use crate::value::{Kind, Shared};

struct Airport {
    flights: Arc<Flights>,
    near: Near,
    key: Key,
}

impl Airport {
    fn new() -> Self {
        let text = "video:get_video:42";
        Self {
            flights: Flights::new(),
            near: Near::new(1 << 20, 100),
            key: Key::new(text, Levels::all(0, text), 1),
        }
    }

    /// A caller in a process without Redis.
    fn local(&self) -> Seen {
        Seen {
            near: self.near.view(&self.key),
            failed: false,
            remote: None,
        }
    }

    /// A caller to whom Redis showed this lease and this generation.
    fn remote(&self, lease: Option<u64>, generation: u64) -> Seen {
        let remote = SeenRemote {
            lease,
            generations: [Some(generation)].into_iter().collect(),
            stamp: Vec::new(),
            teller: None,
        };
        Seen {
            remote: Some(remote),
            ..self.local()
        }
    }

    fn join(&self, seen: &Seen, began: Ticket) -> Joined {
        self.flights
            .join(&self.key, Kind::of::<u64>().identity(), seen, began, None)
    }

    #[track_caller]
    fn lead(&self, seen: &Seen) -> Seat {
        match self.join(seen, self.flights.ticket()) {
            Joined::Lead(seat) => seat,
            Joined::Follow(_) | Joined::Apart => panic!("should lead"),
        }
    }

    #[track_caller]
    fn follow(&self, seen: &Seen, began: Ticket) -> Follower {
        match self.join(seen, began) {
            Joined::Follow(follower) => follower,
            Joined::Lead(_) | Joined::Apart => panic!("should follow"),
        }
    }
}

fn value(number: u64) -> Shared {
    Arc::new(number)
}

#[tokio::test]
async fn who_began_before_the_departure_follows_whatever_he_saw() {
    let airport = Airport::new();
    let began = airport.flights.ticket();
    let mut seat = airport.lead(&airport.remote(None, 1));
    seat.depart(airport.remote(Some(7), 1));

    let follower = airport.follow(&airport.remote(None, 2), began);
    seat.land(value(3));

    let landing = follower.landing().await;
    assert!(matches!(landing, Landing::Landed(value) if value.downcast_ref() == Some(&3_u64)));
}

#[test]
fn who_began_later_follows_only_while_the_lease_of_the_flight_stands() {
    let airport = Airport::new();
    let seat = airport.lead(&airport.remote(None, 1));
    seat.depart(airport.remote(Some(7), 1));
    let began = airport.flights.ticket();

    assert!(matches!(
        airport.join(&airport.remote(Some(7), 1), began),
        Joined::Follow(_)
    ));
    for (lease, generation) in [(None, 1), (Some(8), 1), (Some(7), 2)] {
        // A flight of its own for each: leading takes the place of the one before.
        let airport = Airport::new();
        let seat = airport.lead(&airport.remote(None, 1));
        seat.depart(airport.remote(Some(7), 1));

        let invalidated = airport.remote(lease, generation);
        let joined = airport.join(&invalidated, airport.flights.ticket());
        assert!(matches!(joined, Joined::Lead(_)), "{invalidated:?}");
    }
}

/// Whoever would follow it now might wait for a load beside that of somebody who came in between.
#[tokio::test]
async fn a_flight_whose_entry_has_changed_is_dissolved_for_all() {
    let airport = Airport::new();
    let began = airport.flights.ticket();
    let seen = airport.remote(None, 1);
    let seat = airport.lead(&seen);
    let follower = airport.follow(&seen, began);

    seat.dissolve();

    assert!(matches!(follower.landing().await, Landing::Dissolved));
    assert_eq!(airport.flights.len(), 0);
    // Its leader, too, leads another one or follows.
    let _other = airport.lead(&seen);
    airport.follow(&seen, began);
}

/// It may have been missing at his look-up because the prefix was invalidated once more.
#[test]
fn who_began_later_does_not_follow_a_flight_without_a_generation() {
    let airport = Airport::new();
    let mut seen = airport.remote(Some(7), 1);
    if let Some(remote) = &mut seen.remote {
        remote.generations = [None].into_iter().collect();
    }
    let seat = airport.lead(&seen);
    seat.depart(seen.clone());

    let joined = airport.join(&seen, airport.flights.ticket());

    assert!(matches!(joined, Joined::Lead(_)));
}

/// His look-up may have come to the server before the request for the lease, and cannot have seen it.
#[test]
fn until_the_departure_everybody_comes_along() {
    let airport = Airport::new();
    let _seat = airport.lead(&airport.remote(None, 1));

    for seen in [airport.remote(None, 2), airport.remote(Some(7), 1)] {
        airport.follow(&seen, airport.flights.ticket());
    }
}

#[test]
fn who_began_after_a_local_invalidation_leads_a_flight_of_his_own() {
    let airport = Airport::new();
    let seat = airport.lead(&airport.local());
    seat.depart(airport.local());
    assert!(matches!(
        airport.join(&airport.local(), airport.flights.ticket()),
        Joined::Follow(_)
    ));

    airport.near.end("video");

    assert!(matches!(
        airport.join(&airport.local(), airport.flights.ticket()),
        Joined::Lead(_)
    ));
}

#[test]
fn a_detached_flight_is_neither_joined_nor_allowed_to_fill() {
    let airport = Airport::new();
    let seat = airport.lead(&airport.local());
    seat.depart(airport.local());

    airport.flights.detach(airport.key.as_str());

    assert!(!seat.while_current(|| panic!("filled behind an invalidation")));
    let successor = airport.lead(&airport.local());
    assert!(successor.while_current(|| {}));
    drop(seat);
    assert_eq!(
        airport.flights.len(),
        1,
        "the old flight removed the new one"
    );
}

#[tokio::test]
async fn a_dropped_leader_leaves_his_seat_and_his_leave_to_fill_to_a_follower() {
    let airport = Airport::new();
    let mut seat = airport.lead(&airport.local());
    seat.depart(airport.local());
    seat.prepare(Cabin {
        seen: airport.local(),
        permit: Permit::Local,
    });
    let follower = airport.follow(&airport.local(), airport.flights.ticket());
    let other = airport.follow(&airport.local(), airport.flights.ticket());

    drop(seat);

    let Landing::TakenOver(mut seat) = follower.landing().await else {
        panic!("should take over");
    };
    assert!(seat.is_prepared());
    seat.land(value(1));
    assert!(matches!(other.landing().await, Landing::Landed(_)));
}

#[tokio::test]
async fn followers_of_a_failed_or_panicking_leader_are_sent_back() {
    let airport = Airport::new();
    let seat = airport.lead(&airport.local());
    seat.depart(airport.local());
    let follower = airport.follow(&airport.local(), airport.flights.ticket());
    seat.fail();
    assert!(matches!(follower.landing().await, Landing::Failed));

    let seat = airport.lead(&airport.local());
    seat.depart(airport.local());
    let follower = airport.follow(&airport.local(), airport.flights.ticket());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _seat = seat;
        panic!("the body's own");
    }));
    assert!(panicked.is_err());
    assert!(matches!(follower.landing().await, Landing::Failed));
    assert_eq!(airport.flights.len(), 0);
}

#[tokio::test]
async fn nothing_is_left_when_leader_and_followers_are_dropped_in_any_order() {
    for leader_first in [true, false] {
        let airport = Airport::new();
        let mut seat = airport.lead(&airport.local());
        seat.depart(airport.local());
        seat.prepare(Cabin {
            seen: airport.local(),
            permit: Permit::Local,
        });
        let follower = airport.follow(&airport.local(), airport.flights.ticket());

        if leader_first {
            drop(seat);
            drop(follower);
        } else {
            drop(follower);
            drop(seat);
        }

        assert_eq!(airport.flights.len(), 0);
    }
}

#[test]
fn a_value_of_another_type_or_function_is_not_shared() {
    let airport = Airport::new();
    let seat = airport.lead(&airport.local());
    seat.depart(airport.local());
    let stranger = Key::new(
        airport.key.as_str(),
        Levels::all(0, airport.key.as_str()),
        2,
    );
    let began = airport.flights.ticket();

    let other_type = airport.flights.join(
        &airport.key,
        Kind::of::<String>().identity(),
        &airport.local(),
        began,
        None,
    );
    let other_function = airport.flights.join(
        &stranger,
        Kind::of::<u64>().identity(),
        &airport.local(),
        began,
        None,
    );

    assert!(matches!(other_type, Joined::Apart));
    assert!(matches!(other_function, Joined::Apart));
}

#[test]
fn while_another_value_is_put_in_place_of_a_load_no_flight_begins_and_none_fills() {
    let airport = Airport::new();
    let seat = airport.lead(&airport.local());
    let flights = &airport.flights;
    let locked = || flights.shards.iter().any(|shard| shard.try_lock().is_err());

    assert!(!locked());
    assert!(flights.detach_while(airport.key.as_str(), locked));

    assert!(!seat.while_current(|| panic!("it is not in the table any more")));
    assert_eq!(flights.len(), 0);
}
