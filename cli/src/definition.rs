//! Sale files as commands read them.

use std::fs;

use flashsale_engine::sale::{LARGEST, MOST, Problem, Sale, environment, read_in};

use crate::exit::{Exit, Failure};

/// Reads a sale file; every complaint is in the failure.
pub fn load(file: &str, sets: &[String]) -> Result<Sale, Failure> {
    let text = text(file)?;
    read_in(&text, file, &environment::settings(), sets).map_err(|problems| complain(&problems))
}

/// The text of a sale file.
pub fn text(file: &str) -> Result<String, Failure> {
    let about = fs::metadata(file)
        .map_err(|error| Failure::new(Exit::BadFile, format!("{file}: {error}")).help("flashsale init sale.yaml"))?;
    if about.len() > LARGEST as u64 {
        return Err(Failure::new(Exit::BadFile, format!("{file}: {} bytes", about.len())).help("at most 1 MiB is read"));
    }
    let bytes = fs::read(file).map_err(|error| Failure::new(Exit::BadFile, format!("{file}: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let (line, column) =
            (before.split('\n').count(), before.rsplit('\n').next().unwrap_or_default().chars().count());
        Failure::new(Exit::BadFile, format!("{file}:{line}:{}: not UTF-8 text", column + 1))
            .help("save the file as UTF-8")
    })
}

/// All complaints in one failure.
pub fn complain(problems: &[Problem]) -> Failure {
    let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        count if count > MOST => format!("more than {MOST} problems"),
        count => format!("{count} problems"),
    };
    Failure::new(Exit::BadFile, format!("{count}\n\n{}", list.join("\n\n")))
}
