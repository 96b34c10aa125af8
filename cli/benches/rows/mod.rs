//! What benchmarks found, a row a figure: printed at once, kept under `target/benchmarks`, and shown together by the
//! `table` bench. A benchmark includes this file, makes its rows and needs to know of no other.
#![allow(dead_code)] // each benchmark uses a part

use std::fmt::Write as _;
use std::path::PathBuf;

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// At most so much.
    AtMost(f64),
    /// At least so much.
    AtLeast(f64),
    /// It is only told.
    Told,
}

/// The rows of one benchmark.
pub struct Rows {
    name: &'static str,
    lines: Vec<[String; 5]>,
}

impl Rows {
    /// Of the benchmark of that name.
    pub fn of(name: &'static str) -> Self {
        Self { name, lines: Vec::new() }
    }

    /// A figure: what it is, its value and unit, its goal, how it was measured.
    pub fn add(&mut self, what: &str, value: f64, unit: &str, goal: Goal, how: &str) {
        let (goal, passes) = match goal {
            Goal::AtMost(most) => (format!("<= {}", number(most)), Some(value <= most)),
            Goal::AtLeast(least) => (format!(">= {}", number(least)), Some(value >= least)),
            Goal::Told => ("-".to_owned(), None),
        };
        let verdict = passes.map_or("-", |passes| if passes { "pass" } else { "FAIL" });
        self.push([what, &format!("{} {unit}", number(value)), &goal, verdict, how]);
    }

    /// What could not be measured, and why: never left out in silence.
    pub fn not_measured(&mut self, what: &str, why: &str) {
        self.push([what, "-", "-", "not measured", why]);
    }

    fn push(&mut self, cells: [&str; 5]) {
        println!("{}", cells.join("  |  "));
        self.lines.push(cells.map(|cell| cell.replace(['\t', '\n'], " ")));
    }
}

impl Drop for Rows {
    /// Kept for the table, also when a later part of the benchmark fails.
    fn drop(&mut self) {
        let text = self.lines.iter().map(|cells| cells.join("\t") + "\n").collect::<String>();
        if let Err(error) = std::fs::create_dir_all(folder()).and_then(|()| std::fs::write(file(self.name), text)) {
            println!("the rows of {} are not kept: {error}", self.name);
        }
    }
}

/// The kept rows of these benchmarks as one table.
pub fn table(names: &[&str]) -> String {
    let mut lines = vec![["what", "measured", "goal", "verdict", "how"].map(str::to_owned)];
    for name in names {
        match std::fs::read_to_string(file(name)) {
            Ok(text) => lines.extend(text.lines().filter_map(|line| {
                let cells: Vec<String> = line.split('\t').map(str::to_owned).collect();
                cells.try_into().ok()
            })),
            Err(_) => {
                lines.push([&format!("{name} (whole)"), "-", "-", "not measured", "it was not run"].map(str::to_owned))
            }
        }
    }
    let widths: Vec<usize> =
        (0..5).map(|column| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for cells in lines {
        for (cell, width) in cells.iter().zip(&widths).take(4) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        text += cells[4].as_str();
        text += "\n";
    }
    text
}

fn number(value: f64) -> String {
    match value.abs() {
        whole if whole >= 1_000.0 => format!("{value:.0}"),
        some if some >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn file(name: &str) -> PathBuf {
    folder().join(format!("{name}.tsv"))
}

/// Beside what cargo builds: a bench runs as `target/release/deps/NAME-HASH`.
fn folder() -> PathBuf {
    let bench = std::env::current_exe().unwrap_or_default();
    bench.ancestors().nth(3).unwrap_or(&bench).join("benchmarks")
}
