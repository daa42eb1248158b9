//! A thousand callers of a key that nobody has asked for before.

use std::time::{Duration, Instant};

use super::{Figures, Order};
use crate::candidate::*;
use crate::work::{self, LANGUAGE, Payload};

const CALLERS: usize = 1_000;
const BODY: Duration = Duration::from_millis(50);

/// Cold keys, one after the other, each with a storm of its own.
const STORMS: u64 = 9;

/// How often the body is run by itself, for what it takes: a sleep is rounded up.
const BODIES: usize = 3;

pub async fn run(order: &Order) -> Outcome<Figures> {
    with_candidate!(order.candidate.as_str(), measure(order))
}

async fn measure<C: Candidate>(order: &Order) -> Outcome<Figures> {
    let candidate = C::open(&order.redis).await?;
    // Connections, and what is made at the first use, are not the storm's.
    candidate.call(0, LANGUAGE).await;
    work::slow_bodies(BODY);
    let mut alone = Vec::new();
    for _ in 0..BODIES {
        let start = Instant::now();
        work::load(0, LANGUAGE).await;
        alone.push(start.elapsed());
    }
    let before = work::bodies();
    let mut storms = Vec::new();
    for key in 1..=STORMS {
        storms.push(storm(&candidate, key).await?);
    }
    let bodies = (work::bodies() - before) as f64 / storms.len() as f64;
    let times = median(storms).as_secs_f64() / median(alone).as_secs_f64();
    Ok(vec![("bodies", bodies), ("times", times)])
}

/// How long it takes until all callers have their value.
async fn storm<C: Candidate>(candidate: &C, key: u64) -> Outcome<Duration> {
    let start = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let candidate = candidate.clone();
            tokio::spawn(async move { candidate.call(key, LANGUAGE).await.video().id })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await?, key, "an entry is that of its key");
    }
    Ok(start.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
