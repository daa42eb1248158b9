//! What a cached call costs, here and elsewhere, in one run on one machine. `./run` builds and starts this program.

mod allocator;
mod candidate;
mod catalog;
mod driver;
mod scenario;
mod work;

use std::process::ExitCode;
use std::time::Duration;

use candidate::Outcome;
use driver::Options;
use scenario::Order;
use scenario::scale::{Point, Tier};

const USAGE: &str = "\
./run [OPTION].. [PIECE]..   measures all scenarios, or those that have a piece in their name or in a candidate's

  --quick       one short round, as a smoke test
  --rounds N    so many rounds; 9 unless told
  --no-builds   leaves out how long programs take to build
  --scale       how cost grows, into results/scale.md; with --quick as a smoke test, beside the program
  --micro       the pieces of a hit, each by itself
  --render      writes table and chart anew from results/samples.tsv

A run of everything in full writes into benches/results and the README, any other into bench-results beside the program.";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["one", scenario, candidate, redis, millis] => one(scenario, candidate, redis, millis),
        ["point", axis, amount, tier, redis, millis] => point([axis, amount, tier, redis, millis]),
        ["--scale"] => driver::scale::run(5, Duration::from_millis(500)),
        ["--scale", "--quick"] => driver::scale::run(1, Duration::from_millis(50)),
        ["--render"] => driver::publish(),
        ["--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        words => options(words).and_then(|options| driver::run(&options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options(words: &[&str]) -> Outcome<Options> {
    let mut options = Options {
        rounds: 9,
        time: Duration::from_secs(1),
        only: Vec::new(),
        builds: true,
        whole: true,
    };
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        match word {
            "--quick" => {
                options.rounds = 1;
                options.time = Duration::from_millis(200);
                options.whole = false;
            }
            "--rounds" => {
                let number = words.next().ok_or("--rounds needs a number")?;
                options.rounds = number.parse()?;
                options.whole &= options.rounds >= 5;
            }
            "--no-builds" => {
                options.builds = false;
                options.whole = false;
            }
            option if option.starts_with('-') => return Err(USAGE.into()),
            piece => {
                options.only.push(piece.to_owned());
                options.whole = false;
            }
        }
    }
    options.builds &= options.only.is_empty() || options.wants("build", "build");
    Ok(options)
}

/// One point of the scale: prints its figures, a line each.
fn point(words: [&str; 5]) -> Outcome<()> {
    let [axis, amount, tier, redis, millis] = words;
    let axis = driver::scale::AXES.iter().find(|known| known.name == axis);
    let point = Point {
        axis: axis.ok_or("there is no such axis")?.axis,
        amount: amount.parse()?,
        tier: if tier == "near" {
            Tier::Near
        } else {
            Tier::Redis
        },
        redis: redis.to_owned(),
        time: Duration::from_millis(millis.parse()?),
    };
    for (figure, value) in scenario::scale::run(&point)? {
        println!("{figure} {value}");
    }
    Ok(())
}

/// One candidate in one scenario: prints its figures, a line each.
fn one(name: &str, candidate: &str, redis: &str, millis: &str) -> Outcome<()> {
    let scenario = catalog::scenario(name).ok_or_else(|| format!("there is no scenario {name}"))?;
    let order = Order {
        kind: scenario.kind,
        candidate: candidate.to_owned(),
        redis: redis.to_owned(),
        time: Duration::from_millis(millis.parse()?),
    };
    for (figure, value) in scenario::run(&order)? {
        println!("{figure} {value}");
    }
    Ok(())
}
