//! What is to be reached, and whether it is.

use std::fmt::Write as _;

use super::samples::{Samples, Spread};
use crate::catalog::{ANNOTATED, label, scenario};

enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

struct Row {
    case: &'static str,
    bar: Bar,
    unit: &'static str,
    /// The figure, and against whom.
    found: Option<(Spread, String)>,
}

impl Row {
    fn verdict(&self) -> String {
        let Some((spread, _)) = &self.found else {
            return "not measured".to_owned();
        };
        let (met, missed_by) = match self.bar {
            Bar::AtMost(limit) => (spread.median <= limit, spread.median / limit),
            Bar::AtLeast(limit) => (spread.median >= limit, limit / spread.median),
        };
        match met {
            true => "met".to_owned(),
            false if missed_by.is_finite() => format!("missed, by a factor of {missed_by:.2}"),
            false => "missed".to_owned(),
        }
    }

    fn bar(&self) -> String {
        let unit = self.unit;
        match self.bar {
            Bar::AtMost(limit) => format!("at most {limit}{unit}"),
            Bar::AtLeast(limit) => format!("at least {limit}{unit}"),
        }
    }

    fn figure(&self) -> String {
        let Some((spread, against)) = &self.found else {
            return "-".to_owned();
        };
        let Spread {
            median,
            least,
            most,
        } = *spread;
        let unit = self.unit;
        let digits = if median >= 100.0 { 0 } else { 2 };
        let range = if (most - least).abs() < 0.005 {
            String::new()
        } else {
            format!(" ({least:.digits$} .. {most:.digits$})")
        };
        format!("{median:.digits$}{unit}{range}{against}")
    }
}

/// A table in Markdown: each case, what is to be reached, what was, and whether that is enough.
pub fn table(samples: &Samples) -> String {
    let mut text = "| case | bar | figure | |\n| --- | --- | --- | --- |\n".to_owned();
    for row in rows(samples) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            row.case,
            row.bar(),
            row.figure(),
            row.verdict()
        );
    }
    text
}

fn rows(samples: &Samples) -> Vec<Row> {
    let mut rows = near(samples);
    rows.extend(redis(samples));
    rows.extend(around(samples));
    rows
}

const TIMES: &str = "x";

fn near(samples: &Samples) -> Vec<Row> {
    use Bar::{AtLeast, AtMost};
    let peer = |name, ours| quickest_annotated(samples, name, ours);
    let by_hand = |name| {
        ratio(
            samples,
            [name, "ours_arc", "ns"],
            [name, "quick_cache_arc", "ns"],
        )
    };
    let tracked = |name| {
        ratio(
            samples,
            [name, "ours_tracked", "ns"],
            [name, "ours_arc", "ns"],
        )
    };
    let plain = |name, candidate, figure| plain(samples, name, candidate, figure);
    let threads = samples.ratio(
        ["near_zipf_threads", "ours_arc", "ns"],
        ["near_zipf", "ours_arc", "ns"],
    );
    let threads = threads.map(|spread| (times(spread, 2.0), String::new()));
    vec![
        row(
            "near hit, `Arc`, one key: quicker than every annotated peer",
            AtLeast(1.5),
            TIMES,
            peer("near_hot", "ours_arc"),
        ),
        row(
            "the same, 10,000 keys",
            AtLeast(1.5),
            TIMES,
            peer("near_zipf", "ours_arc"),
        ),
        row(
            "near hit, `Arc`, one key: time over quick_cache's `get_or_insert` by hand",
            AtMost(1.0),
            TIMES,
            by_hand("near_hot"),
        ),
        row(
            "the same, 10,000 keys",
            AtMost(1.0),
            TIMES,
            by_hand("near_zipf"),
        ),
        row(
            "allocations per near hit, `Arc`, one key",
            AtMost(0.01),
            "",
            plain("near_hot", "ours_arc", "allocations"),
        ),
        row(
            "the same, 10,000 keys",
            AtMost(0.01),
            "",
            plain("near_zipf", "ours_arc", "allocations"),
        ),
        row(
            "near hit, cloned, one key: quicker than every annotated peer",
            AtLeast(1.0),
            TIMES,
            peer("near_hot_clone", "ours_clone"),
        ),
        row(
            "the same, 10,000 keys",
            AtLeast(1.0),
            TIMES,
            peer("near_zipf_clone", "ours_clone"),
        ),
        row(
            "allocations per near hit, cloned; the clone alone makes 5",
            AtMost(5.01),
            "",
            plain("near_hot_clone", "ours_clone", "allocations"),
        ),
        row(
            "near hit, 64 tasks on 2 threads, one key: quicker than every annotated peer",
            AtLeast(1.0),
            TIMES,
            peer("near_hot_threads", "ours_arc"),
        ),
        row(
            "the same, 10,000 keys",
            AtLeast(1.0),
            TIMES,
            peer("near_zipf_threads", "ours_arc"),
        ),
        row(
            "a thread's time per near hit over that of a single thread, 10,000 keys",
            AtMost(1.5),
            TIMES,
            threads,
        ),
        row(
            "near hit in front of Redis over that in the process, one key",
            AtMost(1.1),
            TIMES,
            tracked("front_hot"),
        ),
        row(
            "the same, 10,000 keys",
            AtMost(1.1),
            TIMES,
            tracked("front_zipf"),
        ),
    ]
}

fn redis(samples: &Samples) -> Vec<Row> {
    use Bar::{AtLeast, AtMost};
    let over_raw = |name, figure| {
        ratio(
            samples,
            [name, "ours_redis", figure],
            [name, "raw_redis", figure],
        )
    };
    let plain = |name, candidate, figure| plain(samples, name, candidate, figure);
    vec![
        row(
            "Redis hit alone over redis-rs's `GET` and decoding by hand",
            AtMost(1.03),
            TIMES,
            over_raw("redis_1", "ns"),
        ),
        row(
            "Redis hits per second over those by hand, 64 tasks",
            AtLeast(1.2),
            TIMES,
            over_raw("redis_64", "per_second"),
        ),
        row(
            "the same, 256 tasks",
            AtLeast(1.5),
            TIMES,
            over_raw("redis_256", "per_second"),
        ),
        row(
            "the same, 1,024 tasks",
            AtLeast(1.5),
            TIMES,
            over_raw("redis_1024", "per_second"),
        ),
        row(
            "allocations per Redis hit, 256 tasks",
            AtMost(10.0),
            "",
            plain("redis_256", "ours_redis", "allocations"),
        ),
        row(
            "round trips of a miss",
            AtMost(3.0),
            "",
            plain("miss", "ours_tracked", "round_trips"),
        ),
        row(
            "the same, `near = false`",
            AtMost(3.0),
            "",
            plain("miss", "ours_redis", "round_trips"),
        ),
        row(
            "1,000 callers of a cold key: bodies run",
            AtMost(1.0),
            "",
            plain("storm", "ours_tracked", "bodies"),
        ),
        row(
            "the same: time over that of the body by itself",
            AtMost(1.1),
            TIMES,
            plain("storm", "ours_tracked", "times"),
        ),
        row(
            "invalidating a prefix of 1,000 entries",
            AtMost(2.0),
            " PINGs",
            plain("prefix_1k", "ours_redis", "pings"),
        ),
        row(
            "invalidating a prefix of 1,000,000 entries",
            AtMost(2.0),
            " PINGs",
            plain("prefix_1m", "ours_redis", "pings"),
        ),
        row(
            "the second over the first",
            AtMost(1.1),
            TIMES,
            ratio(
                samples,
                ["prefix_1m", "ours_redis", "pings"],
                ["prefix_1k", "ours_redis", "pings"],
            ),
        ),
    ]
}

fn around(samples: &Samples) -> Vec<Row> {
    use Bar::AtMost;
    let over_cached = |figure| {
        ratio(
            samples,
            ["build", "ours", figure],
            ["build", "cached", figure],
        )
    };
    let plain = |name, candidate, figure| plain(samples, name, candidate, figure);
    vec![
        row(
            "bytes of a near entry beside key and value, over moka's own",
            AtMost(1.5),
            TIMES,
            ratio(
                samples,
                ["memory", "ours_arc", "bytes"],
                ["memory", "moka_arc", "bytes"],
            ),
        ),
        row(
            "future of a cached function beside its body",
            AtMost(512.0),
            " bytes",
            plain("future", "ours_arc", "near"),
        ),
        row(
            "clean build of a small program over that with `cached` and its Redis",
            AtMost(1.0),
            TIMES,
            over_cached("seconds"),
        ),
        row(
            "the same, in processor time",
            AtMost(1.0),
            TIMES,
            over_cached("processor_s"),
        ),
        row(
            "lines of its `cargo tree` over those with `cached`",
            AtMost(1.0),
            TIMES,
            over_cached("tree"),
        ),
        row(
            "what an annotated function adds to a check",
            AtMost(5.0),
            " ms",
            plain("check", "ours", "ms"),
        ),
    ]
}

fn row(case: &'static str, bar: Bar, unit: &'static str, found: Option<(Spread, String)>) -> Row {
    Row {
        case,
        bar,
        unit,
        found,
    }
}

fn plain(samples: &Samples, name: &str, candidate: &str, figure: &str) -> Option<(Spread, String)> {
    Some((samples.spread(name, candidate, figure)?, String::new()))
}

fn ratio(samples: &Samples, over: [&str; 3], under: [&str; 3]) -> Option<(Spread, String)> {
    Some((samples.ratio(over, under)?, String::new()))
}

/// How many times as quick ours is as the quickest peer that a user has by writing an attribute.
fn quickest_annotated(samples: &Samples, name: &str, ours: &str) -> Option<(Spread, String)> {
    let peers = scenario(name)?
        .candidates
        .iter()
        .filter(|peer| ANNOTATED.contains(peer));
    let timed = peers.filter_map(|peer| Some((samples.spread(name, peer, "ns")?.median, *peer)));
    let (_, peer) = timed.min_by(|left, right| left.0.total_cmp(&right.0))?;
    let ratio = samples.ratio([name, peer, "ns"], [name, ours, "ns"])?;
    Some((ratio, format!(", {}", label(peer))))
}

fn times(spread: Spread, factor: f64) -> Spread {
    Spread {
        median: spread.median * factor,
        least: spread.least * factor,
        most: spread.most * factor,
    }
}
