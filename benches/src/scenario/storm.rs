//! A thousand callers of a key that nobody has asked for before.

use std::time::{Duration, Instant};

use super::{Figures, Order};
use crate::candidate::*;
use crate::work::{self, LANGUAGE, Payload};

const CALLERS: usize = 1_000;
const BODY: Duration = Duration::from_millis(50);

pub async fn run(order: &Order) -> Outcome<Figures> {
    with_candidate!(order.candidate.as_str(), measure(order))
}

async fn measure<C: Candidate>(order: &Order) -> Outcome<Figures> {
    let candidate = C::open(&order.redis).await?;
    // Connections, and what is made at the first use, are not the storm's.
    candidate.call(1, LANGUAGE).await;
    work::slow_bodies(BODY);
    let before = work::bodies();
    let start = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let candidate = candidate.clone();
            tokio::spawn(async move { candidate.call(0, LANGUAGE).await.video().id })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await?, 0, "an entry is that of its key");
    }
    let elapsed = start.elapsed();
    Ok(vec![
        ("bodies", (work::bodies() - before) as f64),
        ("times", elapsed.as_secs_f64() / BODY.as_secs_f64()),
    ])
}
