//! P2 in a cache in process alone, over threads: there is one local pass of an invalidation, and no answer of Redis to put
//! anything right. It is the cache of the process, as it is for most calls: theirs is the shortest way. Calls last for microseconds, so what meets here is any step of one call and any step of another.
//! `P2_SEED` replays the choices of a run, though not what the scheduler does.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cache_runtime::{cache_invalidate, cached};
use support::{Dice, dice};
use tokio::runtime::{Builder, Runtime};

const THREADS: u64 = 4;

/// A record that everybody reads and writes.
const ID: u64 = 1;

/// Its version, and the newest whose invalidation has ended.
#[derive(Default)]
struct Truth {
    version: AtomicU64,
    settled: AtomicU64,
    bodies: AtomicU64,
}

impl Truth {
    fn read(&self) -> u64 {
        let bodies = self.bodies.fetch_add(1, Ordering::SeqCst);
        let version = self.version.load(Ordering::SeqCst);
        // Now and then for long enough to be followed.
        if bodies.is_multiple_of(16) {
            thread::yield_now();
        }
        version
    }
}

#[cached(ttl = 300, prefix = "record", key = "{id}")]
async fn record(truth: &Truth, id: u64) -> u64 {
    truth.read()
}

/// Its entries are others.
#[cached(ttl = 300, prefix = "record", key = "plain:{id}")]
fn plain_record(truth: &Truth, id: u64) -> u64 {
    truth.read()
}

#[cache_invalidate(prefix = "record", key = "{id}")]
#[cache_invalidate(prefix = "record", key = "plain:{id}")]
async fn change(id: u64) {}

#[cache_invalidate(prefix = "record")]
async fn change_all() {}

#[cache_invalidate(pattern = "record:*")]
async fn change_matching() {}

#[cache_invalidate(prefix = "record", key = "{id}")]
#[cache_invalidate(prefix = "record", key = "plain:{id}")]
fn change_plainly(id: u64) {}

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Functions {
    Async,
    Plain,
}

/// How many reads one thread has checked.
async fn work(functions: Functions, truth: &Truth, mut dice: Dice) -> u64 {
    let end = Instant::now() + Duration::from_millis(2_500);
    let mut reads = 0;
    while Instant::now() < end {
        if dice.one_in(2) {
            let version = truth.version.fetch_add(1, Ordering::SeqCst) + 1;
            match dice.below(128) {
                // It takes its time from the flights to the values, in which whoever began before it goes on.
                0 => change_matching().await,
                1..8 => change_all().await,
                8..16 => change_plainly(ID),
                _ => change(ID).await,
            }
            truth.settled.fetch_max(version, Ordering::SeqCst);
        }
        let due = truth.settled.load(Ordering::SeqCst);
        let version = match functions {
            Functions::Async => record(truth, ID).await,
            Functions::Plain => plain_record(truth, ID),
        };
        assert!(version >= due, "read {version}, at least {due} was due");
        reads += 1;
    }
    reads
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn history(functions: Functions, seed: u64) {
    let truth = Arc::new(Truth::default());
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let truth = Arc::clone(&truth);
            let dice = Dice(seed ^ (number << 32));
            // In the cache of the process, as most calls are: theirs is the shortest way.
            thread::spawn(move || runtime().block_on(work(functions, &truth, dice)))
        })
        .collect();
    let reads: Vec<_> = threads.into_iter().map(thread::JoinHandle::join).collect();
    let reads: u64 = reads.into_iter().map(Result::unwrap).sum();
    let bodies = truth.bodies.load(Ordering::SeqCst);
    println!("{reads} reads checked, {bodies} loads");
    assert!(reads > 1_000 && bodies > 100, "hardly anything happened");
}

#[test]
fn no_read_over_threads_is_older_than_the_last_finished_invalidation() {
    history(Functions::Async, dice::seed("P2_SEED"));
}

#[test]
fn nor_is_one_of_a_function_that_is_not_async() {
    history(Functions::Plain, dice::seed("P2_SEED"));
}

#[cached(ttl = 300, prefix = "given", key = "{id}")]
async fn given(begun: &AtomicU64, id: u64) -> u64 {
    begun.fetch_add(1, Ordering::SeqCst);
    LOADED
}

const LOADED: u64 = 1;
const SET: u64 = 2;

/// Two threads begin a round at once.
fn meet(arrived: &AtomicU64, round: u64) {
    arrived.fetch_add(1, Ordering::AcqRel);
    let mut spins = 0_u32;
    while arrived.load(Ordering::Acquire) < 2 * (round + 1) {
        spins += 1;
        match spins.is_multiple_of(10_000) {
            true => thread::yield_now(),
            false => std::hint::spin_loop(),
        }
    }
}

/// Lets the other thread be ahead, or behind.
fn dawdle(dice: &mut Dice) {
    let most = 1 << dice.below(12);
    for _ in 0..dice.below(most) {
        std::hint::spin_loop();
    }
}

/// Each of many keys is set once, and called once meanwhile.
#[test]
fn what_is_set_is_not_overwritten_by_a_load_that_began_meanwhile() {
    const KEYS: u64 = 2_000;
    let mut dice = Dice(dice::seed("P2_SEED"));
    let cache = cache_runtime::cache();
    let begun = Arc::new(AtomicU64::new(0));
    let arrived = Arc::new(AtomicU64::new(0));
    let caller = {
        let mut other = Dice(dice.roll());
        let (arrived, begun) = (Arc::clone(&arrived), Arc::clone(&begun));
        thread::spawn(move || {
            runtime().block_on(async {
                for id in 0..KEYS {
                    meet(&arrived, 2 * id);
                    dawdle(&mut other);
                    given(&begun, id).await;
                    meet(&arrived, 2 * id + 1);
                }
            });
        })
    };
    let mut lost = 0;
    runtime().block_on(async {
        for id in 0..KEYS {
            let key = format!("given:{id}");
            meet(&arrived, 2 * id);
            dawdle(&mut dice);
            cache.set(&key, &SET, None).await.unwrap();
            meet(&arrived, 2 * id + 1);
            lost += u64::from(cache.get(&key).await.unwrap() != Some(SET));
        }
    });
    caller.join().unwrap();

    let loads = begun.load(Ordering::SeqCst);
    println!("{loads} loads of {KEYS} keys");
    assert_eq!(lost, 0, "{lost} of {KEYS} were overwritten");
}
