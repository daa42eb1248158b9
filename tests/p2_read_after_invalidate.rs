//! P2: once an invalidating function has returned, no call that begins afterwards returns a value loaded before.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, cache_invalidate, cached, with_cache};
use support::{DEADLINE, Dice, Process, RedisServer, dice, process, wait_until_async};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

type Outcome = Result<(), &'static str>;

/// Versions of two records, and a place to hold a load that has read one.
#[derive(Default)]
struct Truth {
    versions: [AtomicU64; 2],
    bodies: AtomicU64,
    /// Whether a load lets others run between its reading and its end.
    dawdles: AtomicBool,
}

impl Truth {
    async fn dawdle(&self) {
        if self.dawdles.load(Ordering::Relaxed) {
            for _ in 0..self.bodies.load(Ordering::Relaxed) % 5 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn read(&self, id: usize) -> u64 {
        self.bodies.fetch_add(1, Ordering::SeqCst);
        self.versions[id].load(Ordering::SeqCst)
    }

    fn change(&self, id: usize) -> u64 {
        self.versions[id].fetch_add(1, Ordering::SeqCst) + 1
    }
}

#[cached(ttl = 300, prefix = "record", key = "{id}")]
async fn record(truth: &Truth, id: usize) -> u64 {
    let version = truth.read(id);
    truth.dawdle().await;
    version
}

/// Reads, and then takes its time.
#[cached(ttl = 300, prefix = "record", key = "{id}")]
async fn record_slowly(truth: &Truth, id: usize, reached: &Semaphore, open: &Semaphore) -> u64 {
    let version = truth.read(id);
    reached.add_permits(1);
    open.acquire().await.unwrap().forget();
    version
}

#[cache_invalidate(prefix = "record", key = "{id}")]
async fn change_entry(truth: &Truth, id: usize) -> Outcome {
    truth.change(id);
    Ok(())
}

#[cache_invalidate(prefix = "record")]
async fn change_all(truth: &Truth, id: usize) -> Outcome {
    truth.change(id);
    Ok(())
}

#[cache_invalidate(pattern = "r?cord:*")]
async fn change_matching(truth: &Truth, id: usize) -> Outcome {
    truth.change(id);
    Ok(())
}

/// Writes, and then ends in the way it is told to.
#[cache_invalidate(prefix = "record")]
async fn change_and(truth: &Truth, end: End) -> Outcome {
    truth.change(0);
    match end {
        End::Ok => Ok(()),
        End::Err => Err("after the write"),
        End::Panic => panic!("after the write"),
        End::Never => std::future::pending().await,
    }
}

#[cache_invalidate(prefix = "record", when = "ok")]
async fn change_when_ok(truth: &Truth, end: End) -> Outcome {
    truth.change(0);
    match end {
        End::Ok => Ok(()),
        End::Err => Err("after the write"),
        End::Panic => panic!("after the write"),
        End::Never => std::future::pending().await,
    }
}

#[cache_invalidate(prefix = "record", when = "before")]
async fn read_first_and_change(truth: &Truth) -> u64 {
    let before = record(truth, 0).await;
    truth.change(0);
    before
}

#[derive(Debug, Clone, Copy)]
enum End {
    Ok,
    Err,
    Panic,
    Never,
}

async fn on(server: &RedisServer) -> Cache {
    Cache::builder()
        .redis_url(server.url())
        .response_timeout(Duration::from_secs(5))
        .open()
        .await
        .unwrap()
}

/// A cache whose every read asks Redis.
async fn asking(server: &RedisServer) -> Cache {
    Cache::builder()
        .redis_url(server.url())
        .near(false)
        .response_timeout(Duration::from_secs(5))
        .open()
        .await
        .unwrap()
}

/// The cache that reads and the one that invalidates: the same in process, the same on Redis with and without a tier in
/// process, and two on Redis. Of two the reader asks Redis: how the tier in another process follows is `near_tier.rs`.
async fn tiers(server: &RedisServer) -> Vec<(Cache, Cache)> {
    let in_process = Cache::builder().open().await.unwrap();
    let near = on(server).await;
    let (one, other) = (asking(server).await, asking(server).await);
    vec![
        (in_process.clone(), in_process),
        (near.clone(), near.clone()),
        (one.clone(), one.clone()),
        (one.clone(), other),
        (one, near),
    ]
}

/// The ways to invalidate the record that a program has.
#[derive(Debug, Clone, Copy)]
enum How {
    Entry,
    Prefix,
    Pattern,
    Delete,
    DeletePrefix,
    Clear,
    Set,
}

const EVERY_WAY: [How; 7] = [
    How::Entry,
    How::Prefix,
    How::Pattern,
    How::Delete,
    How::DeletePrefix,
    How::Clear,
    How::Set,
];

async fn change(how: How, cache: &Cache, truth: &Truth) {
    match how {
        How::Entry => {
            let change = change_entry(truth, 0);
            return with_cache(cache.clone(), change).await.unwrap();
        }
        How::Prefix => {
            let change = change_all(truth, 0);
            return with_cache(cache.clone(), change).await.unwrap();
        }
        How::Pattern => {
            let change = change_matching(truth, 0);
            return with_cache(cache.clone(), change).await.unwrap();
        }
        How::Delete | How::DeletePrefix | How::Clear | How::Set => {}
    }
    let version = truth.change(0);
    match how {
        How::Delete => drop(cache.delete("record:0").await.unwrap()),
        How::DeletePrefix => drop(cache.invalidate_prefix("record").await.unwrap()),
        How::Clear => drop(cache.clear("rec*").await.unwrap()),
        _ => cache.set("record:0", &version, None).await.unwrap(),
    }
}

/// A load that has read version 0 and is held; its value is due once the gate is opened.
struct Held {
    load: JoinHandle<u64>,
    open: Arc<Semaphore>,
}

async fn hold_a_load(reader: &Cache, truth: &Arc<Truth>) -> Held {
    let (reached, open) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let load = tokio::spawn(with_cache(reader.clone(), {
        let (truth, reached, open) = (truth.clone(), reached.clone(), open.clone());
        async move { record_slowly(&truth, 0, &reached, &open).await }
    }));
    reached.acquire().await.unwrap().forget();
    Held { load, open }
}

/// While a load begun before is still held: a call that begins now must not wait for it, nor be overwritten by it.
async fn a_new_call_is_fresh(reader: &Cache, truth: &Truth, held: Held, case: &str) {
    let fresh = tokio::time::timeout(DEADLINE, with_cache(reader.clone(), record(truth, 0)));

    let fresh = fresh
        .await
        .unwrap_or_else(|_| panic!("{case}: it followed the old load"));
    assert_eq!(fresh, 1, "{case}");
    held.open.add_permits(1);
    assert_eq!(held.load.await.unwrap(), 0, "{case}");
    let after = with_cache(reader.clone(), record(truth, 0)).await;
    assert_eq!(after, 1, "{case}, after the old load has ended");
    reader.clear("*").await.unwrap();
}

#[tokio::test]
async fn a_call_does_not_adopt_a_load_that_began_before_the_invalidation() {
    let server = RedisServer::start();
    for (tier, (reader, writer)) in tiers(&server).await.into_iter().enumerate() {
        for how in EVERY_WAY {
            let truth = Arc::new(Truth::default());
            let held = hold_a_load(&reader, &truth).await;

            change(how, &writer, &truth).await;

            a_new_call_is_fresh(&reader, &truth, held, &format!("{how:?} in tier {tier}")).await;
        }
    }
}

#[tokio::test]
async fn nor_one_that_began_before_a_second_process_invalidated() {
    let server = RedisServer::start();
    let reader = on(&server).await;
    for role in ["change the entry", "change the prefix"] {
        let truth = Arc::new(Truth::default());
        let held = hold_a_load(&reader, &truth).await;

        truth.change(0);
        Process::start("the_second_process", role, &server.url()).finish();

        a_new_call_is_fresh(&reader, &truth, held, role).await;
    }
}

#[tokio::test]
async fn nor_one_that_began_before_a_deletion_by_hand() {
    let server = RedisServer::start();
    let reader = on(&server).await;
    for command in [
        &["DEL", "lease@{record:0}"][..],
        &["DEL", "gen@record"],
        &["DEL", "gen@"],
        &["FLUSHALL"],
    ] {
        let truth = Arc::new(Truth::default());
        let held = hold_a_load(&reader, &truth).await;

        truth.change(0);
        assert_ne!(server.cli(command), "0", "{command:?} found nothing");

        a_new_call_is_fresh(&reader, &truth, held, &format!("{command:?}")).await;
    }
}

#[tokio::test]
async fn it_happens_whatever_the_outcome_of_the_mutation() {
    let server = RedisServer::start();
    for (reader, writer) in tiers(&server).await {
        for end in [End::Ok, End::Err, End::Panic, End::Never] {
            let truth = Arc::new(Truth::default());
            assert_eq!(with_cache(reader.clone(), record(&truth, 0)).await, 0);

            let mutation = tokio::spawn(with_cache(writer.clone(), {
                let truth = truth.clone();
                async move { change_and(&truth, end).await }
            }));
            let written = async || truth.versions[0].load(Ordering::SeqCst) == 1;
            wait_until_async(written, "the body has written").await;
            if matches!(end, End::Never) {
                mutation.abort();
            }
            let _ = mutation.await;

            // The last two could not wait for Redis: there the other process follows once it has been told.
            let follows = async || with_cache(reader.clone(), record(&truth, 0)).await == 1;
            match end {
                End::Ok | End::Err => assert!(follows().await, "{end:?}"),
                End::Panic | End::Never => wait_until_async(follows, "it was invalidated").await,
            }
            reader.clear("*").await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_cancelled_mutation_invalidates_in_its_own_process_at_once() {
    let server = RedisServer::start();
    for cache in [Cache::builder().open().await.unwrap(), on(&server).await] {
        let truth = Truth::default();
        with_cache(cache.clone(), record(&truth, 0)).await;

        let mut mutation = Box::pin(with_cache(cache.clone(), change_and(&truth, End::Never)));
        let polled = tokio::time::timeout(Duration::ZERO, &mut mutation).await;
        assert!(polled.is_err());
        drop(mutation);

        assert_eq!(with_cache(cache.clone(), record(&truth, 0)).await, 1);
    }
}

#[tokio::test]
async fn when_ok_leaves_the_entry_unless_the_body_was_ok_and_when_before_takes_it_first() {
    let server = RedisServer::start();
    for (cache, _) in tiers(&server).await {
        let truth = Truth::default();
        with_cache(cache.clone(), async {
            record(&truth, 0).await;

            change_when_ok(&truth, End::Err).await.unwrap_err();
            assert_eq!(record(&truth, 0).await, 0);
            let cancelled =
                tokio::time::timeout(Duration::ZERO, change_when_ok(&truth, End::Never));
            cancelled.await.unwrap_err();
            assert_eq!(record(&truth, 0).await, 0);
            change_when_ok(&truth, End::Ok).await.unwrap();
            assert_eq!(record(&truth, 0).await, 3);

            truth.change(0);
            assert_eq!(read_first_and_change(&truth).await, 4);
            assert_eq!(record(&truth, 0).await, 5);
        })
        .await;

        let truth = Arc::new(truth);
        let panics = tokio::spawn(with_cache(cache.clone(), {
            let truth = Arc::clone(&truth);
            async move { change_when_ok(&truth, End::Panic).await }
        }));
        assert!(panics.await.unwrap_err().is_panic());
        assert_eq!(with_cache(cache.clone(), record(&truth, 0)).await, 5);
        cache.clear("*").await.unwrap();
    }
}

#[tokio::test]
async fn deleting_by_hand_and_expiry_are_ordinary_misses() {
    let server = RedisServer::start();
    let cache = asking(&server).await;
    let truth = Truth::default();
    for name in ["record:0", "gen@record", "gen@"] {
        with_cache(cache.clone(), record(&truth, 0)).await;
        let bodies = truth.bodies.load(Ordering::SeqCst);

        assert_eq!(server.cli(&["DEL", name]), "1", "{name}");

        with_cache(cache.clone(), record(&truth, 0)).await;
        assert_eq!(truth.bodies.load(Ordering::SeqCst), bodies + 1, "{name}");
    }

    server.cli(&["PEXPIRE", "record:0", "1"]);
    let version = truth.change(0);
    let expired = async || with_cache(cache.clone(), record(&truth, 0)).await == version;
    wait_until_async(expired, "the entry expires").await;
}

/// Played by a second process.
#[tokio::test]
async fn the_second_process() {
    let Some(part) = process::part() else { return };
    let cache = Cache::builder()
        .redis_url(&part.server)
        .open()
        .await
        .unwrap();
    let truth = Truth::default();
    let change = async {
        match part.role.as_str() {
            "change the entry" => change_entry(&truth, 0).await,
            _ => change_all(&truth, 0).await,
        }
    };
    with_cache(cache, change).await.unwrap();
}

#[tokio::test]
async fn an_invalidation_by_a_second_process_holds_once_it_has_ended() {
    let server = RedisServer::start();
    let cache = asking(&server).await;
    for role in ["change the entry", "change the prefix"] {
        let truth = Truth::default();
        with_cache(cache.clone(), record(&truth, 0)).await;

        truth.change(0);
        Process::start("the_second_process", role, &server.url()).finish();

        assert_eq!(
            with_cache(cache.clone(), record(&truth, 0)).await,
            1,
            "{role}"
        );
        cache.clear("*").await.unwrap();
    }
}

/// Readers and writers at random for a while. A reader may see any version from the last one whose invalidation had ended
/// when it began. `P2_SEED` replays the choices of a run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_the_last_finished_invalidation() {
    let seed = dice::seed("P2_SEED");
    let server = RedisServer::start();
    // Without the last: whoever writes reads as well here.
    for (number, (one, other)) in tiers(&server).await.into_iter().take(4).enumerate() {
        let world = Arc::new(World::default());
        world.truth.dawdles.store(true, Ordering::Relaxed);
        let tasks: Vec<_> = (0..16_u64)
            .map(|task| {
                let cache = if task % 2 == 0 { &one } else { &other };
                let world = Arc::clone(&world);
                tokio::spawn(with_cache(cache.clone(), async move {
                    world.work(Dice(seed ^ (task << 32)), task < 4).await
                }))
            })
            .collect();
        let mut reads = 0;
        for task in tasks {
            reads += task.await.unwrap();
        }
        let bodies = world.truth.bodies.load(Ordering::SeqCst);
        let changes: u64 = (0..2)
            .map(|id| world.settled[id].load(Ordering::SeqCst))
            .sum();
        println!(
            "tiers {number}: {reads} reads checked, {bodies} loads, {changes} changes, no violation"
        );
        assert!(reads > 100);
        one.clear("*").await.unwrap();
    }
}

#[derive(Default)]
struct World {
    truth: Truth,
    /// Versions whose invalidation has ended.
    settled: [AtomicU64; 2],
}

impl World {
    async fn work(&self, mut dice: Dice, writes: bool) -> u64 {
        let end = Instant::now() + Duration::from_millis(1_600);
        let mut reads = 0;
        while Instant::now() < end {
            let id = dice.below(2);
            if writes && dice.below(4) == 0 {
                // Versions of one record are settled in order only if one task at a time writes it.
                let version = self.truth.change(id);
                match dice.below(2) {
                    0 => forget_entry(id).await,
                    _ => forget_all().await,
                }
                self.settled[id].fetch_max(version, Ordering::SeqCst);
            } else {
                let floor = self.settled[id].load(Ordering::SeqCst);
                // Some give up at once, so that loads change hands.
                let patience = if dice.below(16) == 0 {
                    Duration::ZERO
                } else {
                    DEADLINE
                };
                let read = tokio::time::timeout(patience, record(&self.truth, id)).await;
                let Ok(version) = read else {
                    assert!(patience.is_zero(), "a read hangs");
                    continue;
                };
                assert!(
                    version >= floor,
                    "read {version} of {id}, at least {floor} was due"
                );
                reads += 1;
            }
            if dice.below(8) == 0 {
                tokio::task::yield_now().await;
            }
        }
        reads
    }
}

#[cache_invalidate(prefix = "record", key = "{id}")]
async fn forget_entry(id: usize) {}

#[cache_invalidate(prefix = "record")]
async fn forget_all() {}
