//! Charts as SVG: lines over seconds since the opening, with units, and gaps where nothing was measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use flashsale_engine::telemetry::catalogue::name;

use super::facts::{Facts, Moment};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;
/// A hole in the recording longer than this is shown as one, seconds.
const GAP: f64 = 3.0;

/// A line: the metric, its name for people, its class (colour).
type Line<'a> = (&'a str, &'a str, &'a str);

/// Every chart by its name.
pub fn all(facts: &Facts) -> BTreeMap<&'static str, String> {
    let moments = &facts.moments;
    BTreeMap::from([
        (
            "rates",
            chart(
                moments,
                "requests a second",
                &[(name::READ_RATE, "reads", "a"), (name::WRITE_RATE, "reserves", "b")],
            ),
        ),
        ("stock", chart(moments, "units", &[("sold", "sold", "a"), ("held", "held", "b")])),
        (
            "latency",
            chart(
                moments,
                "reserve latency, ms",
                &[(name::P50_WRITES, "P50", "a"), (name::P95_WRITES, "P95", "b"), (name::P99_WRITES, "P99", "c")],
            ),
        ),
        (
            "queue",
            chart(
                moments,
                "queue: commands, and age in ms",
                &[(name::QUEUE_DEPTH, "depth", "a"), (name::QUEUE_AGE, "age", "b")],
            ),
        ),
    ])
}

fn chart(moments: &[Moment], unit: &str, lines: &[Line<'_>]) -> String {
    let values = |key: &str| -> Vec<(f64, f64)> {
        moments.iter().filter_map(|moment| Some((moment.at, *moment.values.get(key)?))).collect()
    };
    let series: Vec<(Line<'_>, Vec<(f64, f64)>)> = lines.iter().map(|line| (*line, values(line.0))).collect();
    let points = || series.iter().flat_map(|(_, points)| points.iter());
    if points().next().is_none() {
        return format!("<p class=\"none\">{unit}: nothing was measured</p>");
    }
    let first = points().map(|(at, _)| *at).fold(f64::INFINITY, f64::min);
    let last = points().map(|(at, _)| *at).fold(first + 1.0, f64::max);
    let top = nice(points().map(|(_, value)| *value).fold(1.0, f64::max));
    let x = |at: f64| LEFT + (at - first) / (last - first) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{unit}\">");
    for step in 0..=4 {
        let value = top * f64::from(step) / 4.0;
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/><text class=\"y\" x=\"{2}\" y=\"{3:.1}\">{4}</text>",
            WIDTH - RIGHT,
            y(value),
            LEFT - 8.0,
            y(value) + 4.0,
            scale(value, top)
        );
    }
    for step in 0..=6 {
        let at = first + (last - first) * f64::from(step) / 6.0;
        let _ = write!(svg, "<text class=\"x\" x=\"{:.1}\" y=\"{}\">{at:+.0} s</text>", x(at), HEIGHT - 12.0);
    }
    if first < 0.0 && last > 0.0 {
        let _ = write!(
            svg,
            "<line class=\"t0\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{TOP}\" y2=\"{1}\"/>",
            x(0.0),
            HEIGHT - BOTTOM
        );
    }
    for ((_, _, class), points) in &series {
        let mut path = String::new();
        let mut before = f64::NEG_INFINITY;
        for (at, value) in points {
            let command = if at - before > GAP { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", x(*at), y(*value));
            before = *at;
        }
        let _ = write!(svg, "<path class=\"line {class}\" d=\"{path}\"/>");
    }
    svg.push_str("</svg><p class=\"legend\">");
    let _ = write!(svg, "{unit}:");
    for ((_, label, class), _) in &series {
        let _ = write!(svg, " <span class=\"key {class}\"></span> {label}");
    }
    svg.push_str("</p>");
    svg
}

/// A mark on the scale: small scales need a decimal.
fn scale(value: f64, top: f64) -> String {
    if top < 20.0 { format!("{value:.1}") } else { super::grouped(value) }
}

/// The next of 1, 2, 5 times a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(value)
}
