//! P7 over a long time: whatever comes without end, what the process holds in memory stops growing, and so does what it
//! leaves in Redis.
//!
//! Each stream runs in a process of its own, which nothing else disturbs and which nothing else can hide in.

mod support;

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, Mode, cache_invalidate, cached, with_cache};
use support::{Process, RedisServer, process, wait_until_async};
use tokio::runtime::Handle;

/// How long a stream runs in the short test.
const SHORT: Duration = Duration::from_secs(2);

/// What the process may hold more in the last third than in the middle one: a share, and what an allocator does anyway.
const SHARE: u64 = 5;
const SHORT_ALLOWANCE: u64 = 4 << 20;
const LONG_ALLOWANCE: u64 = 2 << 20;

/// The limit of the tier in the process: small, so that it is soon reached.
const MEMORY_LIMIT: u64 = 4 << 20;

/// What the server may hold: it evicts the rest, generations included.
const SERVER_LIMIT: &str = "64mb";

/// Looks at the process in one run.
const LOOKS: u32 = 60;

/// What comes without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    /// Entries, each loaded once.
    Keys,
    KeysInProcess,
    KeysByHand,
    /// Each with a tag and a level of its own, and both invalidated.
    Tags,
    Prefixes,
    /// Entries, prefixes and tags invalidated while Redis is away.
    InvalidationsInVain,
    /// Calls while Redis is away.
    KeysInVain,
    FailingLoads,
    /// Values larger than the whole tier.
    Oversized,
    /// Calls that are dropped half-way.
    Dropped,
}

impl Stream {
    const ALL: [Self; 10] = [
        Self::Keys,
        Self::KeysInProcess,
        Self::KeysByHand,
        Self::Tags,
        Self::Prefixes,
        Self::InvalidationsInVain,
        Self::KeysInVain,
        Self::FailingLoads,
        Self::Oversized,
        Self::Dropped,
    ];

    fn named(name: &str) -> Self {
        let named = Self::ALL
            .into_iter()
            .find(|stream| format!("{stream:?}") == name);
        named.expect("a stream of that name")
    }

    /// The limit of the tier in the process.
    fn memory_limit(self) -> u64 {
        match self {
            // So small that a value above it costs little.
            Self::Oversized => MEMORY_LIMIT / 16,
            _ => MEMORY_LIMIT,
        }
    }

    fn is_in_vain(self) -> bool {
        matches!(self, Self::InvalidationsInVain | Self::KeysInVain)
    }

    async fn one(self, cache: &Cache, number: u64) {
        let cached = cache.clone();
        match self {
            Self::Keys | Self::KeysInProcess | Self::KeysInVain => {
                let size = 100 + usize::try_from(number % 1_000).unwrap();
                assert_eq!(with_cache(cached, page(number, size)).await.len(), size);
            }
            Self::KeysByHand => {
                let key = format!("{}:{number}", number % 5_000);
                cache.set(&key, &number, None).await.unwrap();
                assert!(cache.exists(&key).await.is_ok());
            }
            Self::Tags => {
                assert_eq!(with_cache(cached.clone(), tagged(number)).await, number);
                with_cache(cached, change_tagged(number)).await;
            }
            Self::Prefixes => {
                let load = || async { Ok::<_, String>(number) };
                let key = format!("{number}:of:{number}");
                assert_eq!(cache.get_or_set(&key, None, load).await, Ok(number));
                cache.invalidate_prefix(&format!("{number}")).await.unwrap();
            }
            Self::InvalidationsInVain => {
                let told = match number % 3 {
                    0 => cache.invalidate_prefix(&format!("prefix-{number}")).await,
                    1 => cache.invalidate_tag(&format!("tag-{number}")).await,
                    _ => {
                        cache.delete(&format!("entry:{number}")).await.unwrap();
                        return;
                    }
                };
                assert!(!told.unwrap().is_confirmed());
            }
            Self::FailingLoads => {
                assert!(with_cache(cached, failing(number)).await.is_err());
            }
            Self::Oversized => {
                let size = usize::try_from(self.memory_limit()).unwrap() + 1;
                assert_eq!(with_cache(cached, page(number % 3, size)).await.len(), size);
                cache
                    .delete(&format!("page:page:{}:{size}", number % 3))
                    .await
                    .unwrap();
            }
            Self::Dropped => {
                let patience = Duration::from_micros(number % 700);
                let call = with_cache(cached, page(number, 100));
                let _ = tokio::time::timeout(patience, call).await;
            }
        }
    }
}

#[cached(ttl = 60, prefix = "page")]
async fn page(id: u64, size: usize) -> String {
    tokio::task::yield_now().await;
    "x".repeat(size + usize::from(id == u64::MAX))
}

#[cached(ttl = 60, prefix = "failing")]
async fn failing(id: u64) -> Result<u64, String> {
    Err(format!("no {id}"))
}

#[cached(ttl = 60, prefix = "tagged", key = "{id}:of", tags = ["of:{id}", "all"])]
async fn tagged(id: u64) -> u64 {
    id
}

#[cache_invalidate(tags = ["of:{id}"])]
async fn change_tagged(id: u64) {}

// --- in the process of a stream -------------------------------------------------------------

/// What this process holds in memory.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kibibytes.unwrap().trim().parse::<u64>().unwrap() << 10
}

/// Lets the stream run, and says how much came and how much memory there was in each third of the time.
async fn play(stream: Stream, length: Duration, server: &str) {
    let builder = Cache::builder()
        .memory_limit(stream.memory_limit())
        .connect_timeout(Duration::from_secs(5))
        .response_timeout(Duration::from_secs(5));
    let builder = match stream {
        Stream::KeysInProcess => builder,
        _ => builder.redis_url(server),
    };
    let cache = builder.open().await.unwrap();
    let number = AtomicU64::new(0);
    if stream.is_in_vain() {
        assert_eq!(cache.mode(), Mode::Redis);
        process::pause_here();
        let away = async || {
            let _ = cache.exists("anything").await;
            cache.mode() == Mode::Fallback
        };
        wait_until_async(away, "Redis is away").await;
    }
    let mut looks = Vec::new();
    let start = Instant::now();
    for look in 1..=LOOKS {
        // At least once, however slow the machine is.
        let mut called = false;
        while !called || start.elapsed() < length * look / LOOKS {
            called = true;
            // Several at once, as in a program that is used.
            let calls = (0..16).map(|_| number.fetch_add(1, Ordering::Relaxed));
            let calls = calls.map(|number| {
                let cache = cache.clone();
                tokio::spawn(async move { stream.one(&cache, number).await })
            });
            for call in calls.collect::<Vec<_>>() {
                call.await.unwrap();
            }
        }
        looks.push(resident());
    }
    let thirds: Vec<u64> = looks
        .chunks(looks.len() / 3)
        .map(|third| third.iter().copied().max().unwrap_or_default())
        .collect();
    let shown = format!("{cache:?}");
    assert!(shown.contains("flights: 0"), "{shown}");
    // The last leases are on their way back, in tasks that end with this process; what stays are those of the connection.
    let start = Instant::now();
    while Handle::current().metrics().num_alive_tasks() > 3 && start.elapsed() < SHORT {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stats = cache.stats();
    assert!(
        stats.bytes <= stream.memory_limit(),
        "{} bytes",
        stats.bytes
    );
    assert!(
        stats.prefixes.len() <= 1_001,
        "{} prefixes",
        stats.prefixes.len()
    );
    println!(
        "\nfigures {} {} {} {}",
        number.load(Ordering::Relaxed),
        thirds[0],
        thirds[1],
        thirds[2]
    );
}

// --- in the test's own process --------------------------------------------------------------

/// Plays a stream where this is the process of one, else runs each in a process of its own, by this very test.
fn check(test: &str, streams: &[Stream], length: Duration, allowance: u64) {
    if let Some(part) = process::part() {
        let (stream, seconds) = part.role.split_once(' ').unwrap();
        let length = Duration::from_secs(seconds.parse().unwrap());
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(Stream::named(stream), length, &part.server));
        return;
    }
    for stream in streams {
        check_one(test, *stream, length, allowance);
    }
}

fn check_one(test: &str, stream: Stream, length: Duration, allowance: u64) {
    let server = RedisServer::start_with(&[
        "--maxmemory",
        SERVER_LIMIT,
        "--maxmemory-policy",
        "allkeys-lru",
    ]);
    let role = format!("{stream:?} {}", length.as_secs());
    let mut process = Process::start(test, &role, &server.url());
    if stream.is_in_vain() {
        process.paused();
        server.kill();
        process.go_on();
    }
    let (succeeded, output) = process.output();
    assert!(succeeded, "{stream:?}: {output}");
    let figures = output
        .lines()
        .find_map(|line| line.strip_prefix("figures "));
    let figures = figures.unwrap_or_else(|| panic!("{stream:?}: {output}"));
    let figures: Vec<u64> = figures
        .split(' ')
        .map(|figure| figure.parse().unwrap())
        .collect();
    let [count, first, middle, last] = figures[..] else {
        panic!("{output}")
    };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{stream:?}: {count} in {length:?}; {:.1}, {:.1}, {:.1} MiB at most in each third",
        mib(first),
        mib(middle),
        mib(last)
    );
    let most = middle + middle * SHARE / 100 + allowance;
    assert!(last <= most, "{stream:?}: {last} bytes after {middle}");
    if !stream.is_in_vain() {
        check_server(&server, stream);
    }
}

/// Whatever was left in Redis ends by itself, and no lease outlives its load.
fn check_server(server: &RedisServer, stream: Stream) {
    let script = "
        local found = {0, 0, 0, 0}
        local cursor = '0'
        repeat
          local step = redis.call('SCAN', cursor, 'COUNT', 1000)
          cursor = step[1]
          for _, name in ipairs(step[2]) do
            local kind = 1
            if string.sub(name, 1, 4) == 'gen@' then kind = 2 end
            if string.sub(name, 1, 6) == 'lease@' then kind = 3 end
            found[kind] = found[kind] + 1
            local left = redis.call('PTTL', name)
            -- One name stays: by whom the data was served.
            local stays = left == -1 and name ~= 'run@'
            if stays or left > 86400000 then found[4] = found[4] + 1 end
          end
        until cursor == '0'
        return table.concat(found, ' ')";
    let count = || -> Vec<u64> {
        let counted = server.cli(&["EVAL", script, "0"]);
        let counted = counted.split(' ');
        counted.map(|count| count.parse().unwrap()).collect()
    };
    // The last ones may be on their way back, which takes far less than the ten seconds that a lease lives by itself.
    let start = Instant::now();
    while count()[2] > 0 && start.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let counted = count();
    assert_eq!(counted[2], 0, "{stream:?}: a lease has outlived its load");
    println!(
        "{stream:?}: entries, generations, leases, and those that stay longer than a day: {counted:?}"
    );
    assert_eq!(counted[3], 0, "{stream:?}: something stays for ever");
}

#[test]
fn entries_without_end_reach_a_plateau() {
    let test = "entries_without_end_reach_a_plateau";
    let streams = [Stream::Keys, Stream::KeysInProcess, Stream::KeysByHand];
    check(test, &streams, SHORT, SHORT_ALLOWANCE);
}

#[test]
fn so_do_tags_and_prefixes() {
    let streams = [Stream::Tags, Stream::Prefixes];
    check("so_do_tags_and_prefixes", &streams, SHORT, SHORT_ALLOWANCE);
}

#[test]
fn so_does_what_comes_while_redis_is_away() {
    let test = "so_does_what_comes_while_redis_is_away";
    let streams = [Stream::InvalidationsInVain, Stream::KeysInVain];
    check(test, &streams, SHORT, SHORT_ALLOWANCE);
}

#[test]
fn so_do_loads_that_fail_or_are_too_large_or_are_dropped() {
    let test = "so_do_loads_that_fail_or_are_too_large_or_are_dropped";
    let streams = [Stream::FailingLoads, Stream::Oversized, Stream::Dropped];
    check(test, &streams, SHORT, SHORT_ALLOWANCE);
}

/// `MEMORY_SECONDS` is how long, all streams side by side.
#[test]
#[ignore = "takes minutes"]
fn all_of_them_do_for_minutes() {
    let seconds = std::env::var("MEMORY_SECONDS").map_or(180, |text| text.parse().unwrap());
    std::thread::scope(|scope| {
        for stream in Stream::ALL {
            scope.spawn(move || {
                // Any test that is not ignored lends its name to the process.
                let test = "so_do_tags_and_prefixes";
                check(
                    test,
                    &[stream],
                    Duration::from_secs(seconds),
                    LONG_ALLOWANCE,
                );
            });
        }
    });
}
