//! Whatever a network does, in whichever phase of a call: the caller gets what the body returns after a wait that has a bound,
//! Redis is used again soon after, nothing that was invalidated comes back, and nothing is left behind.
//!
//! One test for each fault, and in it one cell for each phase; all cells of a test run side by side.

mod support;

#[path = "faults/phases.rs"]
mod phases;
#[path = "faults/scene.rs"]
mod scene;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use cache_runtime::{Cache, with_cache};
use phases::{Answers, Phase};
use scene::{Gate, LEASE, LIMIT, Scene, Truth, film_of_redis};
use support::{Fault, Proxy, RedisServer, wait_until, wait_until_async};
use tokio::runtime::{Builder, Runtime};

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn check(fault: Fault, answers: Answers) {
    std::thread::scope(|scope| {
        let cells =
            Phase::ALL.map(|phase| (phase, scope.spawn(move || phase.check(fault, answers))));
        for (phase, cell) in cells {
            assert!(cell.join().is_ok(), "{fault:?} in the phase {phase:?}");
        }
    });
}

// --- a network that is slow -----------------------------------------------------------------

#[test]
fn a_network_within_the_deadline_costs_its_own_time_and_no_load() {
    check(Fault::Delay(Duration::from_millis(5)), Answers::Always);
}

#[test]
fn a_network_slower_than_the_deadline_costs_one_deadline_a_call() {
    check(Fault::Delay(LIMIT * 2), Answers::Never);
}

#[test]
fn answers_that_drip_cost_one_deadline_a_call_and_soon_none() {
    check(Fault::Drip(Duration::from_millis(10)), Answers::Never);
}

// --- a network that is silent ---------------------------------------------------------------

#[test]
fn a_network_that_loses_everything_costs_one_deadline_a_call_and_soon_none() {
    check(Fault::BlackHole, Answers::Never);
}

#[test]
fn requests_that_are_lost_cost_one_deadline_a_call_and_soon_none() {
    check(Fault::LoseRequests, Answers::Never);
}

#[test]
fn answers_that_are_lost_cost_one_deadline_a_call_and_soon_none() {
    check(Fault::LoseAnswers, Answers::Never);
}

#[test]
fn a_connection_whose_server_is_gone_unsaid_costs_one_deadline_a_call_and_is_given_up() {
    check(Fault::HalfOpen, Answers::Again);
}

// --- a network that cuts --------------------------------------------------------------------

#[test]
fn a_connection_that_is_refused_costs_no_deadline() {
    check(Fault::Refuse, Answers::Never);
}

#[test]
fn a_connection_that_is_reset_costs_no_deadline() {
    check(Fault::Reset, Answers::Never);
}

#[test]
fn an_answer_that_is_cut_before_its_first_byte_costs_no_deadline() {
    check(Fault::CutAfter(0), Answers::Never);
}

#[test]
fn an_answer_that_is_cut_in_its_head_costs_no_deadline() {
    check(Fault::CutAfter(3), Answers::Never);
}

#[test]
fn an_answer_that_is_cut_in_the_middle_of_a_value_costs_no_deadline() {
    check(Fault::CutAfter(250), Answers::Never);
}

// --- answers that are none ------------------------------------------------------------------

#[test]
fn answers_that_are_no_resp_cost_no_deadline() {
    check(Fault::Garble, Answers::Never);
}

#[test]
fn answers_of_another_kind_of_server_cost_no_deadline() {
    let http = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    check(Fault::Replace(http), Answers::Never);
}

#[test]
fn answers_to_something_else_cost_no_deadline() {
    for other in ["+OK\r\n", "*0\r\n", "_\r\n", "$-1\r\n", ":1\r\n"] {
        check(Fault::Replace(other), Answers::Never);
    }
}

#[test]
fn a_lost_answer_that_shifts_all_others_costs_a_deadline_a_call_until_the_connection_is_given_up() {
    check(Fault::Swallow, Answers::Perhaps);
}

#[test]
fn an_answer_that_comes_twice_costs_no_deadline() {
    check(Fault::Repeat, Answers::Perhaps);
}

/// Twenty at once, again and again: an answer that is shifted belongs to somebody else.
#[test]
fn whoever_asks_at_once_gets_his_own_value_though_answers_are_shifted() {
    for fault in [Fault::Swallow, Fault::Repeat] {
        current_thread().block_on(async {
            let scene = Scene::new().await;
            for id in 1..=20 {
                scene.store(id).await;
            }
            scene.network.set(fault);
            let began = Instant::now();

            for _ in 0..5 {
                let reads = (1..=20).map(|id| Box::pin(film_of_redis(&scene.truth, id)));
                let reads = with_cache(scene.cache.clone(), all(reads.collect())).await;
                for (id, read) in (1..).zip(reads) {
                    assert_eq!(read, scene.truth.film(id), "{fault:?}");
                }
            }

            scene.network.set(Fault::None);
            scene.recovers(began.elapsed(), &[1, 20]).await;
            scene.leaves_nothing().await;
        });
    }
}

/// The outputs of all of them, polled in turn.
async fn all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let Poll::Ready(ready) = Pin::new(future).poll(context)
            {
                *output = Some(ready);
            }
        }
        match outputs.iter().all(Option::is_some) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

// --- the end of a runtime -------------------------------------------------------------------

#[test]
fn a_runtime_that_ends_while_its_calls_wait_for_redis_leaves_no_connection_and_no_lease() {
    let server = RedisServer::start();
    let network = Proxy::start(server.port());
    let runtime = current_thread();
    let builder = Cache::builder().redis_url(network.url()).lease(LEASE);
    let cache = runtime.block_on(builder.open()).unwrap();
    let truth = Arc::new(Truth::new(Gate::Open));
    for (asked, fault) in [("MGET", Fault::BlackHole), ("EVALSHA", Fault::LoseAnswers)] {
        network.set(Fault::None);
        let runtime = current_thread();
        network.set_once_asked(asked, fault);
        runtime.block_on(async {
            for id in 0..50 {
                let truth = Arc::clone(&truth);
                let call = async move { film_of_redis(&truth, id).await };
                drop(tokio::spawn(with_cache(cache.clone(), call)));
            }
            wait_until_async(async || network.fault() == fault, "it is asked").await;
        });
        assert!(
            network.open() >= 2,
            "its own connection, and the first one's"
        );

        drop(runtime);

        wait_until(|| network.open() <= 1, "its connection is closed");
        assert!(format!("{cache:?}").contains("flights: 0"));
        wait_until(|| server.keys("lease@*").is_empty(), "no lease is left");
    }
    drop((cache, runtime));
    wait_until(|| network.open() == 0, "the first one's is closed");
}
