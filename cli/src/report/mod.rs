//! What happened, and the proof: one offline HTML file, Markdown, JSON.

mod charts;
pub mod facts;

use std::path::{Path, PathBuf};

use flashsale_engine::sale::definition::ReportFormat;
use minijinja::{Environment, context};

use crate::exit::{Exit, Failure};
use facts::Facts;

/// Writes the wanted formats; answers their paths.
pub fn write(facts: &Facts, folder: &Path, formats: &[ReportFormat]) -> Result<Vec<PathBuf>, Failure> {
    std::fs::create_dir_all(folder)?;
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Failed, format!("the report: {error}"));
    let mut written = Vec::new();
    for format in formats {
        let (name, text) = match format {
            ReportFormat::Html => ("report.html", render(facts, "report.html", include_str!("report.html.j2"))),
            ReportFormat::Md => ("report.md", render(facts, "report.md", include_str!("report.md.j2"))),
            ReportFormat::Json => ("report.json", serde_json::to_string_pretty(facts).map_err(|error| failed(&error))),
        };
        let path = folder.join(name);
        std::fs::write(&path, text?)?;
        written.push(path);
    }
    Ok(written)
}

fn render(facts: &Facts, name: &'static str, template: &'static str) -> Result<String, Failure> {
    let failed = |error: minijinja::Error| Failure::new(Exit::Failed, format!("the report: {error:#}"));
    let mut environment = Environment::new();
    environment.add_filter("grouped", grouped);
    environment
        .add_filter("money", |minor: i64| format!("{}.{:02}", grouped((minor / 100) as f64), minor.rem_euclid(100)));
    environment.add_template(name, template).map_err(failed)?;
    let charts = charts::all(facts);
    let template = environment.get_template(name).map_err(failed)?;
    template.render(context! { f => minijinja::value::Serde(facts), charts => charts }).map_err(failed)
}

/// `12,345`
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
