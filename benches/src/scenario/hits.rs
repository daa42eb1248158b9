//! Hits: entries that are there, asked for by one task or by many.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::{Figures, Order};
use crate::allocator::Counted;
use crate::candidate::*;
use crate::work::{self, Keys, LANGUAGE, Payload};

/// Calls between two looks at the clock, or at whether to stop.
const BATCH: usize = 64;

/// Calls of the passes that are not timed, before each entry may be taken to be there.
const WARM_UP: usize = 2;

/// How long allocations are counted, after the timed part.
const COUNTED: Duration = Duration::from_millis(100);

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub tasks: usize,
    pub threads: usize,
}

impl Load {
    /// Calls between two additions to what the tasks count together.
    ///
    /// Where all tasks share a thread, adding each call costs nothing, and those that wait for Redis take long.
    fn batch(self) -> usize {
        if self.threads == 1 { 1 } else { BATCH }
    }
}

pub async fn run(order: &Order, keys: Keys, load: Load) -> Outcome<Figures> {
    with_candidate!(order.candidate.as_str(), measure(order, keys, load))
}

async fn measure<C: Candidate>(order: &Order, keys: Keys, load: Load) -> Outcome<Figures> {
    let candidate = C::open(&order.redis).await?;
    for _ in 0..WARM_UP {
        for id in 0..keys.count() {
            let found = candidate.call(id, LANGUAGE).await;
            assert_eq!(found.video().id, id, "an entry is that of its key");
        }
    }
    let before = work::bodies();
    let sequence = keys.sequence();
    let mut figures = if load.tasks == 1 {
        alone(&candidate, &sequence, order.time).await
    } else {
        together(&candidate, &sequence, load, order.time).await?
    };
    let bodies = work::bodies() - before;
    figures.push(("bodies", bodies as f64));
    Ok(figures)
}

/// One call after the other, in this task.
async fn alone<C: Candidate>(candidate: &C, sequence: &[u32], time: Duration) -> Figures {
    let (calls, elapsed) = one_after_the_other(candidate, sequence, time).await;
    Counted::start();
    let (counted_calls, _) = one_after_the_other(candidate, sequence, COUNTED).await;
    let counted = Counted::stop();
    vec![
        ("ns", elapsed.as_nanos() as f64 / calls as f64),
        ("per_second", calls as f64 / elapsed.as_secs_f64()),
        (
            "allocations",
            counted.allocations as f64 / counted_calls as f64,
        ),
        ("bytes", counted.allocated as f64 / counted_calls as f64),
    ]
}

async fn one_after_the_other<C: Candidate>(
    candidate: &C,
    sequence: &[u32],
    time: Duration,
) -> (u64, Duration) {
    let start = Instant::now();
    let mut calls = 0;
    loop {
        for batch in sequence.chunks(BATCH) {
            for &id in batch {
                black_box(candidate.call(u64::from(black_box(id)), LANGUAGE).await);
            }
            calls += batch.len() as u64;
            let elapsed = start.elapsed();
            if elapsed >= time {
                return (calls, elapsed);
            }
        }
    }
}

/// What the tasks of one run share.
struct Shared {
    calls: AtomicU64,
    stop: AtomicBool,
}

/// Many tasks, each with a place of its own in the sequence.
async fn together<C: Candidate>(
    candidate: &C,
    sequence: &Arc<[u32]>,
    load: Load,
    time: Duration,
) -> Outcome<Figures> {
    let shared = Arc::new(Shared {
        calls: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let mut running = Vec::new();
    for number in 0..load.tasks {
        let place = number * sequence.len() / load.tasks;
        let task = caller(
            candidate.clone(),
            Arc::clone(sequence),
            place,
            load.batch(),
            Arc::clone(&shared),
        );
        running.push(tokio::spawn(task));
    }
    tokio::time::sleep(time / 10).await;
    let (calls, elapsed) = during(&shared, time).await;
    Counted::start();
    let (counted_calls, _) = during(&shared, COUNTED).await;
    let counted = Counted::stop();
    shared.stop.store(true, Relaxed);
    for task in running {
        task.await?;
    }
    Ok(vec![
        ("ns", elapsed.as_nanos() as f64 / calls as f64),
        ("per_second", calls as f64 / elapsed.as_secs_f64()),
        (
            "allocations",
            counted.allocations as f64 / counted_calls as f64,
        ),
        ("bytes", counted.allocated as f64 / counted_calls as f64),
    ])
}

/// How many calls end in that time.
async fn during(shared: &Shared, time: Duration) -> (u64, Duration) {
    let (before, start) = (shared.calls.load(Relaxed), Instant::now());
    tokio::time::sleep(time).await;
    (shared.calls.load(Relaxed) - before, start.elapsed())
}

async fn caller<C: Candidate>(
    candidate: C,
    sequence: Arc<[u32]>,
    place: usize,
    batch: usize,
    shared: Arc<Shared>,
) {
    let (first, second) = (&sequence[place..], &sequence[..place]);
    loop {
        for batch in first.chunks(batch).chain(second.chunks(batch)) {
            for &id in batch {
                black_box(candidate.call(u64::from(black_box(id)), LANGUAGE).await);
            }
            shared.calls.fetch_add(batch.len() as u64, Relaxed);
            if shared.stop.load(Relaxed) {
                return;
            }
            // A hit in the process never waits, and the other tasks are to have their turn.
            tokio::task::yield_now().await;
        }
    }
}
