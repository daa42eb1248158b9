//! P2 and P3 over real processes, a real server, and whatever can happen to either: a history of reads, each of which must lie
//! between the last version that was due when it began and the newest that there was when it had ended.
//!
//! Several processes read, write a source of truth (a second server, which nothing happens to), and invalidate: an entry, a
//! level above it, its prefix, its tag, and by hand as `redis-cli` would. Meanwhile connections are killed, entries evicted,
//! everything flushed, the server held up, processes stopped for a while, and cut off. What a read must know:
//!
//! - with `near = false`, every invalidation that had returned when the read began, wherever it was made;
//! - with the tier in process, those made by its own process; and those made elsewhere that had returned one second before.
//!
//! `HISTORY_SECONDS`, `HISTORY_PROCESSES` and `HISTORY_TASKS` make the run longer and wider, `HISTORY_FAULTS=Kill,Partition` has
//! only those happen, and `HISTORY_SEED` replays its choices.

mod support;

#[path = "history/checker.rs"]
mod checker;
#[path = "history/fault.rs"]
mod fault;
#[path = "history/record.rs"]
mod record;
#[path = "history/truth.rs"]
mod truth;
#[path = "history/worker.rs"]
mod worker;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;
use std::time::{Duration, Instant};

use checker::{Due, Read, check};
use fault::{FAULTS, Fault, Scene};
use record::{Kind, Record};
use support::{Dice, Process, Proxy, RedisServer, dice, process};
use truth::Truth;
use worker::{Orders, VIOLATIONS};

/// Settings of a run.
struct Plan {
    seed: u64,
    at_least: Duration,
    processes: u64,
    tasks: u64,
    /// Each of them, again and again.
    faults: Vec<Fault>,
    forgetful: bool,
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    counts: BTreeMap<String, u64>,
    violations: Vec<String>,
}

impl Outcome {
    fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }
}

#[test]
fn no_read_in_any_process_is_older_than_what_was_due_whatever_happens() {
    if process::part().is_some() {
        return;
    }
    let seed = dice::seed("HISTORY_SEED");
    let outcome = run(&Plan {
        seed,
        at_least: Duration::from_secs(setting("HISTORY_SECONDS", 6)),
        processes: setting("HISTORY_PROCESSES", 3),
        tasks: setting("HISTORY_TASKS", 8),
        faults: chosen_faults(),
        forgetful: false,
    });
    for (name, count) in &outcome.counts {
        println!("{count:>9} {name}");
    }
    println!("{}", outcome.violations.join("\n"));
    assert_eq!(outcome.count(VIOLATIONS), 0, "HISTORY_SEED={seed}");
    for (name, at_least) in [
        ("reads checked: at once", 500),
        ("reads checked: within the lag", 1_000),
        ("answered in process", 200),
        ("answered stale, within their window", 20),
        ("reads that failed", 5),
        ("invalidations confirmed by Redis", 50),
    ] {
        let count = outcome.count(name);
        assert!(count > at_least, "hardly anything happened: {count} {name}");
    }
}

#[test]
fn a_writer_that_forgets_to_invalidate_is_found() {
    if process::part().is_some() {
        return;
    }
    let outcome = run(&Plan {
        seed: dice::seed("HISTORY_SEED"),
        at_least: Duration::from_secs(3),
        processes: 2,
        tasks: 4,
        faults: Vec::new(),
        forgetful: true,
    });
    let told = outcome.violations.join("\n");
    assert!(outcome.count(VIOLATIONS) > 10, "{outcome:#?}");
    for what in ["which was due", "wrote", "is settled"] {
        assert!(told.contains(what), "the report lacks `{what}`:\n{told}");
    }
}

#[test]
fn a_read_that_is_too_old_or_too_new_is_found() {
    let read = |kind, due: (u64, u64, u64), version, newest| {
        let (own, anywhere, long_ago) = due;
        check(&Read {
            record: Record { kind, id: 0 },
            due: Due {
                own,
                anywhere,
                long_ago,
            },
            version,
            newest,
        })
    };
    for kind in [Kind::Near, Kind::Fleet, Kind::Stale, Kind::Behind] {
        assert_eq!(read(kind, (5, 7, 5), 5, 8), Ok(()), "lag is allowed");
        read(kind, (5, 5, 0), 4, 8).expect_err("its own process knew better");
        read(kind, (0, 5, 5), 4, 8).expect_err("others had known for long");
        read(kind, (5, 5, 5), 9, 8).expect_err("there was no such version");
    }
    assert_eq!(read(Kind::Asked, (5, 7, 5), 7, 8), Ok(()));
    read(Kind::Asked, (5, 7, 5), 6, 8).expect_err("no lag is allowed");
}

#[tokio::test]
async fn what_is_due_is_what_was_settled_and_for_others_a_lag_ago() {
    let server = RedisServer::start();
    let (one, other) = (
        Truth::connect(&server.url(), 0).await,
        Truth::connect(&server.url(), 1).await,
    );
    let record = Record {
        kind: Kind::Near,
        id: 1,
    };
    one.settle_here(record, 4);
    one.settle_at(record, 9, 10_000).await;
    one.settle_at(record, 10, 10_000).await;
    one.settle_at(record, 8, 10_500).await;
    other.settle_at(record, 11, 10_700).await;

    let due = |own, anywhere, long_ago| Due {
        own,
        anywhere,
        long_ago,
    };
    assert_eq!(one.due_at(record, 10_999).await, due(4, 11, 0));
    assert_eq!(one.due_at(record, 11_000).await, due(4, 11, 10));
    assert_eq!(other.due_at(record, 11_699).await, due(0, 11, 10));
    assert_eq!(other.due_at(record, 11_700).await, due(0, 11, 11));
    let beside = Record { id: 2, ..record };
    assert_eq!(other.due_at(beside, 11_700).await, due(0, 0, 0));
}

/// Played by each of the processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_the_processes() {
    if let Some(part) = process::part() {
        worker::work(&part).await;
    }
}

fn run(plan: &Plan) -> Outcome {
    let (server, truth) = (RedisServer::start(), RedisServer::start());
    // The first process reaches the server as it is, the others through what can be cut.
    let proxies: Vec<_> = (1..plan.processes.max(2))
        .map(|_| Proxy::start(server.port()))
        .collect();
    let mut processes: Vec<Process> = (0..plan.processes)
        .map(|process| {
            let before = process
                .checked_sub(1)
                .map(|proxy| proxies[proxy as usize].url());
            let orders = Orders {
                process,
                seed: plan.seed ^ (process << 56),
                tasks: plan.tasks,
                forgetful: plan.forgetful,
                servers: [before.unwrap_or(server.url()), server.url(), truth.url()],
            };
            let servers = orders.servers.join(" ");
            Process::start("one_of_the_processes", &orders.role(), &servers)
        })
        .collect();
    for process in &mut processes {
        process.paused();
    }
    for process in &mut processes {
        process.go_on();
    }

    let start = Instant::now();
    let mut outcome = Outcome::default();
    let mut dice = Dice(plan.seed);
    let scene = Scene {
        server: &server,
        truth: &truth,
        processes: &processes,
        proxies: &proxies,
    };
    while start.elapsed() < plan.at_least {
        if plan.faults.is_empty() {
            std::thread::sleep(plan.at_least);
        }
        scene.inject_each(&plan.faults, &mut dice);
        for fault in &plan.faults {
            let count = outcome.counts.entry(format!("fault: {fault:?}"));
            *count.or_default() += 1;
        }
    }
    for process in &mut processes {
        process.go_on();
    }
    for process in processes {
        let (good, output) = process.output();
        assert!(
            good,
            "a process failed, HISTORY_SEED={}:\n{output}",
            plan.seed
        );
        outcome.add(&output);
    }
    outcome
}

impl Outcome {
    /// Adds what one process has printed.
    fn add(&mut self, output: &str) {
        for line in output.lines() {
            if line.starts_with("violation ") {
                self.violations.push(line.to_owned());
            }
            let count = line.strip_prefix("count ");
            if let Some((count, name)) = count.and_then(|count| count.split_once(' ')) {
                *self.counts.entry(name.to_owned()).or_default() +=
                    count.parse::<u64>().expect("a count");
            }
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |given| given.parse().expect("a number"))
}

/// All kinds of faults, or those that are named.
fn chosen_faults() -> Vec<Fault> {
    let Ok(names) = std::env::var("HISTORY_FAULTS") else {
        return FAULTS.to_vec();
    };
    let named = |name: &str| {
        let fault = FAULTS.iter().find(|fault| format!("{fault:?}") == name);
        *fault.unwrap_or_else(|| panic!("`{name}` is none of {FAULTS:?}"))
    };
    names.split(',').map(named).collect()
}

fn words<T: FromStr<Err: Debug>, const N: usize>(text: &str) -> [T; N] {
    let words: Vec<T> = text.split(' ').map(|word| word.parse().unwrap()).collect();
    words
        .try_into()
        .unwrap_or_else(|_| panic!("{N} words in `{text}`"))
}
