//! What a call costs that finds nothing: round trips, one call after the other.

use std::time::Instant;

use super::proxy::Proxy;
use super::{Figures, Order};
use crate::candidate::*;
use crate::work::{self, LANGUAGE};

const CALLS: u64 = 500;

pub async fn run(order: &Order) -> Outcome<Figures> {
    with_candidate!(order.candidate.as_str(), measure(order))
}

async fn measure<C: Candidate>(order: &Order) -> Outcome<Figures> {
    let proxy = Proxy::open(&order.redis)?;
    let candidate = C::open(&proxy.url()).await?;
    // Connections, scripts and generations are made by the first ones.
    for id in 0..10 {
        candidate.call(id, LANGUAGE).await;
    }
    let (trips, bodies, start) = (proxy.round_trips(), work::bodies(), Instant::now());
    for id in 0..CALLS {
        candidate.call(1_000 + id, LANGUAGE).await;
    }
    let elapsed = start.elapsed();
    Ok(vec![
        (
            "round_trips",
            (proxy.round_trips() - trips) as f64 / CALLS as f64,
        ),
        ("bodies", (work::bodies() - bodies) as f64 / CALLS as f64),
        ("us", elapsed.as_secs_f64() * 1e6 / CALLS as f64),
    ])
}
