//! How cost grows: each point of each axis in a process of its own, in rounds, as a page of tables.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::samples::{Samples, Spread};
use super::server::Server;
use super::table::number;
use super::{machine, results};
use crate::candidate::Outcome;
use crate::scenario::scale::Axis;

/// One axis, its points, and what is shown of each.
pub struct Range {
    pub name: &'static str,
    pub axis: Axis,
    title: &'static str,
    amounts: &'static [usize],
    /// Tier, figure, and the head of the column.
    columns: &'static [(&'static str, &'static str, &'static str)],
}

const BOTH: &[(&str, &str, &str)] = &[
    ("near", "ns", "hit in front of Redis, ns"),
    ("redis", "ns", "hit in Redis, ns"),
];

pub const AXES: [Range; 6] = [
    Range {
        name: "keys",
        axis: Axis::Keys,
        title: "Keys, asked for at random",
        amounts: &[1, 1_000, 100_000, 1_000_000],
        columns: BOTH,
    },
    Range {
        name: "bytes",
        axis: Axis::Bytes,
        title: "Bytes of the value",
        amounts: &[100, 1_000, 10_000, 100_000],
        columns: BOTH,
    },
    Range {
        name: "depth",
        axis: Axis::Depth,
        title: "Levels of the prefix",
        amounts: &[1, 2, 4, 8, 15],
        columns: BOTH,
    },
    Range {
        name: "tags",
        axis: Axis::Tags,
        title: "Tags",
        amounts: &[1, 4, 16],
        columns: BOTH,
    },
    Range {
        name: "tasks",
        axis: Axis::Tasks,
        title: "Tasks that read Redis at once",
        amounts: &[1, 16, 64, 256, 1_024],
        columns: &[
            ("redis", "per_second", "hits per second"),
            ("redis", "ns", "each takes, ns"),
        ],
    },
    Range {
        name: "clients",
        axis: Axis::Clients,
        title: "Connections that track the same 10,000 keys",
        amounts: &[1, 10, 100],
        columns: &[
            (
                "redis",
                "bytes_each",
                "bytes in the server for each key and connection",
            ),
            ("redis", "write_us", "a write that all are told of, µs"),
        ],
    },
];

/// Processes that read Redis at the same time, each with this many tasks.
const PROCESSES: [usize; 4] = [1, 2, 4, 8];
const TASKS: usize = 64;

/// Measures and writes; a single round leaves its page beside the program.
pub fn run(rounds: usize, time: Duration) -> Outcome<()> {
    let mut samples = Samples::default();
    for round in 0..rounds {
        for range in &AXES {
            for &amount in range.amounts {
                for tier in ["near", "redis"] {
                    if range.columns.iter().any(|column| column.0 == tier) {
                        one(&mut samples, range, amount, tier, round, time)?;
                    }
                }
            }
        }
        for count in PROCESSES {
            processes(&mut samples, count, round, time)?;
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    let page = page(&samples, rounds);
    let folder = match rounds {
        1 => std::env::current_exe()?.with_file_name("bench-results"),
        _ => results(),
    };
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("scale.md"), &page)?;
    println!("{page}");
    Ok(())
}

fn one(
    samples: &mut Samples,
    range: &Range,
    amount: usize,
    tier: &str,
    round: usize,
    time: Duration,
) -> Outcome<()> {
    let server = Server::start()?;
    let child = start(&server, range.name, amount, tier, time)?;
    for (figure, value) in figures(child)? {
        samples.add(
            range.name,
            &format!("{tier} {amount}"),
            &figure,
            round,
            value,
        );
    }
    Ok(())
}

/// Several at once, whose hits are added up.
fn processes(samples: &mut Samples, count: usize, round: usize, time: Duration) -> Outcome<()> {
    let server = Server::start()?;
    let children: Vec<Child> = (0..count)
        .map(|_| start(&server, "tasks", TASKS, "redis", time))
        .collect::<Outcome<_>>()?;
    let mut sum = 0.0;
    for child in children {
        let figures = figures(child)?;
        let found = figures.iter().find(|(figure, _)| figure == "per_second");
        sum += found.map_or(0.0, |(_, value)| *value);
    }
    samples.add(
        "processes",
        &format!("redis {count}"),
        "per_second",
        round,
        sum,
    );
    Ok(())
}

fn start(server: &Server, axis: &str, amount: usize, tier: &str, time: Duration) -> Outcome<Child> {
    let child = Command::new(std::env::current_exe()?)
        .args(["point", axis, &amount.to_string(), tier, &server.url()])
        .arg(time.as_millis().to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok(child)
}

fn figures(child: Child) -> Outcome<Vec<(String, f64)>> {
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let printed = String::from_utf8(output.stdout)?;
    let lines = printed.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(figure, value)| Ok((figure.to_owned(), value.parse()?)))
        .collect()
}

fn page(samples: &Samples, rounds: usize) -> String {
    let mut text = "# How cost grows, measured\n\nWritten by `benches/run --scale`; [SCALE.md](../SCALE.md) says what follows from it.\n\n".to_owned();
    for (name, value) in machine::describe() {
        let _ = writeln!(text, "- {name}: {value}");
    }
    let _ = writeln!(
        text,
        "\nMedians of {rounds} rounds, with the least and the most."
    );
    for range in &AXES {
        let heads: Vec<&str> = range.columns.iter().map(|column| column.2).collect();
        head(&mut text, range.title, &heads);
        for &amount in range.amounts {
            let cells: Vec<String> = range
                .columns
                .iter()
                .map(|(tier, figure, _)| {
                    cell(samples.spread(range.name, &format!("{tier} {amount}"), figure))
                })
                .collect();
            let _ = writeln!(
                text,
                "| {} | {} |",
                number(amount as f64),
                cells.join(" | ")
            );
        }
    }
    head(
        &mut text,
        "Processes of 64 tasks that read one server at once",
        &["hits per second, of all together"],
    );
    for count in PROCESSES {
        let spread = samples.spread("processes", &format!("redis {count}"), "per_second");
        let _ = writeln!(text, "| {count} | {} |", cell(spread));
    }
    text
}

fn head(text: &mut String, title: &str, heads: &[&str]) {
    let _ = writeln!(
        text,
        "\n## {title}\n\n| | {} |\n| ---: |{}",
        heads.join(" | "),
        " --- |".repeat(heads.len())
    );
}

fn cell(spread: Option<Spread>) -> String {
    spread.map_or(
        "-".to_owned(),
        |Spread {
             median,
             least,
             most,
         }| { format!("{} ({} .. {})", number(median), number(least), number(most)) },
    )
}
