//! The source of truth that all processes share, on a server which nothing happens to: the versions of the records, which
//! of them are settled since when, and what was done to each.
//!
//! A version is settled once its invalidation has returned and was confirmed. The server puts everything in one order, so
//! what is settled when a read asks was settled before the read began. How long ago is told by the kernel's clock of this
//! machine, which all processes read and nobody sets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Script};

use super::checker::{Due, MAX_LAG};
use super::record::{ALL, Kind, Record};

/// How exactly the kernel's clock is told.
const TICK_MS: u64 = 10;

/// Events kept of each record, for the report of a violation.
const REMEMBERED: isize = 60;

/// `KEYS`: settled versions by the time at which they were. `ARGV`: a version, and when it was settled at the latest.
/// A version older than one that is settled already adds nothing; the times of the others grow with the versions.
const SETTLE: &str = r"
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if newest[1] and tonumber(newest[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], math.max(tonumber(ARGV[2]), tonumber(newest[2] or 0)), ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -2001)
return 1
";

/// The source of truth as one process sees it.
pub struct Truth {
    server: MultiplexedConnection,
    process: u64,
    loads: AtomicU64,
    /// What this process has invalidated, which holds here at once, confirmed or not.
    settled_here: [AtomicU64; ALL],
}

/// Milliseconds since the machine was started, rounded down to a tick; the same clock for all its processes.
pub fn clock_ms() -> u64 {
    let uptime = std::fs::read_to_string("/proc/uptime").expect("Linux tells its uptime");
    let seconds = uptime.split(' ').next().unwrap_or_default();
    let (whole, hundredths) = seconds.split_once('.').expect("seconds and hundredths");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    number(whole) * 1_000 + number(hundredths) * TICK_MS
}

impl Truth {
    pub async fn connect(url: &str, process: u64) -> Self {
        let client = redis::Client::open(url).unwrap();
        // A process that is stopped for a while must not take that for silence of the server.
        let settings = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let connected = client.get_multiplexed_async_connection_with_config(&settings);
        Self {
            server: connected.await.unwrap(),
            process,
            loads: AtomicU64::new(0),
            settled_here: Default::default(),
        }
    }

    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    /// What the body of a cached function does. Where others stand in for it, it fails now and then.
    pub async fn load(&self, record: Record) -> Result<u64, u64> {
        let load = self.loads.fetch_add(1, Ordering::Relaxed);
        let version = self.newest(record).await;
        self.note(record, &format!("load {load} read {version}"))
            .await;
        // Some loads take their time, so that they are overtaken; no value is worse than another.
        match load % 4 {
            0 => tokio::time::sleep(Duration::from_millis(load % 23)).await,
            1 => tokio::task::yield_now().await,
            _ => {}
        }
        match record.kind == Kind::Behind && load.is_multiple_of(7) {
            true => Err(version),
            false => Ok(version),
        }
    }

    /// The newest version there is.
    pub async fn newest(&self, record: Record) -> u64 {
        let mut get = redis::cmd("GET");
        let get = get.arg(version_of(record));
        let version: Option<u64> = get.query_async(&mut self.server.clone()).await.unwrap();
        version.unwrap_or_default()
    }

    /// Writes a new version.
    pub async fn change(&self, record: Record) -> u64 {
        let mut change = redis::cmd("INCR");
        let change = change.arg(version_of(record));
        let version = change.query_async(&mut self.server.clone()).await.unwrap();
        self.note(record, &format!("wrote {version}")).await;
        version
    }

    /// What a read that begins now must know at least.
    pub async fn due(&self, record: Record) -> Due {
        self.due_at(record, clock_ms()).await
    }

    /// The same at an earlier moment of the clock.
    pub async fn due_at(&self, record: Record, now_ms: u64) -> Due {
        let lag = u64::try_from(MAX_LAG.as_millis()).unwrap();
        let settled = settled_of(record);
        let mut ask = Pipeline::new();
        ask.cmd("ZREVRANGE").arg(&settled).arg(0).arg(0);
        ask.cmd("ZREVRANGEBYSCORE").arg(&settled);
        ask.arg(now_ms.saturating_sub(lag)).arg("-inf");
        ask.arg("LIMIT").arg(0).arg(1);
        let own = self.settled_here[record.index()].load(Ordering::SeqCst);
        let (now, long_ago): (Vec<u64>, Vec<u64>) =
            ask.query_async(&mut self.server.clone()).await.unwrap();
        let only = |versions: Vec<u64>| versions.first().copied().unwrap_or_default();
        Due {
            own,
            anywhere: only(now),
            long_ago: only(long_ago),
        }
    }

    /// The invalidation of this version has returned in this process.
    pub fn settle_here(&self, record: Record, version: u64) {
        self.settled_here[record.index()].fetch_max(version, Ordering::SeqCst);
    }

    /// The invalidation of this version has returned, and Redis has confirmed it.
    pub async fn settle(&self, record: Record, version: u64) {
        self.settle_at(record, version, clock_ms() + TICK_MS).await;
        self.note(record, &format!("{version} is settled")).await;
    }

    pub async fn settle_at(&self, record: Record, version: u64, at_ms: u64) {
        let settle = Script::new(SETTLE);
        let mut settle = settle.key(settled_of(record));
        // Of equal length, so that the server sorts those of one moment as numbers.
        let settle = settle.arg(format!("{version:012}")).arg(at_ms);
        let _: u64 = settle.invoke_async(&mut self.server.clone()).await.unwrap();
    }

    /// Remembers what was done to a record.
    pub async fn note(&self, record: Record, what: &str) {
        let events = events_of(record);
        let mut note = Pipeline::new();
        note.cmd("RPUSH").arg(&events);
        note.arg(format!("{} process {}: {what}", clock_ms(), self.process));
        note.cmd("LTRIM").arg(&events).arg(-REMEMBERED).arg(-1);
        let _: (u64, String) = note.query_async(&mut self.server.clone()).await.unwrap();
    }

    /// What was done to a record of late, and what happened meanwhile, in the order of the clock.
    pub async fn events(&self, record: Record) -> Vec<String> {
        let mut ask = Pipeline::new();
        ask.cmd("LRANGE").arg(events_of(record)).arg(0).arg(-1);
        ask.cmd("LRANGE").arg(FAULTS).arg(-10).arg(-1);
        let (mut events, faults): (Vec<String>, Vec<String>) =
            ask.query_async(&mut self.server.clone()).await.unwrap();
        events.extend(faults);
        // Stable, so that what the server has put in order stays so.
        events.sort_by_key(|event| {
            let ms = event
                .split(' ')
                .next()
                .and_then(|ms| ms.parse::<u64>().ok());
            ms.unwrap_or_default()
        });
        events
    }
}

/// What happened to servers and processes.
pub const FAULTS: &str = "events:faults";

fn version_of(record: Record) -> String {
    format!("version:{}", record.name())
}

fn settled_of(record: Record) -> String {
    format!("settled:{}", record.name())
}

fn events_of(record: Record) -> String {
    format!("events:{}", record.name())
}
