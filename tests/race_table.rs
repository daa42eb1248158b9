//! The race that other caches lose, as a table: a load has copied the old value, an invalidation comes before it ends, and
//! then somebody reads.
//!
//! Each cell is the number of stale reads, and of races that took place: in which the load had read before the invalidation
//! began, and ended after it had returned. `cargo test --test race_table -- --nocapture` prints the table.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, cached, with_cache};
use support::RedisServer;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Races in each cell.
const ROUNDS: u64 = 16;

/// A source of truth in which a load can be held between its reading and its end.
#[derive(Default)]
struct Truth {
    version: AtomicU64,
    gate: Gate,
}

struct Gate {
    /// A permit for each load that has read and is held.
    reached: Semaphore,
    open: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            reached: Semaphore::new(0),
            open: Semaphore::new(0),
        }
    }
}

impl Truth {
    async fn read(&self, gate: Option<&Gate>) -> u64 {
        let version = self.version.load(Ordering::SeqCst);
        if let Some(gate) = gate {
            gate.reached.add_permits(1);
            gate.open.acquire().await.unwrap().forget();
        }
        version
    }

    fn change(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
    }
}

/// Where a value is kept.
#[derive(Debug, Clone, Copy)]
enum Tier {
    Process,
    Redis,
    Both,
}

/// How the load comes about that is overtaken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Nothing is there.
    Foreground,
    /// Something has expired, and is returned while a caller loads a new one.
    Revalidation,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Entry,
    Prefix,
    Tag,
}

/// Who invalidates, and reads first afterwards.
#[derive(Debug, Clone, Copy)]
enum By {
    TheSame,
    AnotherHandle,
}

const ROWS: [(Target, By); 6] = [
    (Target::Entry, By::TheSame),
    (Target::Entry, By::AnotherHandle),
    (Target::Prefix, By::TheSame),
    (Target::Prefix, By::AnotherHandle),
    (Target::Tag, By::TheSame),
    (Target::Tag, By::AnotherHandle),
];

const COLUMNS: [(Tier, Load); 6] = [
    (Tier::Process, Load::Foreground),
    (Tier::Redis, Load::Foreground),
    (Tier::Both, Load::Foreground),
    (Tier::Process, Load::Revalidation),
    (Tier::Redis, Load::Revalidation),
    (Tier::Both, Load::Revalidation),
];

#[cached(ttl = "5m", prefix = "race", key = "{id}:row", tags = ["of:{id}"])]
async fn row(truth: &Truth, id: u64, gate: Option<&Gate>) -> u64 {
    truth.read(gate).await
}

#[cached(ttl = "10ms", prefix = "race", key = "{id}:row", tags = ["of:{id}"], stale_while_revalidate = "5m")]
async fn stale_row(truth: &Truth, id: u64, gate: Option<&Gate>) -> u64 {
    truth.read(gate).await
}

async fn read(cache: &Cache, load: Load, truth: &Truth, id: u64, gate: Option<&Gate>) -> u64 {
    with_cache(cache.clone(), async {
        match load {
            Load::Foreground => row(truth, id, gate).await,
            Load::Revalidation => stale_row(truth, id, gate).await,
        }
    })
    .await
}

async fn invalidate(cache: &Cache, target: Target, id: u64) {
    match target {
        Target::Entry => drop(cache.delete(&format!("race:{id}:row")).await.unwrap()),
        Target::Prefix => drop(cache.invalidate_prefix("race").await.unwrap()),
        Target::Tag => drop(cache.invalidate_tag(&format!("of:{id}")).await.unwrap()),
    }
}

/// One race to be run.
struct Race<'a> {
    loader: &'a Cache,
    by: &'a Cache,
    load: Load,
    target: Target,
    id: u64,
    /// Whether the first read afterwards comes while the load is still held, or once it has ended.
    read_while_held: bool,
}

/// What came of the races of one cell.
#[derive(Default)]
struct Cell {
    stale: u64,
    /// Loads that had read before the invalidation began, and had not ended when it returned.
    raced: u64,
}

impl Race<'_> {
    async fn run(&self, cell: &mut Cell) {
        let Self { loader, load, .. } = *self;
        let truth = Arc::new(Truth::default());
        if load == Load::Revalidation {
            read(loader, load, &truth, self.id, None).await;
        }
        let slow = self.hold_a_load(&truth).await;
        if load == Load::Revalidation {
            let before = loader.stats().stale_served;
            assert_eq!(read(loader, load, &truth, self.id, None).await, 0);
            assert_eq!(loader.stats().stale_served, before + 1, "it was not stale");
        }

        truth.change();
        invalidate(self.by, self.target, self.id).await;
        let held = !slow.is_finished();

        if self.read_while_held {
            self.look(self.by, &truth, cell).await;
        }
        truth.gate.open.add_permits(1);
        let old = slow.await.unwrap() == 0;
        cell.raced += u64::from(held && old);
        self.look(self.by, &truth, cell).await;
        self.look(loader, &truth, cell).await;
    }

    /// A load that has read version 0 and is held.
    async fn hold_a_load(&self, truth: &Arc<Truth>) -> JoinHandle<u64> {
        loop {
            let mut call = tokio::spawn({
                let (loader, load, id) = (self.loader.clone(), self.load, self.id);
                let truth = Arc::clone(truth);
                async move { read(&loader, load, &truth, id, Some(&truth.gate)).await }
            });
            tokio::select! {
                reached = truth.gate.reached.acquire() => {
                    reached.unwrap().forget();
                    return call;
                }
                // What is there has not expired yet.
                _ = &mut call => {}
            }
        }
    }

    async fn look(&self, cache: &Cache, truth: &Truth, cell: &mut Cell) {
        let version = read(cache, self.load, truth, self.id, None).await;
        cell.stale += u64::from(version != 1);
    }
}

async fn caches(server: &RedisServer, tier: Tier) -> (Cache, Cache) {
    let open = async || {
        let builder = match tier {
            Tier::Process => Cache::builder(),
            Tier::Redis => Cache::builder().redis_url(server.url()).near(false),
            Tier::Both => Cache::builder().redis_url(server.url()),
        };
        let builder = builder.response_timeout(Duration::from_secs(5));
        builder.open().await.unwrap()
    };
    let loader = open().await;
    match tier {
        Tier::Process => (loader.clone(), loader),
        Tier::Redis | Tier::Both => (loader, open().await),
    }
}

#[tokio::test]
async fn an_invalidation_in_the_middle_of_a_load_is_never_lost() {
    let server = RedisServer::start();
    println!("stale reads / races, {ROUNDS} in each cell");
    let titles = COLUMNS.map(|(tier, load)| format!("{:>22}", format!("{tier:?} {load:?}")));
    println!("{:22}{}", "", titles.concat());
    let mut id = 0;
    let mut wrong = Vec::new();
    for (target, by) in ROWS {
        let row = format!("{target:?} {by:?}");
        let mut cells = String::new();
        for column in COLUMNS {
            let (tier, load) = column;
            let (loader, other) = caches(&server, tier).await;
            let mut cell = Cell::default();
            for round in 0..ROUNDS {
                id += 1;
                let race = Race {
                    loader: &loader,
                    by: match by {
                        By::TheSame => &loader,
                        By::AnotherHandle => &other,
                    },
                    load,
                    target,
                    id,
                    read_while_held: round % 2 == 0,
                };
                race.run(&mut cell).await;
            }
            let Cell { stale, raced } = cell;
            cells += &format!("{:>22}", format!("{stale} / {raced}"));
            if stale != 0 || raced != ROUNDS {
                wrong.push(format!("{row}, {column:?}: {stale} stale, {raced} raced"));
            }
        }
        println!("{row:22}{cells}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
