//! The race that other caches lose, as a table: a load has copied the old value, an invalidation comes before it ends, and
//! then somebody reads.
//!
//! `cargo test --test race_table -- --nocapture` prints it.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, cached, with_cache};
use support::RedisServer;
use tokio::sync::Semaphore;

/// Races in each cell.
const ROUNDS: u64 = 24;

/// A source of truth in which a load can be held between its reading and its end.
#[derive(Default)]
struct Truth {
    version: AtomicU64,
    held: Option<Gate>,
}

struct Gate {
    /// What the held load has read.
    reached: Semaphore,
    open: Semaphore,
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

/// One race; answers whether the read after it was stale.
async fn race(loader: &Cache, other: &Cache, load: Load, target: Target, id: u64) -> bool {
    let truth = Arc::new(Truth {
        held: Some(Gate {
            reached: Semaphore::new(0),
            open: Semaphore::new(0),
        }),
        ..Truth::default()
    });
    if load == Load::Revalidation {
        read(loader, load, &truth, id, None).await;
        // Nobody tells when something has expired; being late does no harm.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let slow = tokio::spawn({
        let (loader, truth) = (loader.clone(), Arc::clone(&truth));
        async move { read(&loader, load, &truth, id, truth.held.as_ref()).await }
    });
    let gate = truth.held.as_ref().unwrap();
    gate.reached.acquire().await.unwrap().forget();
    if load == Load::Revalidation {
        let before = loader.stats().stale_served;
        assert_eq!(read(loader, load, &truth, id, None).await, 0);
        assert_eq!(loader.stats().stale_served, before + 1, "it was not stale");
    }

    truth.change();
    invalidate(other, target, id).await;
    gate.open.add_permits(1);

    assert_eq!(slow.await.unwrap(), 0, "it had read the old value");
    let stale = |version: u64| version != 1;
    stale(read(other, load, &truth, id, None).await)
        | stale(read(loader, load, &truth, id, None).await)
}

async fn caches(server: &RedisServer, tier: Tier) -> (Cache, Cache) {
    let open = async || {
        let builder = match tier {
            Tier::Process => Cache::builder(),
            Tier::Redis => Cache::builder().redis_url(server.url()).near(false),
            Tier::Both => Cache::builder().redis_url(server.url()),
        };
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
    println!(
        "stale reads of {ROUNDS} races each, invalidated by the loading process and by another"
    );
    println!(
        "{:10}{}",
        "",
        COLUMNS
            .map(|(tier, load)| format!("{:>24}", format!("{tier:?} {load:?}")))
            .concat()
    );
    let mut id = 0;
    let mut lost = 0;
    for target in [Target::Entry, Target::Prefix, Target::Tag] {
        let mut cells = String::new();
        for (tier, load) in COLUMNS {
            let (loader, other) = caches(&server, tier).await;
            let mut stale = 0;
            for round in 0..ROUNDS {
                id += 1;
                let by = if round % 2 == 0 { &loader } else { &other };
                stale += u64::from(race(&loader, by, load, target, id).await);
            }
            cells += &format!("{stale:>24}");
            lost += stale;
        }
        println!("{:10}{cells}", format!("{target:?}"));
    }
    assert_eq!(lost, 0);
}
