//! The page of results, in Markdown.

use std::fmt::Write as _;

use super::samples::{Samples, Spread};
use crate::catalog::{SCENARIOS, Scenario, label};

/// The whole page.
pub fn whole(samples: &Samples, machine: &[(String, String)], reach: &str) -> String {
    let mut text = "# What a cached call costs\n\n".to_owned();
    let _ = writeln!(
        text,
        "This page and its chart are written by `benches/run`; the numbers behind them are in [samples.tsv](samples.tsv).\n"
    );
    text.push_str("| | |\n| --- | --- |\n");
    for (name, value) in machine {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    let _ = writeln!(
        text,
        "\nEach figure is the median of {} interleaved rounds, with the least and the most; each run has a process of its own.\n\
         Every candidate does the same work: a key of a number and a text, and a value of five heap allocations, behind an `Arc` or cloned.\n\
         Ratios are those within a round.\n\
         hitbox and multi-tier-cache keep encoded bytes, so they return a value of its own to each caller, behind an `Arc` or not.\n\
         Near hits and Redis hits are on one thread unless something else is said; the server has the other core.\n",
        samples.count()
    );
    let _ = writeln!(
        text,
        "![The most important figures as a chart](chart.svg)\n\n## Reach\n\n{reach}\n## Figures\n"
    );
    for scenario in SCENARIOS {
        table(&mut text, samples, scenario);
    }
    builds(&mut text, samples);
    text
}

const FROM: &str = "<!-- from here to the next mark written by benches/run -->";
const TO: &str = "<!-- to here -->";

/// What the project's README shows.
pub fn section(machine: &[(String, String)], rounds: usize, reach: &str) -> String {
    let value = |name: &str| {
        machine
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    };
    format!(
        "Measured by `{}` on {}: {}, {}, {}.\n\
         Peers: {}.\n\
         Medians of {rounds} interleaved rounds, with the least and the most; ratios are those within a round.\n\
         Every figure is in [`benches/results`](benches/results/README.md).\n\n\
         ![The cost of a cached call beside that of others](benches/results/chart.svg)\n\n{reach}",
        value("command"),
        value("date"),
        value("processor"),
        value("rustc"),
        value("server").split(" sha=").next().unwrap_or_default(),
        value("versions")
    )
}

/// The text with another section between the marks.
pub fn between_marks(text: &str, section: &str) -> Result<String, &'static str> {
    let (before, rest) = text.split_once(FROM).ok_or("README.md has no mark")?;
    let (_, after) = rest.split_once(TO).ok_or("README.md has one mark")?;
    Ok(format!("{before}{FROM}\n\n{section}\n{TO}{after}"))
}

fn table(text: &mut String, samples: &Samples, scenario: &Scenario) {
    let Some((first, _)) = scenario.figures.first() else {
        return;
    };
    let mut rows: Vec<(f64, &str)> = scenario
        .candidates
        .iter()
        .filter_map(|candidate| {
            Some((
                samples.spread(scenario.name, candidate, first)?.median,
                *candidate,
            ))
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    rows.sort_by(|left, right| left.0.total_cmp(&right.0));
    if *first == "per_second" {
        rows.reverse();
    }
    let heads: Vec<&str> = scenario.figures.iter().map(|(_, head)| *head).collect();
    let _ = writeln!(
        text,
        "### {}\n\n| | {} |\n| --- |{}",
        scenario.title,
        heads.join(" | "),
        " --- |".repeat(heads.len())
    );
    for (_, candidate) in rows {
        let cells: Vec<String> = scenario
            .figures
            .iter()
            .map(|(figure, _)| cell(samples.spread(scenario.name, candidate, figure)))
            .collect();
        let _ = writeln!(text, "| {} | {} |", label(candidate), cells.join(" | "));
    }
    text.push('\n');
}

fn builds(text: &mut String, samples: &Samples) {
    if samples.spread("build", "ours", "seconds").is_none() {
        return;
    }
    text.push_str("### Building\n\n| | clean debug build, s | the same, in processor time | lines of `cargo tree` | ms per annotated function, checked |\n| --- | --- | --- | --- | --- |\n");
    for (candidate, name) in [
        ("ours", "cache-runtime, default features"),
        ("cached", "cached, async and Redis"),
    ] {
        let cells = [
            cell(samples.spread("build", candidate, "seconds")),
            cell(samples.spread("build", candidate, "processor_s")),
            cell(samples.spread("build", candidate, "tree")),
            cell(samples.spread("check", candidate, "ms")),
        ];
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
}

fn cell(spread: Option<Spread>) -> String {
    let Some(Spread {
        median,
        least,
        most,
    }) = spread
    else {
        return "-".to_owned();
    };
    if (most - least).abs() < 0.005 * most.abs().max(1.0) {
        return number(median);
    }
    format!("{} ({} .. {})", number(median), number(least), number(most))
}

/// Three or four digits, with commas between thousands.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        _ if value.fract() == 0.0 => 0,
        small if small < 10.0 => 2,
        medium if medium < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text.as_str(), None), |(whole, fraction)| {
            (whole, Some(fraction))
        });
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0
            && (whole.len() - place) % 3 == 0
            && digit.is_ascii_digit()
            && !grouped.ends_with('-')
        {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{grouped}.{fraction}"),
        None => grouped,
    }
}
