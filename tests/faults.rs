//! Whatever a network does, in whichever phase of a call: the caller gets what the body returns after a wait that has a bound,
//! Redis is used again soon after, nothing that was invalidated comes back, and nothing is left behind.
//!
//! One test for each fault, and in it one cell for each phase; all cells of a test run side by side.

mod support;

#[path = "faults/phases.rs"]
mod phases;
#[path = "faults/scene.rs"]
mod scene;

use std::time::Duration;

use phases::{Answers, Phase};
use scene::LIMIT;
use support::Fault;

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
fn a_connection_whose_server_is_gone_unsaid_is_given_up() {
    check(Fault::HalfOpen, Answers::Sometimes);
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
    check(Fault::Swallow, Answers::Sometimes);
}

#[test]
fn an_answer_that_comes_twice_costs_no_deadline() {
    check(Fault::Repeat, Answers::Sometimes);
}
