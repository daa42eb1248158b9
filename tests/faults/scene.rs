//! What one cell of the table happens in: a server, a network with faults before it, a cache behind that, and another one
//! that reaches the server directly.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, Mode, cache_invalidate, cached, with_cache};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::support::{Fault, Proxy, RedisServer, Stopwatch, wait_until_async};

/// The deadline of a connection, and of an answer.
pub const LIMIT: Duration = Duration::from_millis(200);

/// How long a lease lives; whoever waits for one looks again after an eighth of it, which is less than the deadline.
pub const LEASE: Duration = Duration::from_millis(800);

/// How far a value in process may lag behind what another process has invalidated.
pub const MAX_LAG: Duration = Duration::from_secs(1);

/// Tasks of a connection: its driver and its sign of life.
const TASKS: usize = 2;

/// The breaker's first back-off and its longest, with the quarter that chance adds.
const FIRST_BACKOFF: Duration = Duration::from_millis(125);
const LONGEST_BACKOFF: Duration = Duration::from_millis(6_250);

/// The source of truth: a version of each film, and how often films were loaded.
#[derive(Debug)]
pub struct Truth {
    versions: [AtomicU64; 64],
    bodies: AtomicU64,
    /// Nanoseconds that bodies have taken.
    took: AtomicU64,
    /// What happens while a body runs.
    during: Option<(Arc<Proxy>, Fault)>,
    /// What a body waits for.
    gate: Semaphore,
}

/// Whether bodies may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Open,
    Closed,
}

impl Truth {
    /// Its bodies wait where the gate is closed.
    pub fn new(gate: Gate) -> Self {
        Self {
            versions: [const { AtomicU64::new(0) }; 64],
            bodies: AtomicU64::new(0),
            took: AtomicU64::new(0),
            during: None,
            gate: Semaphore::new(usize::from(gate == Gate::Open)),
        }
    }

    pub fn failing(proxy: &Arc<Proxy>, fault: Fault) -> Self {
        Self {
            during: Some((Arc::clone(proxy), fault)),
            ..Self::new(Gate::Open)
        }
    }

    pub fn bodies(&self) -> u64 {
        self.bodies.load(Ordering::SeqCst)
    }

    pub fn open_the_gate(&self) {
        self.gate.add_permits(1);
    }

    fn took(&self) -> Duration {
        Duration::from_nanos(self.took.load(Ordering::SeqCst))
    }

    /// What a body returns at this moment: long, so that an answer that carries it can be cut in the middle.
    pub fn film(&self, id: usize) -> String {
        let version = self.versions[id].load(Ordering::SeqCst);
        format!("film {id} v{version} {}", "x".repeat(400))
    }

    /// What it returned before the last change.
    pub fn film_before(&self, id: usize) -> String {
        let version = self.versions[id].load(Ordering::SeqCst);
        let (now, before) = (format!(" v{version} "), format!(" v{} ", version - 1));
        self.film(id).replace(&now, &before)
    }

    async fn load(&self, id: usize) -> String {
        let began = Instant::now();
        self.bodies.fetch_add(1, Ordering::SeqCst);
        if let Some((proxy, fault)) = &self.during {
            proxy.set(*fault);
        }
        let film = self.film(id);
        drop(self.gate.acquire().await.unwrap());
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap();
        self.took.fetch_add(took, Ordering::SeqCst);
        film
    }
}

#[cached(ttl = 300, prefix = "film", key = "{id}")]
pub async fn film(truth: &Truth, id: usize) -> String {
    truth.load(id).await
}

/// The same entries, never answered in process.
#[cached(ttl = 300, prefix = "film", key = "{id}", near = false)]
pub async fn film_of_redis(truth: &Truth, id: usize) -> String {
    truth.load(id).await
}

/// The same entries, loaded once in all processes.
#[cached(ttl = 300, prefix = "film", key = "{id}", coalesce = "fleet")]
pub async fn film_of_the_fleet(truth: &Truth, id: usize) -> String {
    truth.load(id).await
}

#[cached(ttl = 300, prefix = "missing", key = "{id}")]
async fn missing(truth: &Truth, id: usize) -> Result<String, String> {
    Err(truth.load(id).await)
}

#[cache_invalidate(prefix = "film", key = "{id}")]
async fn change(truth: &Truth, id: usize) {
    truth.versions[id].fetch_add(1, Ordering::SeqCst);
}

/// What a call has cost beside its body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    pub wait: Duration,
    /// Operations that Redis did not answer.
    pub failed: u64,
    pub bodies: u64,
}

impl Cost {
    /// The call has waited for so many deadlines at most, and gone on asking after none that was missed.
    #[track_caller]
    pub fn at_most(self, deadlines: u32) {
        // One more for a machine that has other things to do.
        assert!(self.wait < LIMIT * (deadlines + 1), "{self:?}");
        assert!(self.failed <= 1, "{self:?}");
    }
}

pub struct Scene {
    pub server: RedisServer,
    pub network: Arc<Proxy>,
    pub truth: Truth,
    pub cache: Cache,
    /// Reaches the server whatever the network does.
    pub other: Cache,
}

impl Scene {
    pub async fn new() -> Self {
        let server = RedisServer::start();
        let network = Arc::new(Proxy::start(server.port()));
        let builder = Cache::builder().redis_url(server.url()).lease(LEASE);
        let other = builder.response_timeout(Duration::from_secs(5)).open();
        let other = other.await.unwrap();
        let truth = Truth::new(Gate::Open);
        let scene = Self {
            cache: Self::open(&network.url()).await,
            server,
            network,
            truth,
            other,
        };
        // A machine that has other things to do may have taken longer than the deadline.
        for cache in [&scene.cache, &scene.other] {
            let used = async || cache.health().await.mode == Mode::Redis;
            wait_until_async(used, "redis is in use").await;
        }
        // From here on the server knows the scripts.
        with_cache(scene.other.clone(), film(&scene.truth, 0)).await;
        scene
    }

    async fn open(url: &str) -> Cache {
        let builder = Cache::builder().redis_url(url).lease(LEASE);
        let builder = builder.connect_timeout(LIMIT).response_timeout(LIMIT);
        builder.open().await.unwrap()
    }

    /// Runs a call through the cache, and tells what it has cost.
    pub async fn costs<T>(&self, truth: &Truth, call: impl Future<Output = T>) -> (T, Cost) {
        let failed = self.cache.stats().errors;
        let bodies = truth.bodies();
        let took = truth.took();
        let began = Stopwatch::start();
        let returned = with_cache(self.cache.clone(), call).await;
        let elapsed = began.elapsed();
        let cost = Cost {
            wait: elapsed.saturating_sub(truth.took() - took),
            failed: self.cache.stats().errors - failed,
            bodies: truth.bodies() - bodies,
        };
        (returned, cost)
    }

    /// Reads a film, which must be as it is now.
    pub async fn read(&self, id: usize) -> Cost {
        let (read, cost) = self.costs(&self.truth, film(&self.truth, id)).await;
        assert_eq!(read, self.truth.film(id));
        cost
    }

    /// Changes a film in this process, and tells what the invalidation has cost.
    pub async fn change(&self, id: usize) -> Cost {
        let ((), cost) = self.costs(&self.truth, change(&self.truth, id)).await;
        cost
    }

    /// Has an error loaded, which must be the body's own.
    pub async fn fail(&self, id: usize) -> Cost {
        let (returned, cost) = self.costs(&self.truth, missing(&self.truth, id)).await;
        assert_eq!(returned, Err(self.truth.film(id)));
        assert_eq!(cost.bodies, 1);
        cost
    }

    /// Another process reads a film, and so stores it.
    pub async fn store(&self, id: usize) {
        let stored = with_cache(self.other.clone(), film_of_redis(&self.truth, id)).await;
        assert_eq!(stored, self.truth.film(id));
    }

    /// Another process changes a film.
    pub async fn change_elsewhere(&self, id: usize) {
        with_cache(self.other.clone(), change(&self.truth, id)).await;
    }

    /// The longest time from the end of an outage of this length until Redis is in use again, while calls go on: three
    /// deadlines until a connection out of step is given up; the back-off that has come about, which is no longer than the
    /// outage in proportion to its jitter (a quarter less, a quarter more); and two probes, of which the first began too early.
    fn recovery(outage: Duration) -> Duration {
        let back_off = (outage * 5 / 3 + FIRST_BACKOFF).min(LONGEST_BACKOFF);
        LIMIT * 3 + back_off + (LIMIT + LIMIT) * 2 + LIMIT
    }

    /// The fault has ended after so long: Redis is used again, and nothing that was changed meanwhile comes back.
    /// Answers how long that took.
    pub async fn recovers(&self, outage: Duration, changed: &[usize]) -> Duration {
        let began = Stopwatch::start();
        let answered = async || {
            let bodies = self.truth.bodies();
            let call = film_of_redis(&self.truth, 63);
            let read = with_cache(self.cache.clone(), call).await;
            assert_eq!(read, self.truth.film(63));
            self.truth.bodies() == bodies && self.cache.mode() == Mode::Redis
        };
        wait_until_async(answered, "a call is answered from redis").await;
        let (took, limit) = (began.elapsed(), Self::recovery(outage));
        assert!(took < limit, "{took:?} of {limit:?} after {outage:?}");

        let fresh = Self::open(&self.server.url()).await;
        for &id in changed {
            self.read(id).await;
            let read = with_cache(fresh.clone(), film(&self.truth, id)).await;
            assert_eq!(read, self.truth.film(id));
        }
        fresh.close().await;
        took
    }

    /// What the fault could have left behind is gone.
    pub async fn leaves_nothing(self) {
        assert!(format!("{:?}", self.cache).contains("flights: 0"));
        let began = Stopwatch::start();
        let given_back = async || self.server.keys("lease@*").is_empty();
        wait_until_async(given_back, "no lease is left").await;
        assert!(began.elapsed() < LEASE + LIMIT, "no later than by itself");
        let one = async || self.network.open() <= 1;
        wait_until_async(one, "one connection is left").await;
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let few = async || tasks() <= 2 * TASKS;
        wait_until_async(few, "no task is left but the connections'").await;
        self.cache.close().await;
        drop(self.cache);
        let none = async || self.network.open() == 0 && tasks() <= TASKS;
        wait_until_async(none, "a cache that is closed leaves nothing").await;
        // Besides the connection of the other cache and the one that asks.
        let connected = async || {
            let clients = self.server.cli(&["CLIENT", "LIST", "TYPE", "normal"]);
            clients
                .lines()
                .filter(|line| line.contains("addr="))
                .count()
                <= 2
        };
        wait_until_async(connected, "the server has no connection left").await;
    }
}
