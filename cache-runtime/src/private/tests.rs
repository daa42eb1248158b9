use std::collections::HashSet;
use std::ops::ControlFlow;
use std::pin::pin;

use crate::__private::{CallSite, begin};
use crate::key::raw::let_all_meet;
use crate::outcome::{Returns, ViaValue as _};
use crate::policy::Policy;

/// What a function does that returns its argument doubled; answers that, and whether its body ran.
async fn doubled(site: &'static CallSite, number: u64) -> (u64, bool) {
    let outcome = (&Returns::<u64>::HERE).outcome();
    match begin(site, outcome, |key| key.arg(&number)) {
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
