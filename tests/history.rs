//! P2 and P3 over real processes, a real server, and whatever can happen to either: a history of reads, each of which must lie
//! between the last version that was due when it began and the newest that there was when it ended.
//!
//! Several processes read, write a source of truth (a second server, which nothing happens to), and invalidate: an entry, a
//! level above it, its prefix, its tag, and by hand as `redis-cli` would. Meanwhile connections are killed, entries evicted,
//! everything flushed, the server held up, and processes stopped for a while.
//!
//! `HISTORY_SECONDS`, `HISTORY_PROCESSES` and `HISTORY_TASKS` make the run longer and wider, `HISTORY_SEED` replays its choices.

mod support;

use std::collections::VecDeque;
use std::fmt::Debug;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, cache_invalidate, cached, install};
use redis::aio::MultiplexedConnection;
use support::{Dice, Process, RedisServer, dice, process};

/// How far a value in front of Redis may lag behind what another process has invalidated.
const MAX_LAG: Duration = Duration::from_secs(1);

/// Records of each kind.
const RECORDS: u64 = 3;

/// How a record is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// With the tier in process.
    Near,
    /// Every read asks Redis.
    Asked,
    /// With the tier in process, and one load in all processes.
    Fleet,
    /// Expired values are returned while they are loaded anew.
    Stale,
}

const KINDS: [Kind; 4] = [Kind::Near, Kind::Asked, Kind::Fleet, Kind::Stale];

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Asked => "asked",
            Self::Fleet => "fleet",
            Self::Stale => "stale",
        }
    }
}

/// One record of the source of truth.
#[derive(Debug, Clone, Copy)]
struct Record {
    kind: Kind,
    id: u64,
}

impl Record {
    fn any(dice: &mut Dice) -> Self {
        Self {
            kind: KINDS[dice.below(4)],
            id: dice.roll() % RECORDS,
        }
    }

    fn index(self) -> usize {
        self.kind as usize * RECORDS as usize + self.id as usize
    }

    fn version(self) -> String {
        format!("version:{}:{}", self.kind.prefix(), self.id)
    }

    /// The version that every process must have seen, since its invalidation has ended.
    fn floor(self) -> String {
        format!("floor:{}:{}", self.kind.prefix(), self.id)
    }
}

const ALL: usize = KINDS.len() * RECORDS as usize;

// --- what is cached -------------------------------------------------------------------------

/// The source of truth as a process sees it.
struct Truth {
    server: MultiplexedConnection,
    loads: AtomicU64,
    /// What this process has invalidated, which holds here at once.
    own_floors: [AtomicU64; ALL],
    /// What all had invalidated, as it was read some time ago.
    floors: Mutex<VecDeque<(Instant, [u64; ALL])>>,
}

impl Truth {
    async fn number(&self, name: String) -> u64 {
        let mut get = redis::cmd("GET");
        let number: Option<u64> = get
            .arg(name)
            .query_async(&mut self.server.clone())
            .await
            .unwrap();
        number.unwrap_or_default()
    }

    async fn load(&self, record: Record) -> u64 {
        let load = self.loads.fetch_add(1, Ordering::Relaxed);
        let version = self.number(record.version()).await;
        // Some loads take their time, so that they are overtaken; no value is worse than another.
        match load % 4 {
            0 => tokio::time::sleep(Duration::from_millis(load % 23)).await,
            1 => tokio::task::yield_now().await,
            _ => {}
        }
        version
    }

    /// What was due in all processes so long ago that no lag excuses not to know it.
    fn floor_before(&self, moment: Instant, record: Record) -> u64 {
        let floors = self.floors.lock().unwrap();
        let known = floors.iter().rev().find(|(read, _)| *read <= moment);
        known.map_or(0, |(_, floors)| floors[record.index()])
    }

    async fn remember_floors(&self) {
        let mut floors = [0; ALL];
        for kind in KINDS {
            for id in 0..RECORDS {
                let record = Record { kind, id };
                floors[record.index()] = self.number(record.floor()).await;
            }
        }
        let mut known = self.floors.lock().unwrap();
        known.push_back((Instant::now(), floors));
        if known.len() > 200 {
            known.pop_front();
        }
    }

    async fn change(&self, record: Record) -> u64 {
        let mut change = redis::cmd("INCR");
        let change = change.arg(record.version());
        change.query_async(&mut self.server.clone()).await.unwrap()
    }

    fn settled_here(&self, record: Record, version: u64) {
        self.own_floors[record.index()].fetch_max(version, Ordering::SeqCst);
    }

    /// The invalidation of this version has ended, and Redis has confirmed it.
    async fn settled(&self, record: Record, version: u64) {
        let raise = redis::Script::new(
            "local floor = tonumber(redis.call('GET', KEYS[1]) or '0')
             if tonumber(ARGV[1]) > floor then redis.call('SET', KEYS[1], ARGV[1]) end",
        );
        let mut raise = raise.key(record.floor());
        let raise = raise.arg(version);
        let () = raise.invoke_async(&mut self.server.clone()).await.unwrap();
    }
}

#[cached(ttl = 60, prefix = "near", key = "{id}:row", tags = ["near-tag:{id}"])]
async fn near(truth: &Truth, id: u64) -> u64 {
    truth
        .load(Record {
            kind: Kind::Near,
            id,
        })
        .await
}

#[cached(ttl = 60, prefix = "asked", key = "{id}:row", tags = ["asked-tag:{id}"], near = false)]
async fn asked(truth: &Truth, id: u64) -> u64 {
    truth
        .load(Record {
            kind: Kind::Asked,
            id,
        })
        .await
}

#[cached(ttl = 60, prefix = "fleet", key = "{id}:row", tags = ["fleet-tag:{id}"], coalesce = "fleet")]
async fn fleet(truth: &Truth, id: u64) -> u64 {
    truth
        .load(Record {
            kind: Kind::Fleet,
            id,
        })
        .await
}

#[cached(ttl = "50ms", prefix = "stale", key = "{id}:row", tags = ["stale-tag:{id}"], stale_while_revalidate = "60s")]
async fn stale(truth: &Truth, id: u64) -> u64 {
    truth
        .load(Record {
            kind: Kind::Stale,
            id,
        })
        .await
}

#[cache_invalidate(prefix = "near", key = "{id}:row")]
async fn change_near(truth: &Truth, id: u64) -> u64 {
    truth
        .change(Record {
            kind: Kind::Near,
            id,
        })
        .await
}

#[cache_invalidate(tags = ["asked-tag:{id}"])]
async fn change_asked(truth: &Truth, id: u64) -> u64 {
    truth
        .change(Record {
            kind: Kind::Asked,
            id,
        })
        .await
}

#[cache_invalidate(prefix = "fleet")]
async fn change_fleet(truth: &Truth, id: u64) -> u64 {
    truth
        .change(Record {
            kind: Kind::Fleet,
            id,
        })
        .await
}

#[cache_invalidate(prefix = "stale", key = "{id}:row", when = "before")]
async fn change_stale(truth: &Truth, id: u64) -> u64 {
    truth
        .change(Record {
            kind: Kind::Stale,
            id,
        })
        .await
}

// --- what is checked ------------------------------------------------------------------------

/// A read, and what it had to lie between.
#[derive(Debug, Clone)]
struct Read {
    record: Record,
    version: u64,
    /// The last version that this process had invalidated when the read began.
    own_floor: u64,
    /// The last version that any process had invalidated when the read began; a lag before, where one is allowed.
    floor: u64,
    /// The newest version when it had ended.
    newest: u64,
}

fn check(read: &Read) -> Result<(), String> {
    let due = read.own_floor.max(read.floor);
    if read.version < due {
        let record = read.record;
        return Err(format!(
            "{record:?}: older than {due}, which was due: {read:?}"
        ));
    }
    if read.version > read.newest {
        return Err(format!("newer than all there was: {read:?}"));
    }
    Ok(())
}

#[test]
fn a_read_that_is_too_old_or_too_new_is_found() {
    let record = Record {
        kind: Kind::Near,
        id: 0,
    };
    let read = |version, own_floor, floor, newest| {
        check(&Read {
            record,
            version,
            own_floor,
            floor,
            newest,
        })
    };
    assert_eq!(read(5, 5, 5, 5), Ok(()));
    assert_eq!(read(7, 5, 6, 8), Ok(()));
    assert!(read(4, 5, 0, 8).is_err());
    assert!(read(4, 0, 5, 8).is_err());
    assert!(read(9, 5, 5, 8).is_err());
}

// --- one process ----------------------------------------------------------------------------

#[derive(Default)]
struct Done {
    reads: AtomicU64,
    changes: AtomicU64,
    confirmed: AtomicU64,
}

struct Worker {
    cache: Cache,
    truth: Arc<Truth>,
    /// Where Redis is, for what is done by hand.
    server: String,
    done: Arc<Done>,
}

impl Worker {
    async fn work(self, mut dice: Dice, end: Instant) {
        while Instant::now() < end {
            let record = Record::any(&mut dice);
            match dice.one_in(12) {
                true => self.write(record, &mut dice).await,
                false => self.read(record).await,
            }
            if dice.one_in(16) {
                tokio::time::sleep(Duration::from_millis(dice.roll() % 10)).await;
            }
        }
    }

    async fn read(&self, record: Record) {
        let truth = &self.truth;
        let floor = match record.kind {
            Kind::Asked => truth.number(record.floor()).await,
            Kind::Near | Kind::Fleet | Kind::Stale => {
                let long_ago = Instant::now().checked_sub(MAX_LAG);
                long_ago.map_or(0, |moment| truth.floor_before(moment, record))
            }
        };
        let own_floor = truth.own_floors[record.index()].load(Ordering::SeqCst);
        let version = match record.kind {
            Kind::Near => near(truth, record.id).await,
            Kind::Asked => asked(truth, record.id).await,
            Kind::Fleet => fleet(truth, record.id).await,
            Kind::Stale => stale(truth, record.id).await,
        };
        let newest = truth.number(record.version()).await;
        let read = Read {
            record,
            version,
            own_floor,
            floor,
            newest,
        };
        if let Err(violation) = check(&read) {
            println!("\nviolation {violation}");
        }
        self.done.reads.fetch_add(1, Ordering::Relaxed);
    }

    async fn write(&self, record: Record, dice: &mut Dice) {
        let truth = &self.truth;
        let (prefix, id) = (record.kind.prefix(), record.id);
        if dice.one_in(3) {
            // The attribute does not tell whether Redis has confirmed it; in this process it holds.
            let version = match record.kind {
                Kind::Near => change_near(truth, id).await,
                Kind::Asked => change_asked(truth, id).await,
                Kind::Fleet => change_fleet(truth, id).await,
                Kind::Stale => change_stale(truth, id).await,
            };
            truth.settled_here(record, version);
            self.done.changes.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let version = truth.change(record).await;
        let level = |level: String| async move { self.cache.invalidate_prefix(&level).await };
        let told = match dice.below(6) {
            0 => level(format!("{prefix}:{id}:row")).await,
            1 => level(format!("{prefix}:{id}")).await,
            2 => level(prefix.to_owned()).await,
            3 => {
                self.cache
                    .invalidate_tag(&format!("{prefix}-tag:{id}"))
                    .await
            }
            by => return self.write_by_hand(record, version, by).await,
        };
        truth.settled_here(record, version);
        if told.unwrap().is_confirmed() {
            truth.settled(record, version).await;
            self.done.confirmed.fetch_add(1, Ordering::Relaxed);
        }
        self.done.changes.fetch_add(1, Ordering::Relaxed);
    }

    async fn write_by_hand(&self, record: Record, version: u64, by: usize) {
        let (prefix, id) = (record.kind.prefix(), record.id);
        let mut unlink = redis::cmd("UNLINK");
        match by {
            4 => unlink
                .arg(format!("{prefix}:{id}:row"))
                .arg(format!("lease@{{{prefix}:{id}:row}}")),
            _ => unlink.arg(format!("gen@tag@{prefix}-tag:{id}")),
        };
        // Over a connection of its own each time, because connections are killed.
        let client = redis::Client::open(self.server.as_str()).unwrap();
        let connection = client.get_multiplexed_async_connection().await;
        let told = match connection {
            Ok(mut connection) => unlink.query_async::<u64>(&mut connection).await,
            Err(error) => Err(error),
        };
        if told.is_ok() {
            self.truth.settled(record, version).await;
            self.done.confirmed.fetch_add(1, Ordering::Relaxed);
        }
        self.done.changes.fetch_add(1, Ordering::Relaxed);
    }
}

async fn connect(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).unwrap();
    let settings = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let connected = client.get_multiplexed_async_connection_with_config(&settings);
    connected.await.unwrap()
}

/// Played by each of the processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_the_processes() {
    let Some(part) = process::part() else { return };
    let [server, truth]: [String; 2] = words(&part.server);
    let (server, truth) = (server.as_str(), truth.as_str());
    let [seed, seconds, tasks]: [u64; 3] = words(&part.role);
    let cache = Cache::builder()
        .redis_url(server)
        .response_timeout(Duration::from_millis(100))
        .connect_timeout(Duration::from_millis(300))
        .lease(Duration::from_secs(2))
        // A process that cannot reach Redis does not learn of what others invalidate, so what it keeps meanwhile is not judged.
        .fallback_ttl(Duration::from_millis(1))
        .open()
        .await
        .unwrap();
    install(cache.clone()).unwrap();
    let truth = Arc::new(Truth {
        server: connect(truth).await,
        loads: AtomicU64::new(0),
        own_floors: Default::default(),
        floors: Mutex::default(),
    });
    let done = Arc::new(Done::default());
    let sampler = tokio::spawn({
        let truth = Arc::clone(&truth);
        async move {
            loop {
                truth.remember_floors().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    process::pause_here();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut workers = Vec::new();
    for task in 0..tasks {
        let worker = Worker {
            cache: cache.clone(),
            truth: Arc::clone(&truth),
            server: server.to_owned(),
            done: Arc::clone(&done),
        };
        workers.push(tokio::spawn(worker.work(Dice(seed ^ (task << 40)), end)));
    }
    for worker in workers {
        worker.await.unwrap();
    }
    sampler.abort();
    let stats = cache.stats();
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "\ndone {} {} {} {} {} {}",
        count(&done.reads),
        stats.near_hits,
        stats.stale_served,
        count(&truth.loads),
        count(&done.changes),
        count(&done.confirmed),
    );
}

fn words<T: FromStr<Err: Debug>, const N: usize>(text: &str) -> [T; N] {
    let words: Vec<T> = text.split(' ').map(|word| word.parse().unwrap()).collect();
    words
        .try_into()
        .unwrap_or_else(|_| panic!("{N} words in `{text}`"))
}

// --- what happens meanwhile -----------------------------------------------------------------

#[derive(Debug, Clone, Copy)]
enum Fault {
    Kill,
    Evict,
    Flush,
    StopAProcess,
    HoldUp,
    StopTheServer,
}

const FAULTS: [Fault; 6] = [
    Fault::Kill,
    Fault::Evict,
    Fault::Flush,
    Fault::StopAProcess,
    Fault::HoldUp,
    Fault::StopTheServer,
];

fn inject(fault: Fault, server: &RedisServer, processes: &[Process], dice: &mut Dice) {
    let a_while = Duration::from_millis(50 + dice.roll() % 400);
    match fault {
        Fault::Kill => drop(server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])),
        Fault::Evict => {
            server.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
            server.cli(&["CONFIG", "SET", "maxmemory", "1mb"]);
            std::thread::sleep(a_while);
            server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
        }
        Fault::Flush => drop(server.cli(&["FLUSHALL"])),
        Fault::StopAProcess => {
            let process = &processes[dice.below(processes.len() as u64)];
            process.signal("STOP");
            std::thread::sleep(a_while * 3);
            process.signal("CONT");
        }
        Fault::HoldUp => {
            let ms = a_while.as_millis().to_string();
            server.cli(&["CLIENT", "PAUSE", &ms, "ALL"]);
        }
        Fault::StopTheServer => {
            server.pause();
            std::thread::sleep(a_while);
            server.resume();
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |given| given.parse().expect("a number"))
}

#[test]
fn no_read_in_any_process_is_older_than_what_was_due_whatever_happens() {
    if process::part().is_some() {
        return;
    }
    let seed = dice::seed("HISTORY_SEED");
    let seconds = setting("HISTORY_SECONDS", 8);
    let tasks = setting("HISTORY_TASKS", 8);
    let (server, truth) = (RedisServer::start(), RedisServer::start());
    let servers = format!("{} {}", server.url(), truth.url());
    let mut processes: Vec<Process> = (0..setting("HISTORY_PROCESSES", 3))
        .map(|number| {
            let role = format!("{} {seconds} {tasks}", seed ^ (number << 56));
            Process::start("one_of_the_processes", &role, &servers)
        })
        .collect();
    for process in &mut processes {
        process.paused();
    }
    for process in &mut processes {
        process.go_on();
    }

    let mut dice = Dice(seed);
    let mut injected = [0; FAULTS.len()];
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        // Long enough for some reads to be answered in process, which is what the faults are to disturb.
        std::thread::sleep(Duration::from_millis(dice.roll() % 600));
        let fault = dice.below(FAULTS.len() as u64);
        inject(FAULTS[fault], &server, &processes, &mut dice);
        injected[fault] += 1;
    }

    let mut sums = [0; 6];
    let mut violations = Vec::new();
    for process in processes {
        let (good, output) = process.output();
        assert!(good, "a process failed, HISTORY_SEED={seed}:\n{output}");
        let done = output.lines().find_map(|line| line.strip_prefix("done "));
        let counts: [u64; 6] = words(done.expect("it tells what it did"));
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
        let found = output
            .lines()
            .filter_map(|line| line.strip_prefix("violation "));
        violations.extend(found.map(str::to_owned));
    }
    let [reads, near, stale, loads, changes, confirmed] = sums;
    println!(
        "reads checked: {reads}, of which {near} answered in process and {stale} stale within their window"
    );
    println!("loads: {loads}, changes: {changes}, of which {confirmed} confirmed by Redis");
    for (fault, count) in FAULTS.iter().zip(injected) {
        println!("fault {fault:?}: {count}");
    }
    println!("violations: {}", violations.len());
    assert!(
        reads > 1_000 && near > 100 && confirmed > 50,
        "hardly anything happened"
    );
    assert!(
        violations.is_empty(),
        "HISTORY_SEED={seed}: {violations:#?}"
    );
}
