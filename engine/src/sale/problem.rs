//! A complaint about a sale file: what, where, and what to write instead.

use std::fmt;

use serde::Serialize;

/// Characters of a line that are shown.
const SHOWN: usize = 100;

/// One complaint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// From 1; 0 when it stands in no line (a flag, a missing key of the whole file).
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// The key's path, `items[0].stock`.
    pub path: String,
    /// The line itself.
    pub text: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.file)?;
        if self.line > 0 {
            write!(out, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(out, ": {}", self.path)?;
        }
        write!(out, ": {}", self.message)?;
        if self.line > 0 {
            let number = self.line.to_string();
            let margin = " ".repeat(number.len());
            // A long line is shown around the place; a tab or an escape sequence must not move the mark.
            let skipped = if self.column > SHOWN { self.column - SHOWN / 2 } else { 0 };
            let shown = self.text.chars().skip(skipped).take(SHOWN);
            let text: String = shown.map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
            let caret = " ".repeat(self.column.saturating_sub(1 + skipped));
            write!(out, "\n {margin} |\n {number} | {text}\n {margin} | {caret}^")?;
        }
        if !self.help.is_empty() {
            write!(out, "\n   write: {}", self.help)?;
        }
        Ok(())
    }
}
