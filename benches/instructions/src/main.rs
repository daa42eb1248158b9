//! Instructions of a hit, counted by callgrind, against what they were when the baseline was recorded.
//!
//! A hit's are the difference of two runs of different length, so that start-up cancels out.

mod hits;
#[path = "../../src/driver/server.rs"]
mod server;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

use server::Server;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What a hit may cost more than in the baseline.
const MOST: f64 = 1.05;

/// Below this share of the baseline, it is worth recording anew.
const LEAST: f64 = 0.95;

/// Each kind of hit, and the hits of the shorter and the longer run.
const KINDS: [(&str, u32, u32); 3] = [
    ("near_hit", 10_000, 30_000),
    ("redis_hit", 1_000, 3_000),
    ("redis_hit_of_many", 10_000, 40_000),
];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["near_hit", hits] => hits::near(hits),
        ["redis_hit", hits, redis] => hits::redis(hits, redis),
        ["redis_hit_of_many", hits, redis] => hits::redis_of_many(hits, redis),
        [] => compare(),
        ["--record"] => record(),
        _ => Err("cache-instructions [--record]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Fails where a hit costs more than the baseline allows.
fn compare() -> Outcome<()> {
    let (compiler, baseline) = baseline()?;
    let here = compiler_here();
    let comparable = compiler == here;
    if !comparable {
        println!("the baseline is of {compiler}, this is {here}: counted, and not compared");
    }
    let mut failed = Vec::new();
    for (kind, found) in count()? {
        let before = baseline.iter().find(|(name, _)| name == kind);
        let (_, before) = before.ok_or_else(|| format!("the baseline lacks {kind}"))?;
        let ratio = found / before;
        println!("{kind}: {found:.0} instructions, {ratio:.3} of the baseline's {before:.0}");
        if ratio > MOST && comparable {
            failed.push(kind);
        } else if ratio < LEAST && comparable {
            println!("  worth recording: ./test instructions --record");
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} costs more than {MOST} of the baseline; where that is intended, ./test instructions --record",
        failed.join(" and ")
    )
    .into())
}

fn record() -> Outcome<()> {
    let mut text = format!("# {}\n", compiler_here());
    for (kind, found) in count()? {
        println!("{kind}: {found:.0} instructions");
        let _ = writeln!(text, "{kind}\t{found:.0}");
    }
    Ok(fs::write(baseline_file(), text)?)
}

/// Instructions of each kind of hit.
fn count() -> Outcome<Vec<(&'static str, f64)>> {
    let server = Server::start()?;
    let mut counts = Vec::new();
    for (kind, few, many) in KINDS {
        // Fills the server, so that neither of the two that count misses anything there.
        instructions(kind, few, &server)?;
        let difference = instructions(kind, many, &server)? - instructions(kind, few, &server)?;
        counts.push((kind, difference / f64::from(many - few)));
    }
    Ok(counts)
}

/// Those of a whole run of this program.
fn instructions(kind: &str, hits: u32, server: &Server) -> Outcome<f64> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args([kind, &hits.to_string()])
        .stdin(Stdio::null());
    if kind.starts_with("redis_hit") {
        command.arg(server.url());
    }
    let output = command.output()?;
    let printed = String::from_utf8_lossy(&output.stderr);
    let collected = printed
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    match collected {
        Some((_, collected)) if output.status.success() => Ok(collected.trim().parse()?),
        _ => Err(format!("valgrind failed:\n{printed}").into()),
    }
}

fn baseline_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.tsv")
}

/// The compiler it was recorded with, and the counts.
fn baseline() -> Outcome<(String, Vec<(String, f64)>)> {
    let text = fs::read_to_string(baseline_file())?;
    let compiler = text
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("# ");
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    let counts = lines.map(|(kind, count)| Ok((kind.to_owned(), count.parse()?)));
    Ok((compiler.to_owned(), counts.collect::<Outcome<_>>()?))
}

/// Another compiler or another processor writes other instructions.
fn compiler_here() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!("{} for {}", version.unwrap_or_default(), env::consts::ARCH)
}
