//! P1 and P2 under load: 256 tasks call cached functions while the server is stopped, goes on, is killed and comes back.

mod support;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, Mode, cache_invalidate, cached, with_cache};
use support::{DEADLINE, Dice, Log, RedisServer, dice, wait_until_async};
use tracing::Level;

/// The deadline of a connection, and of an answer.
const LIMIT: Duration = Duration::from_millis(400);

const TASKS: u64 = 256;

/// Films that are asked for again and again, and changed; every other is asked for once.
const HOT: usize = 16;

/// How long each stage lasts once it is reached.
const STAGE: Duration = Duration::from_millis(1_500);

/// How many times as long a call may take, at the 99th percentile, while Redis is known to be away as one of a cache without
/// Redis among the same tasks at the same time. A deadline would be fifty times as long.
const NOT_MEASURABLE: u32 = 5;

#[derive(Default)]
struct Truth {
    versions: [AtomicU64; HOT],
    /// The versions whose invalidation has ended: nothing older may be read.
    due: [AtomicU64; HOT],
    cold: AtomicUsize,
    reads: AtomicU64,
    bodies: AtomicU64,
}

#[cached(ttl = 300, prefix = "film", key = "{id}")]
async fn film(truth: &Truth, id: usize) -> u64 {
    truth.bodies.fetch_add(1, Ordering::Relaxed);
    let version = truth.versions.get(id);
    let version = version.map_or(0, |version| version.load(Ordering::SeqCst));
    tokio::time::sleep(Duration::from_millis(2)).await;
    version
}

#[cache_invalidate(prefix = "film", key = "{id}")]
async fn change(truth: &Truth, id: usize) -> u64 {
    truth.versions[id].fetch_add(1, Ordering::SeqCst) + 1
}

/// Where the run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Redis,
    Stopped,
    GoesOn,
    Killed,
    Back,
    /// Between two others.
    Changing,
}

const STAGES: [Stage; 6] = [
    Stage::Redis,
    Stage::Stopped,
    Stage::GoesOn,
    Stage::Killed,
    Stage::Back,
    Stage::Changing,
];

/// A cache, and the truth that it must follow.
struct Side {
    cache: Cache,
    truth: Truth,
}

impl Side {
    fn new(cache: Cache) -> Self {
        Self {
            cache,
            truth: Truth::default(),
        }
    }

    /// One call, whose value may be as old as what was due when it began, and no older.
    async fn call(&self, dice: &mut Dice) {
        let id = dice.below(HOT as u64);
        if dice.one_in(64) {
            let version = with_cache(self.cache.clone(), change(&self.truth, id)).await;
            self.truth.due[id].fetch_max(version, Ordering::SeqCst);
            return;
        }
        let (id, due) = match dice.one_in(8) {
            true => (HOT + self.truth.cold.fetch_add(1, Ordering::Relaxed), 0),
            false => (id, self.truth.due[id].load(Ordering::SeqCst)),
        };
        let version = with_cache(self.cache.clone(), film(&self.truth, id)).await;
        assert!(version >= due, "film {id}: {version} where {due} was due");
        self.truth.reads.fetch_add(1, Ordering::Relaxed);
    }
}

/// What all tasks share.
struct Run {
    with_redis: Side,
    without: Side,
    stage: AtomicUsize,
    ends: AtomicBool,
}

impl Run {
    fn stage(&self) -> Stage {
        STAGES[self.stage.load(Ordering::SeqCst)]
    }

    fn enter(&self, stage: Stage) {
        let number = STAGES.iter().position(|other| *other == stage);
        self.stage.store(number.unwrap(), Ordering::SeqCst);
    }

    /// A stage that lasts.
    async fn stay(&self, stage: Stage) {
        self.enter(stage);
        tokio::time::sleep(STAGE).await;
        self.enter(Stage::Changing);
    }

    async fn reaches(&self, mode: Mode) {
        let reached = async || self.with_redis.cache.mode() == mode;
        wait_until_async(reached, &format!("the cache is in {mode:?}")).await;
    }

    /// One task, which calls both caches in turn: how long its calls took, with the stage in which all of it happened.
    async fn work(self: Arc<Self>, mut dice: Dice) -> [Vec<(Stage, Duration)>; 2] {
        let mut took = [Vec::new(), Vec::new()];
        while !self.ends.load(Ordering::SeqCst) {
            for (side, took) in [&self.with_redis, &self.without].into_iter().zip(&mut took) {
                let stage = self.stage();
                let began = Instant::now();
                side.call(&mut dice).await;
                let elapsed = began.elapsed();
                match self.stage() == stage {
                    true => took.push((stage, elapsed)),
                    false => took.push((Stage::Changing, elapsed)),
                }
                tokio::time::sleep(Duration::from_millis(5 + dice.roll() % 10)).await;
            }
        }
        took
    }
}

/// Runs the load while `stages` goes through the stages; answers how long the calls took with Redis, and without.
async fn load(run: &Arc<Run>, seed: u64, stages: impl Future<Output = ()>) -> [Took; 2] {
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(Arc::clone(run).work(Dice(seed ^ task))))
        .collect();
    stages.await;
    run.ends.store(true, Ordering::SeqCst);
    let mut took = [Took(Vec::new()), Took(Vec::new())];
    for task in tasks {
        let calls = task.await.expect("no call fails, and none is stale");
        for (took, calls) in took.iter_mut().zip(calls) {
            took.0.extend(calls);
        }
    }
    took
}

struct Took(Vec<(Stage, Duration)>);

impl Took {
    /// The 99th percentile of a stage.
    fn p99(&self, stage: Stage) -> Duration {
        let of_stage = self.0.iter().filter(|(other, _)| *other == stage);
        let mut of_stage: Vec<Duration> = of_stage.map(|(_, took)| *took).collect();
        assert!(of_stage.len() > 100, "{stage:?}: {}", of_stage.len());
        of_stage.sort();
        of_stage[of_stage.len() * 99 / 100]
    }

    fn longest(&self) -> Duration {
        let longest = self.0.iter().map(|(_, took)| *took).max();
        longest.unwrap_or_default()
    }
}

async fn open(server: &RedisServer) -> Cache {
    let builder = Cache::builder().redis_url(server.url());
    let builder = builder.connect_timeout(LIMIT).response_timeout(LIMIT);
    builder.open().await.unwrap()
}

/// What this process holds in memory.
fn resident_bytes() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = pages.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4_096)
}

/// Stopped, going on, killed and back, each for a while once the cache has noticed.
async fn stages(run: &Run, server: &RedisServer) {
    run.stay(Stage::Redis).await;
    server.pause();
    run.reaches(Mode::Fallback).await;
    run.stay(Stage::Stopped).await;
    server.resume();
    run.reaches(Mode::Redis).await;
    run.stay(Stage::GoesOn).await;
    server.kill();
    run.reaches(Mode::Fallback).await;
    run.stay(Stage::Killed).await;
    server.restart();
    run.reaches(Mode::Redis).await;
    run.stay(Stage::Back).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_stopped_and_killed_under_load_costs_no_error_nothing_stale_and_soon_no_time() {
    let seed = dice::seed("LOAD_SEED");
    let log = Log::of_this_process();
    let server = RedisServer::start();
    let run = Arc::new(Run {
        with_redis: Side::new(open(&server).await),
        without: Side::new(Cache::builder().open().await.unwrap()),
        stage: AtomicUsize::new(STAGES.len() - 1),
        ends: AtomicBool::new(false),
    });
    let resident = resident_bytes();

    let [took, without] = load(&run, seed, stages(&run, &server)).await;

    for stage in STAGES {
        let (with_redis, without) = (took.p99(stage), without.p99(stage));
        println!("{stage:?}: p99 {with_redis:?}, without redis {without:?}");
        if matches!(stage, Stage::Stopped | Stage::Killed) {
            assert!(with_redis < without * NOT_MEASURABLE, "{stage:?}");
        }
    }
    // Until it is known that Redis is away, one deadline of its own, and one of whoever leads the flight that it follows.
    let longest = took.longest();
    assert!(
        longest < LIMIT * 2 + without.longest() + LIMIT,
        "{longest:?}"
    );
    let lines = log.at(Level::WARN);
    let (unreachable, back) = ("redis unreachable", "redis is back");
    let states = [unreachable, back, unreachable, back];
    assert_eq!(lines.len(), states.len(), "{lines:#?}");
    for (line, state) in lines.iter().zip(states) {
        assert!(line.starts_with(state), "{lines:#?}");
    }
    assert_eq!(log.at(Level::ERROR), [""; 0]);
    check_end(&run.with_redis, &server, resident).await;
    let Truth { reads, bodies, .. } = &run.with_redis.truth;
    println!("{reads:?} reads, {bodies:?} bodies, longest {longest:?}, {lines:#?}");
}

/// Nothing is stale afterwards, and nothing is left.
async fn check_end(side: &Side, server: &RedisServer, resident: Option<usize>) {
    let fresh = open(server).await;
    for cache in [&side.cache, &fresh] {
        for id in 0..HOT {
            let version = with_cache(cache.clone(), film(&side.truth, id)).await;
            assert_eq!(version, side.truth.versions[id].load(Ordering::SeqCst));
        }
    }
    assert!(format!("{:?}", side.cache).contains("flights: 0"));
    let none = async || server.keys("lease@*").is_empty();
    wait_until_async(none, "no lease is left").await;
    // For each of the two caches a driver and a sign of life.
    let few = async || {
        let metrics = tokio::runtime::Handle::current().metrics();
        metrics.num_alive_tasks() <= 4
    };
    wait_until_async(few, &format!("no task is left in {DEADLINE:?}")).await;
    if let (Some(before), Some(after)) = (resident, resident_bytes()) {
        let grown = after.saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes more");
    }
}
