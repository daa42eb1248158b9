//! What was measured: for each scenario, candidate and figure one number a round.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::candidate::Outcome;

type Name = (String, String, String);

/// All numbers of a run.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<Name, BTreeMap<usize, f64>>);

/// The middle of several numbers, and their ends.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        let middle = numbers.len() / 2;
        let median = match numbers.len() % 2 {
            _ if numbers.is_empty() => return None,
            1 => numbers[middle],
            _ => f64::midpoint(numbers[middle - 1], numbers[middle]),
        };
        Some(Self {
            median,
            least: numbers[0],
            most: numbers[numbers.len() - 1],
        })
    }
}

impl Samples {
    pub fn add(&mut self, scenario: &str, candidate: &str, figure: &str, round: usize, value: f64) {
        let name = (scenario.to_owned(), candidate.to_owned(), figure.to_owned());
        self.0.entry(name).or_default().insert(round, value);
    }

    fn rounds(
        &self,
        scenario: &str,
        candidate: &str,
        figure: &str,
    ) -> Option<&BTreeMap<usize, f64>> {
        let name = (scenario.to_owned(), candidate.to_owned(), figure.to_owned());
        self.0.get(&name)
    }

    pub fn spread(&self, scenario: &str, candidate: &str, figure: &str) -> Option<Spread> {
        Spread::of(self.rounds(scenario, candidate, figure)?.values().copied())
    }

    /// One figure over another, round by round, so that what slows a whole round down is in both.
    pub fn ratio(&self, over: [&str; 3], under: [&str; 3]) -> Option<Spread> {
        let over = self.rounds(over[0], over[1], over[2])?;
        let under = self.rounds(under[0], under[1], under[2])?;
        let both = over
            .iter()
            .filter_map(|(round, over)| Some(over / under.get(round)?));
        Spread::of(both)
    }

    /// How many rounds there were.
    pub fn count(&self) -> usize {
        self.0.values().map(BTreeMap::len).max().unwrap_or(0)
    }

    /// Lines of scenario, candidate, figure and the numbers, below what was measured on.
    pub fn to_text(&self, machine: &[(String, String)]) -> String {
        let mut text = String::new();
        for (name, value) in machine {
            let _ = writeln!(text, "# {name}\t{value}");
        }
        for ((scenario, candidate, figure), rounds) in &self.0 {
            let _ = write!(text, "{scenario}\t{candidate}\t{figure}");
            for (round, value) in rounds {
                let _ = write!(text, "\t{round}:{value:.6}");
            }
            text.push('\n');
        }
        text
    }

    pub fn from_text(text: &str) -> Outcome<(Self, Vec<(String, String)>)> {
        let (mut samples, mut machine) = (Self::default(), Vec::new());
        for line in text.lines() {
            let mut words = line.split('\t');
            let mut word = || words.next().ok_or(format!("a line is cut short: {line}"));
            if line.starts_with('#') {
                let name = word()?.trim_start_matches("# ").to_owned();
                machine.push((name, word()?.to_owned()));
                continue;
            }
            let (scenario, candidate, figure) = (word()?, word()?, word()?);
            for word in words {
                let (round, value) = word.split_once(':').ok_or("a number has no round")?;
                samples.add(scenario, candidate, figure, round.parse()?, value.parse()?);
            }
        }
        Ok((samples, machine))
    }
}
