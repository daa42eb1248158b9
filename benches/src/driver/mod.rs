//! Runs everything in rounds, a process for each candidate and scenario, and writes what came out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::candidate::Outcome;
use crate::catalog::{SCENARIOS, Scenario};
use crate::work::Random;

pub mod builds;
mod chart;
pub mod machine;
mod reach;
pub mod samples;
pub mod scale;
mod server;
mod table;

use samples::Samples;
use server::Server;

/// What the command line asks for.
#[derive(Debug, Clone)]
pub struct Options {
    pub rounds: usize,
    /// How long each run measures.
    pub time: Duration,
    /// A piece of the names of the scenarios to run, or of their candidates; empty for all.
    pub only: Vec<String>,
    /// Whether programs are built as well.
    pub builds: bool,
    /// A run in full leaves its results in `benches/results`, any other beside the program.
    pub whole: bool,
}

impl Options {
    pub fn wants(&self, scenario: &str, candidate: &str) -> bool {
        self.only.is_empty()
            || self
                .only
                .iter()
                .any(|piece| scenario.contains(piece) || candidate.contains(piece))
    }
}

/// Runs what is asked for, and writes the results.
pub fn run(options: &Options) -> Outcome<()> {
    let start = Instant::now();
    let mut samples = Samples::default();
    {
        let server = Server::start()?;
        for round in 0..options.rounds {
            for (scenario, candidate) in shuffled(options, round) {
                measure(&server, scenario, candidate, options, round, &mut samples);
            }
            eprintln!(
                "round {} of {}, {:.0?}",
                round + 1,
                options.rounds,
                start.elapsed()
            );
        }
    }
    if options.builds {
        builds::run(options, &mut samples)?;
    }
    let folder = folder(options)?;
    std::fs::write(
        folder.join("samples.tsv"),
        samples.to_text(&machine::describe()),
    )?;
    match options.whole {
        true => publish(),
        false => render(&folder),
    }
}

/// Writes the committed results anew, and what of them stands in the project's README.
pub fn publish() -> Outcome<()> {
    render(&results())?;
    let path = results().join("../../README.md");
    let readme = std::fs::read_to_string(&path)?;
    let (samples, machine) = read(&results())?;
    let section = table::section(&machine, samples.count(), &reach::table(&samples));
    std::fs::write(path, table::between_marks(&readme, &section)?)?;
    Ok(())
}

/// Writes table and chart anew from the samples in a folder.
pub fn render(folder: &Path) -> Outcome<()> {
    let (samples, machine) = read(folder)?;
    let reach = reach::table(&samples);
    let table = table::whole(&samples, &machine, &reach);
    std::fs::write(folder.join("README.md"), &table)?;
    std::fs::write(folder.join("chart.svg"), chart::svg(&samples, &machine))?;
    println!("{reach}\n{}", folder.display());
    Ok(())
}

fn read(folder: &Path) -> Outcome<(Samples, Vec<(String, String)>)> {
    Samples::from_text(&std::fs::read_to_string(folder.join("samples.tsv"))?)
}

/// Where the committed results are.
pub fn results() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results")
}

fn folder(options: &Options) -> Outcome<PathBuf> {
    let folder = if options.whole {
        results()
    } else {
        let program = std::env::current_exe()?;
        program.with_file_name("bench-results")
    };
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Every pair that is wanted, in an order that differs from round to round.
fn shuffled(options: &Options, round: usize) -> Vec<(&'static Scenario, &'static str)> {
    let mut pairs: Vec<_> = SCENARIOS
        .iter()
        .flat_map(|scenario| {
            scenario
                .candidates
                .iter()
                .map(move |&candidate| (scenario, candidate))
        })
        .filter(|(scenario, candidate)| options.wants(scenario.name, candidate))
        .collect();
    let mut random = Random(round as u64);
    for left in (1..pairs.len()).rev() {
        let other = random.next() % (left as u64 + 1);
        pairs.swap(left, usize::try_from(other).unwrap_or(left));
    }
    pairs
}

fn measure(
    server: &Server,
    scenario: &Scenario,
    candidate: &str,
    options: &Options,
    round: usize,
    samples: &mut Samples,
) {
    match in_a_process(server, scenario.name, candidate, options.time) {
        Ok(printed) => {
            for line in printed.lines() {
                if let Some((figure, value)) = line.split_once(' ')
                    && let Ok(value) = value.parse()
                {
                    samples.add(scenario.name, candidate, figure, round, value);
                }
            }
        }
        Err(error) => eprintln!("{} {candidate}: {error}", scenario.name),
    }
}

/// Runs this very program for one scenario and one candidate; what it prints are its figures.
fn in_a_process(
    server: &Server,
    scenario: &str,
    candidate: &str,
    time: Duration,
) -> Outcome<String> {
    let millis = time.as_millis().to_string();
    let output = Command::new(std::env::current_exe()?)
        .args(["one", scenario, candidate, &server.url(), &millis])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
