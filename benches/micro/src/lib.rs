//! Times small pieces of work against each other, in rounds, so that what slows the machine down meanwhile slows all of them.

use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 25;

/// How long a piece of work is repeated in each round.
const TIME: Duration = Duration::from_millis(10);

/// Pieces of work with their names.
#[derive(Default)]
pub struct Cases<'a>(Vec<(String, Box<dyn FnMut() + 'a>)>);

impl<'a> Cases<'a> {
    pub fn add<T>(&mut self, name: &str, mut work: impl FnMut() -> T + 'a) {
        let work = move || {
            black_box(work());
        };
        self.0.push((name.to_owned(), Box::new(work)));
    }

    /// Prints the nanoseconds of each: the median of the rounds, the least and the most.
    pub fn run(mut self) {
        let repetitions: Vec<u32> = self
            .0
            .iter_mut()
            .map(|(_, work)| repetitions(work))
            .collect();
        let mut times = vec![Vec::new(); self.0.len()];
        for _ in 0..ROUNDS {
            for (place, (_, work)) in self.0.iter_mut().enumerate() {
                let start = Instant::now();
                for _ in 0..repetitions[place] {
                    work();
                }
                times[place]
                    .push(start.elapsed().as_nanos() as f64 / f64::from(repetitions[place]));
            }
        }
        println!(
            "{:<44}{:>10}{:>10}{:>10}",
            "ns each", "median", "least", "most"
        );
        for ((name, _), times) in self.0.iter().zip(&mut times) {
            times.sort_by(f64::total_cmp);
            let (least, most) = (times[0], times[ROUNDS - 1]);
            println!(
                "{name:<44}{:>10.1}{least:>10.1}{most:>10.1}",
                times[ROUNDS / 2]
            );
        }
    }
}

/// How often it is done in the time of a round.
fn repetitions(work: &mut dyn FnMut()) -> u32 {
    let mut count = 1;
    loop {
        let start = Instant::now();
        for _ in 0..count {
            work();
        }
        if start.elapsed() >= TIME {
            return count;
        }
        count *= 2;
    }
}
