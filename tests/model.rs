//! The protocol of ARCHITECTURE.md as a model, searched exhaustively: every order of every step of a small cast.
//!
//! A test of the real code meets the interleavings that happen; this meets all of them, of a protocol that is written
//! down a second time. So what it proves holds for the code as far as the code is this protocol.
//! The search is our own (`model/checker.rs`): it needs a hundred lines and finds a shortest counterexample at every run.
//!
//! A step is what nothing comes in between: a command or a script of the server, or what happens here under one lock.
//!
//! # Steps, in the words of ARCHITECTURE.md
//!
//! | step | what it stands for |
//! | --- | --- |
//! | `Begin` | a call begins: it takes its ticket, the local and pushed epochs and the entry's mark, and looks into the near tier |
//! | `LookUp` | one `MGET entry lease gen(level) ..`; the server watches these keys for this connection from here on |
//! | `Answer` | a hit is an entry whose envelope names exactly these generations; on a miss the call leads, follows, or begins another flight; a leader that waited for another process goes on |
//! | `CreateGenerations`, `ReadGenerations` | missing generations are created (`SET NX`), then read (`GET`): two commands, between which others come |
//! | `Acquire` | the script `ACQUIRE`: *granted*, *held by another* under that token, or *changed*, as the stamp of the entry tells |
//! | `Depart` | the lease is answered, and the departure of the flight is marked; after *changed* it is dissolved, and leader and followers look up again; with fleet coalescing *held* makes it wait |
//! | `Wake` | the wait ends, because lease or entry is another, and the leader looks up again |
//! | `Load`, `Land` | the body runs: it reads the truth at its beginning, and at its end the followers get the value |
//! | `Fill` | the script `FILL` stores the entry if the lease still is the leader's, under the generations read *before* the load, and deletes the lease |
//! | `Leave` | the answer reaches the leader: the near tier gets the value unless the mark has moved, and the flight leaves the table |
//! | `Landing` | a follower gets the value, or takes the seat and the cabin of a leader that was dropped |
//! | `BeginInvalidation`, `Remove` | the truth is written, and then the first local pass: of a level one step, its epoch ends; of an entry two, the flight leaves the table, then the mark moves and the near entry goes |
//! | `Delete` | one `UNLINK`: entry and lease, or the generation of the level |
//! | `DetachAgain`, `Return` | the same locally again, in as many steps; from here on the invalidation binds all calls that begin (`settled`) |
//! | `Push` | the next push of a connection is handled: of an entry, the mark moves and the near entry goes; of a generation, the pushed epoch of its level ends |
//! | `LoseConnection`, `Reconnect` | pushes and replies on their way are lost, and the server watches nothing for this process; later that is noticed, and there is another connection |
//! | `Crash`, `LeaseEnds` | a leader is dropped; its lease is given back or expires, until when its own process may take it over |
//! | `Unanswered` | a look-up, or what a leader asks, gets no answer; whether a lease was granted is not known, and the call goes on without Redis |
//! | `LookHere`, `Join` | without Redis: the call looks into the near tier, and then follows who has its epochs, or begins a flight; one without a near tier goes alone |
//! | `DepartHere`, `LookAgain`, `ReturnFound` | its flight departs, its leader looks into the near tier once more, and what is found there is returned and the flight dissolved |
//! | `Keep` | where there is no Redis, the near tier gets what was loaded, under the lock of the table and while the flight is in it, bound to the epochs from before; then `Leave` |
//! | `Timer` | a leader that waits for another process looks again, though nothing has changed |
//! | `Prolong`, `Evict..`, `ExpireLease` | what else happens to the keys, or to the near entry |
//!
//! A cache in process alone has no other steps than those, `Begin`, `Load`, `Land`, `Landing` and `Leave`; its invalidations have one local pass.
//! An operator with `redis-cli` is an invalidation without local passes.
//! The server tells a change once to each connection that read the key, never to the one that made it, and forgets both.
//!
//! # Promises
//!
//! - P2a: a call that begins after an invalidation has returned never returns an older version, unless by a near hit.
//! - P2b: nor by a near hit, in the process that invalidated.
//! - P2c: in another process a near hit is only older while a push is on its way, or the loss of the connection unnoticed;
//!   and never older than a deletion of which the process has heard, by having got a later reply.
//!   Between the two passes of an invalidation of its own a process is not bound, because the server does not tell it of its own deletion.
//! - P3: what was loaded before an invalidation is not readable in Redis after it has returned.
//! - P4: nobody runs a body beside the flight of the table that has his lease, generations and epochs; where nothing interferes, one body runs in all.
//!   A flight that an invalidation took out of the table, or that a caller with a younger view displaced, is not found again by callers with its own view.
//! - Progress: as long as a call has not ended, there is a step.
//!
//! # What is left out
//!
//! Expiry of entries (an eviction), other types and origins under one name, bodies that fail, the journal of an outage, and the breaker:
//! so nothing is kept in process of what is loaded while Redis is away.
//! A load is younger than an invalidation if it began after the invalidation did: stricter than need be, since the truth was written before.

#[path = "model/call.rs"]
mod call;
#[path = "model/checker.rs"]
mod checker;
#[path = "model/configuration.rs"]
mod configuration;
#[path = "model/guard.rs"]
mod guard;
#[path = "model/here.rs"]
mod here;
#[path = "model/protocol.rs"]
mod protocol;
#[path = "model/server.rs"]
mod server;
#[path = "model/world.rs"]
mod world;

use std::time::Instant;

use checker::{Report, search};
use configuration::{Configuration, LONG, SHORT};
use guard::{Found, Guard};
use protocol::{Protocol, Step};

#[test]
fn with_every_guard_no_promise_is_broken() {
    hold(SHORT);
}

/// `cargo test --test model -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes, and a gigabyte of memory"]
fn with_every_guard_no_promise_is_broken_in_larger_configurations() {
    hold(LONG);
}

#[test]
fn without_any_one_guard_a_promise_is_broken() {
    let mut surprises = Vec::new();
    for &(guard, found) in Guard::ALL {
        let Found::In(name) = found else { continue };
        let configuration = SHORT
            .iter()
            .find(|configuration| configuration.name == name);
        let configuration = configuration.unwrap_or_else(|| panic!("no configuration `{name}`"));
        let report = run(configuration, Some(guard));
        if report.counterexample.is_none() {
            surprises.push(format!("{guard:?} is not missed in `{name}`"));
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

/// A guard that nothing here misses is said to be so, in order that a change of the protocol which makes it matter is noticed.
#[test]
fn a_guard_that_no_promise_needs_is_known_as_such() {
    let mut surprises = Vec::new();
    for &(guard, found) in Guard::ALL {
        let Found::Nowhere(matters, reason) = found else {
            continue;
        };
        println!("{guard:?}: {reason}");
        for configuration in SHORT.iter().filter(|&one| matters(one)) {
            if run(configuration, Some(guard)).counterexample.is_some() {
                surprises.push(format!("{guard:?} is missed in `{}`", configuration.name));
            }
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

#[track_caller]
fn hold(configurations: &[Configuration]) {
    let mut broken = Vec::new();
    for configuration in configurations {
        if let Some(counterexample) = run(configuration, None).counterexample {
            let (name, steps) = (configuration.name, counterexample.steps);
            broken.push(format!("{name}: {}\n  {steps:?}", counterexample.broken));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Searches, and prints a line of the table; `--nocapture` shows it.
fn run(configuration: &Configuration, without: Option<Guard>) -> Report<Step> {
    let began = Instant::now();
    let report = search(&Protocol {
        configuration,
        without,
    });
    let found = match &report.counterexample {
        Some(found) => format!("{} steps to {}", found.steps.len(), found.broken),
        None => "holds".to_owned(),
    };
    println!(
        "{:52} {:8} states, depth {:2}, {:5} ms  {:28} {found}",
        configuration.name,
        report.states,
        report.depth,
        began.elapsed().as_millis(),
        without.map_or_else(|| "all guards".to_owned(), |guard| format!("{guard:?}")),
    );
    report
}
