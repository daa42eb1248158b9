//! Calls that are dropped at every moment there is: before and after each poll, with the answer on its way, there, or read.
//!
//! Whatever is dropped, and whenever: nothing stays locked, no flight, lease or task is left, what has been changed is never
//! read as it was before, and the tier in the process goes on hearing of what others change.

#[path = "cancelled/step.rs"]
mod step;
mod support;
#[path = "cancelled/world.rs"]
mod world;

use step::Between;
use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use world::{Deed, Tier, World};

/// More polls than any call takes.
const MANY: usize = 200;

/// Drops a deed after no poll, after one, after two.., each time of another entry, until it completes.
async fn check(tier: Tier, deed: Deed, between: Between) {
    let world = World::open(tier, between).await;
    let mut completed = false;
    let mut polls = 0;
    while !completed {
        assert!(polls < MANY, "{deed:?} never completes");
        let what = format!("{deed:?} {tier:?}, {between:?}, dropped after {polls} polls");
        let id = polls as u64;
        completed = world.drop_after(polls, id, deed, between, &what).await;
        world.check(id, deed, between, polls, &what).await;
        polls += 1;
    }
    // What is done at its first poll cannot be dropped half-way. On other threads an answer may come while it polls.
    let alone = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
    let waits = deed.has_a_body() || (alone && matches!(tier, Tier::Redis | Tier::Hanging));
    assert!(polls > 2 || !waits, "{deed:?} {tier:?} took one poll");
    world.end().await;
}

fn check_all(runtime: fn() -> Runtime, tier: Tier, between: &[Between]) {
    for &between in between {
        for &deed in Deed::ALL {
            if deed.is_dropped_in(tier) {
                // A runtime of its own, so that its tasks can be counted.
                runtime().block_on(check(tier, deed, between));
            }
        }
    }
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn in_process_nothing_is_left_of_what_is_dropped_at_any_moment() {
    check_all(current_thread, Tier::Process, Between::ALL);
}

#[test]
fn nor_on_redis_where_it_is_dropped_before_the_request_is_sent() {
    check_all(current_thread, Tier::Redis, &[Between::AtOnce]);
}

#[test]
fn nor_where_the_request_is_on_its_way() {
    check_all(current_thread, Tier::Redis, &[Between::Sent]);
}

#[test]
fn nor_where_the_answer_is_there_and_not_yet_read() {
    check_all(current_thread, Tier::Redis, &[Between::Answered]);
}

#[test]
fn nor_where_it_is_polled_for_nothing() {
    check_all(current_thread, Tier::Redis, &[Between::Needless]);
}

#[test]
fn nor_where_another_process_invalidates_between_the_polls() {
    check_all(current_thread, Tier::Redis, &[Between::Told]);
}

#[test]
fn nor_where_others_read_between_the_polls() {
    check_all(current_thread, Tier::Redis, &[Between::Read]);
}

#[test]
fn nor_where_it_is_dropped_outside_of_any_runtime() {
    check_all(current_thread, Tier::Redis, &[Between::Elsewhere]);
}

#[test]
fn nor_in_a_runtime_of_several_threads() {
    check_all(
        multi_thread,
        Tier::Redis,
        &[Between::AtOnce, Between::Answered],
    );
}

#[test]
fn nor_while_redis_is_away() {
    let between = [Between::AtOnce, Between::Elsewhere];
    check_all(current_thread, Tier::Away, &between);
}

#[test]
fn nor_where_redis_hangs_in_the_middle() {
    check_all(current_thread, Tier::Hanging, &[Between::Answered]);
}
