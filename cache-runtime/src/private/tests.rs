use std::collections::HashSet;
use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use crate::__private::{CallSite, KeyWriter, begin};
use crate::clock;
use crate::key::raw::let_all_meet;
use crate::outcome::{Returns, ViaValue as _};
use crate::policy::Policy;

/// What a function does that returns its argument doubled; answers that, and whether its body ran.
async fn doubled(site: &'static CallSite, number: u64) -> (u64, bool) {
    let outcome = Returns::<u64>::HERE.outcome();
    // The second differs from the first in the one, the third from the second in the other.
    let (part, text) = (u64::from(number == 1), (number / 3).to_string());
    let arguments = |key: &mut KeyWriter<'_>| {
        key.arg(&part);
        key.arg_str(&text);
    };
    match begin(site, outcome, arguments) {
        ControlFlow::Break(hit) => (hit, false),
        ControlFlow::Continue(call) => {
            let mut ran = false;
            let body = async {
                ran = true;
                2 * number
            };
            (call.run(pin!(body)).await, ran)
        }
    }
}

#[tokio::test]
async fn arguments_whose_hashes_meet_have_values_of_their_own() {
    static ONE: CallSite = CallSite::new("one", "tests", Policy::DEFAULT);
    static OTHER: CallSite = CallSite::new("other", "tests", Policy::DEFAULT);
    let_all_meet();
    let calls = || (1..4).map(|number| [&ONE, &OTHER].map(|site| (site, number)));
    let one_after_the_other = calls().flatten().collect();
    let of_each_in_turn = [0, 1].map(|site| calls().map(move |calls| calls[site]));
    let of_each_in_turn = of_each_in_turn.into_iter().flatten().collect();
    let mut known = HashSet::new();
    for calls in [one_after_the_other, of_each_in_turn] as [Vec<_>; 2] {
        for (site, number) in [&calls[..], &calls[..]].concat() {
            let is_first = known.insert((site.function(), number));
            assert_eq!(doubled(site, number).await, (2 * number, is_first));
            assert_eq!(doubled(site, number).await, (2 * number, false));
        }
    }
}

/// XFetch draws one number for a call. The clock is tokio's, and paused.
#[tokio::test(start_paused = true)]
async fn a_call_is_early_as_often_as_the_one_number_says_that_it_draws() {
    const MINUTE: Duration = Duration::from_secs(60);
    static SITE: CallSite = CallSite::new(
        "early",
        "tests",
        Policy::DEFAULT.ttl_ms(120_000).early_refresh(true),
    );
    let call = || begin(&SITE, Returns::<u64>::HERE.outcome(), |key| key.arg(&7));
    let ControlFlow::Continue(first) = call() else {
        panic!("it has no value yet");
    };
    let body = async {
        clock::sleep(MINUTE).await;
        1
    };
    first.run(pin!(body)).await;
    clock::advance(MINUTE).await;
    // It lives as long as its load took: one call in e, give or take 15 of 1,000; of two numbers both say so for one in seven.
    let early = (0..1_000).filter(|_| call().is_continue()).count();
    assert!((270..470).contains(&early), "{early} of 1,000");
}
