//! The chart: a row for each candidate, a dot at its median, a line from the least to the most, on a logarithmic scale.

use std::fmt::Write as _;

use super::samples::{Samples, Spread};
use super::table::number;
use crate::catalog::{label, scenario};

const WIDTH: f64 = 920.0;
const LABELS: f64 = 270.0;
const VALUES: f64 = 90.0;
const ROW: f64 = 21.0;
const HEAD: f64 = 58.0;
const FOOT: f64 = 26.0;

/// One panel: a scenario, which of its figures, and how that is read.
struct Panel {
    scenario: &'static str,
    figure: &'static str,
    unit: &'static str,
    less_is_better: bool,
}

const fn panel(
    scenario: &'static str,
    figure: &'static str,
    unit: &'static str,
    less_is_better: bool,
) -> Panel {
    Panel {
        scenario,
        figure,
        unit,
        less_is_better,
    }
}

const PANELS: [Panel; 6] = [
    panel(
        "near_zipf",
        "ns",
        "ns per hit, less is better; logarithmic scale",
        true,
    ),
    panel(
        "near_zipf_threads",
        "ns",
        "ns per hit, less is better; logarithmic scale",
        true,
    ),
    panel(
        "front_zipf",
        "ns",
        "ns per hit, less is better; logarithmic scale",
        true,
    ),
    panel(
        "redis_1",
        "ns",
        "ns per hit, less is better; logarithmic scale",
        true,
    ),
    panel(
        "redis_256",
        "per_second",
        "hits per second, more is better; logarithmic scale",
        false,
    ),
    panel(
        "storm",
        "bodies",
        "bodies run, less is better; logarithmic scale",
        true,
    ),
];

const STYLE: &str = "<style>
text { font: 13px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #24292f; }
.title { font-weight: 600; font-size: 14px; }
.unit, .scale, .machine { fill: #57606a; font-size: 11.5px; }
.grid { stroke: #d8dee4; }
.range { stroke-width: 2; stroke-linecap: round; }
.ours { fill: #0a5fd8; stroke: #0a5fd8; }
.theirs { fill: #6e7781; stroke: #6e7781; }
text.ours { stroke: none; font-weight: 600; }
</style>\n";

pub fn svg(samples: &Samples, machine: &[(String, String)]) -> String {
    let mut body = String::new();
    let mut top = 12.0;
    for panel in &PANELS {
        top += draw(&mut body, samples, panel, top);
    }
    let value = |name: &str| {
        machine
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    };
    let machine = format!(
        "{}, {}, {}",
        value("date"),
        value("processor"),
        value("rustc")
    );
    let _ = writeln!(
        body,
        "<text class=\"machine\" x=\"12\" y=\"{:.0}\">{}</text>",
        top + 10.0,
        escape(&machine)
    );
    let height = top + 22.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\" aria-label=\"Cost of a cached call\">\n\
         {STYLE}<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

/// Returns the height that it took.
fn draw(body: &mut String, samples: &Samples, panel: &Panel, top: f64) -> f64 {
    let Some(scenario) = scenario(panel.scenario) else {
        return 0.0;
    };
    let mut rows: Vec<(&str, Spread)> = scenario
        .candidates
        .iter()
        .filter_map(|candidate| {
            Some((
                *candidate,
                samples.spread(panel.scenario, candidate, panel.figure)?,
            ))
        })
        .collect();
    if rows.is_empty() {
        return 0.0;
    }
    rows.sort_by(|left, right| left.1.median.total_cmp(&right.1.median));
    if !panel.less_is_better {
        rows.reverse();
    }
    let scale = Scale::over(rows.iter().map(|(_, spread)| *spread));
    let bottom = top + HEAD + ROW * rows.len() as f64;
    let title = scenario.title.replace('`', "");
    let _ = writeln!(
        body,
        "<text class=\"title\" x=\"12\" y=\"{:.0}\">{}</text>",
        top + 16.0,
        escape(&title)
    );
    let _ = writeln!(
        body,
        "<text class=\"unit\" x=\"12\" y=\"{:.0}\">{}</text>",
        top + 33.0,
        panel.unit
    );
    for tick in scale.ticks() {
        let x = scale.x(tick);
        let _ = writeln!(
            body,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.0}\" y2=\"{bottom:.0}\"/><text class=\"scale\" x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            top + HEAD - 10.0,
            top + HEAD - 15.0,
            number(tick)
        );
    }
    for (place, (candidate, spread)) in rows.iter().enumerate() {
        let y = top + HEAD + ROW * (place as f64 + 0.5);
        dot(body, &scale, candidate, *spread, y);
    }
    bottom - top + FOOT
}

fn dot(body: &mut String, scale: &Scale, candidate: &str, spread: Spread, y: f64) {
    let class = if candidate.starts_with("ours") {
        "ours"
    } else {
        "theirs"
    };
    let text_class = if class == "ours" {
        " class=\"ours\""
    } else {
        ""
    };
    let _ = writeln!(
        body,
        "<text{text_class} x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
         <line class=\"range {class}\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
         <circle class=\"{class}\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"/>\
         <text{text_class} x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
        LABELS - 12.0,
        y + 4.5,
        escape(label(candidate)),
        scale.x(spread.least),
        scale.x(spread.most),
        scale.x(spread.median),
        WIDTH - 12.0,
        y + 4.5,
        number(spread.median)
    );
}

/// A logarithmic scale between powers of ten, from one at least.
struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    fn over(spreads: impl Iterator<Item = Spread> + Clone) -> Self {
        let least = spreads
            .clone()
            .map(|spread| spread.least)
            .fold(f64::INFINITY, f64::min);
        let most = spreads.map(|spread| spread.most).fold(1.0, f64::max);
        let from = least.max(1.0).log10().floor();
        Self {
            from,
            to: most.log10().ceil().max(from + 1.0),
        }
    }

    fn x(&self, value: f64) -> f64 {
        let part = (value.max(1.0).log10() - self.from) / (self.to - self.from);
        LABELS + part.max(0.0) * (WIDTH - LABELS - VALUES)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> + use<> {
        let (from, to) = (self.from as i32, self.to as i32);
        (from..=to).map(|power| 10_f64.powi(power))
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
