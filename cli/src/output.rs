//! The only printing: data on standard output, everything else on standard error.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write;

use serde::Serialize;

use crate::args::Format;
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Prints a command's answer: `text` for people, `value` as JSON for programs.
pub fn answer<T: Serialize>(context: &Context, value: &T, text: impl FnOnce() -> String) -> Result<(), Failure> {
    match context.format {
        Format::Table => data(text().trim_end()),
        Format::Json => {
            data(&serde_json::to_string(value).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?)
        }
    }
}

/// Prints one line (or text) of data. A closed pipe ends quietly.
pub fn data(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints raw bytes of data.
pub fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Says something to the person: progress, a note.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Says why a command failed: one JSON object with `--output json`, else the message and its advice.
pub fn failure(context: &Context, failure: &Failure) {
    if context.format == Format::Json {
        let object = serde_json::json!({
            "error": { "exit": failure.exit.code(), "message": failure.message, "help": failure.help }
        });
        note(&object.to_string());
        return;
    }
    note(&format!("flashsale: {}", failure.message));
    if let Some(help) = &failure.help {
        note(&format!("  {help}"));
    }
}

/// Asks for a word to be typed before something that cannot be undone; `--yes` does not stand in for it.
pub fn typed(context: &Context, what: &str, word: &str) -> Result<(), Failure> {
    if !context.interactive {
        return Err(
            Failure::new(Exit::Denied, format!("to {what} needs a confirmation")).help(format!("--confirm {word}"))
        );
    }
    note(&format!("To {what}, type {word}:"));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line.trim() == word { Ok(()) } else { Err(Failure::new(Exit::Denied, "not confirmed; nothing was changed")) }
}

/// Asks for a word to be typed before something that a second thought is owed; `--yes` says that it was given.
pub fn approve(context: &Context, what: &str, word: &str) -> Result<(), Failure> {
    if context.yes {
        return Ok(());
    }
    if !context.interactive {
        return Err(Failure::new(Exit::Denied, format!("to {what} needs approval")).help("--yes"));
    }
    typed(context, what, word)
}

/// Asks yes or no before something that cannot be taken back; `--yes` answers it.
pub fn agree(context: &Context, what: &str) -> Result<(), Failure> {
    if context.yes {
        return Ok(());
    }
    if !context.interactive {
        return Err(Failure::new(Exit::Denied, format!("to {what} needs a yes")).help("--yes"));
    }
    note(&format!("{what}? [y/N]"));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    match line.trim() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Denied, "not confirmed; nothing was changed")),
    }
}
