//! Frames as Prometheus text.

use super::catalogue::{CATALOGUE, Kind};
use crate::operator::wire::Frame;

/// The newest frame in the text exposition format, version 0.0.4.
#[must_use]
pub fn text(frame: &Frame) -> String {
    let mut text = String::new();
    for metric in CATALOGUE {
        let (suffix, kind) = if metric.kind == Kind::Counter { ("_total", "counter") } else { ("", "gauge") };
        let name = format!("flashsale_{}{suffix}", metric.name);
        text.push_str(&format!("# HELP {name} {} ({})\n# TYPE {name} {kind}\n", metric.formula, metric.unit));
        for (key, value) in &frame.metrics {
            let (known, labels) = key.split_once('{').map_or((key.as_str(), ""), |(known, rest)| (known, rest));
            if known == metric.name {
                let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}") };
                text.push_str(&format!("{name}{labels} {value}\n"));
            }
        }
    }
    for item in &frame.status.items {
        for (part, units) in [("stock", item.stock), ("held", item.held), ("sold", item.sold)] {
            text.push_str(&format!("flashsale_units{{sku=\"{}\",part=\"{part}\"}} {units}\n", item.sku));
        }
    }
    text
}
