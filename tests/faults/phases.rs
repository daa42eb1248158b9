//! The phases of a call, each with what a fault that begins in it may cost.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_runtime::{Mode, with_cache};

use crate::scene::{Gate, LEASE, LIMIT, MAX_LAG, Scene, Truth, film, film_of_the_fleet};
use crate::support::{Fault, Stopwatch, wait_until_async};

/// Whether Redis can be asked under a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    Always,
    /// Once the connection that the fault found open is given up.
    Again,
    /// It depends on which answer the fault meets.
    Perhaps,
    Never,
}

/// When a fault begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before an entry is read that stands in Redis.
    Read,
    /// Once nothing was found, with the request for the leave to fill.
    Lease,
    /// While the body runs, before its value is stored.
    Fill,
    /// Before an entry is invalidated.
    Invalidation,
    /// While another process loads, and this one waits for it.
    Waiting,
    /// With the connection gone, so that another has to be made.
    Connecting,
    /// Before another process invalidates what this one keeps.
    Push,
}

/// Calls until a server that never answers is not asked any more: three timeouts, and what a connection brings before it is cut.
const CALLS_UNTIL_OPEN: usize = 12;

impl Phase {
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Lease,
        Self::Fill,
        Self::Invalidation,
        Self::Waiting,
        Self::Connecting,
        Self::Push,
    ];

    /// One cell of the table.
    pub fn check(self, fault: Fault, answers: Answers) {
        crate::current_thread().block_on(async {
            let scene = Scene::new().await;
            for id in [1, 2, 3] {
                scene.store(id).await;
            }
            for id in [1, 2] {
                scene.read(id).await;
            }
            let began = Instant::now();
            let wait = self.meets(fault, answers, &scene).await;
            goes_on(answers, &scene).await;
            scene.network.set(Fault::None);
            let outage = began.elapsed();
            let recovery = scene.recovers(outage, &[1, 2, 3, 4, 5]).await;
            println!(
                "{fault:?}, {self:?}: {:.2} deadlines; used again {:.1} deadlines after {:.1}",
                wait.div_duration_f64(LIMIT),
                recovery.div_duration_f64(LIMIT),
                outage.div_duration_f64(LIMIT),
            );
            scene.leaves_nothing().await;
        });
    }

    /// The fault begins in this phase of a call; answers how long that has waited.
    async fn meets(self, fault: Fault, answers: Answers, scene: &Scene) -> Duration {
        let deadlines = match fault {
            // Short answers come within their deadlines: to the request for the lease, to the fill, and to what follows it.
            Fault::Drip(_) => 3,
            _ => 1,
        };
        match self {
            Self::Read => {
                scene.network.set(fault);
                let cost = scene.read(3).await;
                cost.at_most(deadlines);
                match answers {
                    Answers::Always => assert_eq!(cost.bodies, 0),
                    Answers::Perhaps => assert!(cost.bodies <= 1),
                    Answers::Again | Answers::Never => assert_eq!(cost.bodies, 1),
                }
                cost.wait
            }
            Self::Lease => {
                scene.network.set_once_asked("EVALSHA", fault);
                let cost = scene.read(4).await;
                cost.at_most(deadlines);
                assert_eq!(cost.bodies, 1);
                cost.wait
            }
            Self::Fill => {
                let failing = Truth::failing(&scene.network, fault);
                let (read, cost) = scene.costs(&failing, film(&failing, 4)).await;
                assert_eq!(read, scene.truth.film(4));
                cost.at_most(deadlines);
                assert_eq!(cost.bodies, 1);
                cost.wait
            }
            Self::Invalidation => {
                scene.network.set(fault);
                let cost = scene.change(3).await;
                cost.at_most(deadlines);
                cost.wait
            }
            Self::Waiting => waits(fault, answers, scene).await,
            Self::Connecting => {
                scene.network.set(fault);
                scene
                    .server
                    .cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
                let cost = scene.read(3).await;
                // One for the connection as well.
                cost.at_most(2);
                assert!(cost.bodies <= 1);
                cost.wait
            }
            Self::Push => {
                scene.network.set(fault);
                scene.change_elsewhere(1).await;
                let changed = Instant::now();
                let old = scene.truth.film_before(1);
                let mut longest = Duration::ZERO;
                while changed.elapsed() < MAX_LAG + LIMIT {
                    let late = changed.elapsed() > MAX_LAG;
                    let (read, cost) = scene.costs(&scene.truth, film(&scene.truth, 1)).await;
                    cost.at_most(deadlines);
                    assert!(read == scene.truth.film(1) || (read == old && !late));
                    longest = longest.max(cost.wait);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                longest
            }
        }
    }
}

/// Another process loads, this one waits for it, and then the fault begins.
async fn waits(fault: Fault, answers: Answers, scene: &Scene) -> Duration {
    let held = Arc::new(Truth::new(Gate::Closed));
    let other = tokio::spawn(with_cache(scene.other.clone(), {
        let held = Arc::clone(&held);
        async move { film_of_the_fleet(&held, 5).await }
    }));
    wait_until_async(async || held.bodies() == 1, "the other loads").await;
    let asked = evaluations(scene);
    let fault_began = OnceCell::new();
    let call = async {
        let call = film_of_the_fleet(&scene.truth, 5);
        let cost = scene.costs(&scene.truth, call).await;
        let waited = fault_began.get().map(Stopwatch::elapsed);
        (cost, waited.unwrap_or_default())
    };
    let fault_begins = async {
        wait_until_async(async || evaluations(scene) > asked, "it is told to wait").await;
        let _ = fault_began.set(Stopwatch::start());
        scene.network.set(fault);
        if answers != Answers::Never {
            tokio::time::sleep(LEASE / 2).await;
            held.open_the_gate();
        }
    };
    let (((read, cost), waited), ()) = tokio::join!(call, fault_begins);
    held.open_the_gate();
    assert_eq!(read, scene.truth.film(5));
    assert_eq!(other.await.unwrap(), scene.truth.film(5));
    assert!(cost.failed <= 1 && cost.bodies <= 1, "{cost:?}");
    // Until it looks again, and the deadline of that look.
    let limit = match answers {
        Answers::Never => LEASE / 8 + LIMIT,
        Answers::Always | Answers::Again | Answers::Perhaps => LEASE / 2 + LEASE / 8 + LIMIT,
    };
    assert!(waited < limit + LIMIT, "{waited:?} of {limit:?}");
    waited
}

/// How many scripts the server was asked to run.
fn evaluations(scene: &Scene) -> u64 {
    let stats = scene.server.cli(&["INFO", "commandstats"]);
    let calls = stats.split("cmdstat_evalsha:calls=").nth(1);
    let calls = calls.and_then(|calls| calls.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

/// Calls go on under the fault: each has a bound, and what this process invalidates is gone at once.
async fn goes_on(answers: Answers, scene: &Scene) {
    scene.change(1).await.at_most(2);
    scene.read(1).await.at_most(2);
    scene.fail(6).await.at_most(2);
    scene.change_elsewhere(2).await;
    match answers {
        Answers::Always | Answers::Perhaps => {}
        Answers::Again => drop(scene.recovers(Duration::ZERO, &[1]).await),
        Answers::Never => is_given_up(scene).await,
    }
}

/// A server that never answers is soon not asked any more, which costs nothing, and no connection to it stays.
async fn is_given_up(scene: &Scene) {
    let mut calls = 0;
    while scene.cache.mode() == Mode::Redis {
        scene.read(10 + calls).await.at_most(2);
        calls += 1;
        assert!(calls <= CALLS_UNTIL_OPEN, "the breaker stays closed");
    }
    let mut waits = Vec::new();
    for id in 30..60 {
        let cost = scene.read(id).await;
        assert_eq!((cost.bodies, cost.failed), (1, 0), "{id}");
        let again = scene.read(id).await;
        assert_eq!((again.bodies, again.failed), (0, 0), "{id}");
        waits.extend([cost.wait, again.wait]);
    }
    waits.sort();
    let median = waits[waits.len() / 2];
    assert!(median < LIMIT / 10, "{median:?}");
    // What is kept in process meanwhile must not outlive it.
    scene.read(2).await;
    scene.change_elsewhere(2).await;
    // One may be on trial.
    let given_up = async || scene.network.open() <= 1;
    wait_until_async(given_up, "hung connections are closed").await;
}
