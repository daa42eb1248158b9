//! One of the processes: tasks that read, write and invalidate at random, and hold each read against what was due.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_runtime::{Cache, Error, Invalidated, install};

use super::checker::{Read, check};
use super::record::{self, KINDS, Kind, RECORDS, Record, Target};
use super::support::{Dice, process};
use super::truth::{Truth, clock_ms};
use super::words;

/// Violations of one process that are told in full.
const TOLD: u64 = 3;

/// How a record is invalidated once a new version was written.
#[derive(Debug, Clone, Copy)]
enum How {
    Attribute(Target),
    /// `invalidate_prefix` of the entry's own name.
    Entry,
    /// Of the level above it.
    Level,
    /// Of the whole prefix.
    Prefix,
    Tag,
    Delete,
    /// As `redis-cli` would.
    HandEntry,
    HandLevel,
    HandPrefix,
    HandTag,
}

const WAYS: [How; 12] = [
    How::Attribute(Target::Entry),
    How::Attribute(Target::Prefix),
    How::Attribute(Target::Tag),
    How::Entry,
    How::Level,
    How::Prefix,
    How::Tag,
    How::Delete,
    How::HandEntry,
    How::HandLevel,
    How::HandPrefix,
    How::HandTag,
];

/// Counts by name, added up over all processes.
#[derive(Default)]
struct Counts(Mutex<BTreeMap<String, u64>>);

impl Counts {
    fn one(&self, name: &str) {
        self.add(name, 1);
    }

    fn add(&self, name: &str, count: u64) {
        *self.0.lock().unwrap().entry(name.to_owned()).or_default() += count;
    }
}

#[derive(Clone)]
struct Worker {
    cache: Cache,
    truth: &'static Truth,
    /// Where Redis is, for what is done by hand: not through what stands before it.
    server: String,
    /// Whether writers leave out the invalidation, which the checker must find.
    forgetful: bool,
    counts: Arc<Counts>,
    violations: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

/// What a process is told: its number, a seed, how many tasks, and whether it forgets to invalidate.
pub struct Orders {
    pub process: u64,
    pub seed: u64,
    pub tasks: u64,
    pub forgetful: bool,
    /// Where the cache finds Redis, where others do, and where the truth is.
    pub servers: [String; 3],
}

impl Orders {
    pub fn role(&self) -> String {
        let forgetful = u64::from(self.forgetful);
        format!("{} {} {} {forgetful}", self.process, self.seed, self.tasks)
    }

    fn read(part: &process::Part) -> Self {
        let [process, seed, tasks, forgetful] = words(&part.role);
        Self {
            process,
            seed,
            tasks,
            forgetful: forgetful == 1,
            servers: words(&part.server),
        }
    }
}

pub async fn work(part: &process::Part) {
    let orders = Orders::read(part);
    let [cached, server, truth] = orders.servers;
    let cache = Cache::builder()
        .redis_url(cached)
        .response_timeout(Duration::from_millis(100))
        .connect_timeout(Duration::from_millis(300))
        .lease(Duration::from_secs(2))
        // What a process keeps while it cannot reach Redis is documented to lag by this, which is no promise to be checked here.
        .fallback_ttl(Duration::from_millis(1))
        .open()
        .await
        .unwrap();
    install(cache.clone()).unwrap();
    let worker = Worker {
        cache,
        // For as long as the process, because what runs behind a call may outlive all else.
        truth: Box::leak(Box::new(Truth::connect(&truth, orders.process).await)),
        server,
        forgetful: orders.forgetful,
        counts: Arc::default(),
        violations: Arc::default(),
        stop: Arc::default(),
    };
    process::pause_here();
    let mut tasks = Vec::new();
    for task in 0..orders.tasks {
        let dice = Dice(orders.seed ^ (task << 40));
        tasks.push(tokio::spawn(worker.clone().run(dice)));
    }
    let told = tokio::task::spawn_blocking(process::pause_here);
    told.await.unwrap();
    worker.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    worker.report();
}

impl Worker {
    async fn run(self, mut dice: Dice) {
        while !self.stop.load(Ordering::Relaxed) {
            let record = Record {
                kind: KINDS[dice.below(KINDS.len() as u64)],
                id: dice.roll() % RECORDS,
            };
            // Now and then little enough is written for values to be answered in process for longer than the lag.
            let calm = (clock_ms() / 2_000).is_multiple_of(2);
            match dice.one_in(if calm { 400 } else { 12 }) {
                true => self.write(record, &mut dice).await,
                false => self.read(record, &mut dice).await,
            }
            if dice.one_in(16) {
                tokio::time::sleep(Duration::from_millis(dice.roll() % 10)).await;
            }
        }
    }

    async fn read(&self, record: Record, dice: &mut Dice) {
        let truth = self.truth;
        let due = truth.due(record).await;
        let patience = match dice.one_in(10) {
            // Some callers give up, a few of them at once.
            true => Duration::from_micros(dice.roll() % 5_000),
            false => Duration::MAX,
        };
        let long = dice.one_in(3);
        let call = async {
            match long {
                true => record::read_for_long(truth, record).await,
                false => record::read(truth, record).await,
            }
        };
        let version = match tokio::time::timeout(patience, call).await {
            Ok(Ok(version)) => version,
            // What a body returns that fails is as young as what it would have loaded.
            Ok(Err(version)) => {
                self.counts.one("reads that failed");
                version
            }
            Err(_) => return self.counts.one("reads given up"),
        };
        let newest = truth.newest(record).await;
        let read = Read {
            record,
            due,
            version,
            newest,
        };
        match check(&read) {
            Ok(()) => {}
            Err(violation) => self.tell(record, &violation).await,
        }
        self.counts.one(match record.kind {
            Kind::Asked => "reads checked: at once",
            Kind::Near | Kind::Fleet | Kind::Stale | Kind::Behind => {
                "reads checked: within the lag"
            }
        });
    }

    async fn tell(&self, record: Record, violation: &str) {
        if self.violations.fetch_add(1, Ordering::Relaxed) >= TOLD {
            return;
        }
        let mut text = format!("\nviolation at {}, {violation}\n", clock_ms());
        for event in self.truth.events(record).await {
            text += &format!("violation   {event}\n");
        }
        println!("{text}");
    }

    async fn write(&self, record: Record, dice: &mut Dice) {
        let truth = self.truth;
        let how = WAYS[dice.below(WAYS.len() as u64)];
        self.counts.one(&format!("invalidations: {how:?}"));
        if let How::Attribute(target) = how
            && !self.forgetful
        {
            // The attribute does not tell whether Redis has confirmed it; in this process it holds.
            let version = record::change(truth, record, target).await;
            truth.settle_here(record, version);
            return truth.note(record, &format!("{version}: {how:?}")).await;
        }
        let version = truth.change(record).await;
        let told = match self.forgetful {
            true => Told::Confirmed,
            false => self.invalidate(record, how).await,
        };
        truth
            .note(record, &format!("{version}: {how:?}, {told:?}"))
            .await;
        if !matches!(
            how,
            How::HandEntry | How::HandLevel | How::HandPrefix | How::HandTag
        ) {
            truth.settle_here(record, version);
        }
        if told == Told::Confirmed {
            truth.settle(record, version).await;
            self.counts.one("invalidations confirmed by Redis");
        }
    }

    async fn invalidate(&self, record: Record, how: How) -> Told {
        let cache = &self.cache;
        match how {
            How::Entry => cache.invalidate_prefix(&record.entry()).await.into(),
            How::Level => cache.invalidate_prefix(&record.name()).await.into(),
            How::Prefix => cache.invalidate_prefix(record.kind.prefix()).await.into(),
            How::Tag => cache.invalidate_tag(&record.tag()).await.into(),
            How::Delete | How::Attribute(_) => {
                cache.delete(&record.entry()).await.unwrap();
                Told::Unconfirmed
            }
            How::HandEntry => {
                let entry = record.entry();
                self.by_hand(&[format!("lease@{{{entry}}}"), entry]).await
            }
            How::HandLevel => self.by_hand(&[format!("gen@{}", record.name())]).await,
            How::HandPrefix => {
                self.by_hand(&[format!("gen@{}", record.kind.prefix())])
                    .await
            }
            How::HandTag => self.by_hand(&[format!("gen@tag@{}", record.tag())]).await,
        }
    }

    /// Over a connection of its own each time, because connections are killed.
    async fn by_hand(&self, names: &[String]) -> Told {
        let client = redis::Client::open(self.server.as_str()).unwrap();
        let told = async {
            let mut connection = client.get_multiplexed_async_connection().await?;
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(names).query_async::<u64>(&mut connection).await
        };
        match told.await {
            Ok(_) => Told::Confirmed,
            Err(_) => Told::Unconfirmed,
        }
    }

    fn report(&self) {
        let stats = self.cache.stats();
        let counts = &self.counts;
        counts.add("answered in process", stats.near_hits);
        counts.add("answered stale, within their window", stats.stale_served);
        counts.add("fills refused, since overtaken", stats.refused_fills);
        counts.add("loads", self.truth.loads());
        counts.add(VIOLATIONS, self.violations.load(Ordering::Relaxed));
        for (name, count) in counts.0.lock().unwrap().iter() {
            println!("\ncount {count} {name}");
        }
    }
}

pub const VIOLATIONS: &str = "violations";

/// What is known of an invalidation that has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Confirmed,
    Unconfirmed,
}

impl From<Result<Invalidated, Error>> for Told {
    fn from(told: Result<Invalidated, Error>) -> Self {
        match told.unwrap().is_confirmed() {
            true => Self::Confirmed,
            false => Self::Unconfirmed,
        }
    }
}
