//! What every command knows: where sales are kept, how to print, whether to ask.

use std::io::IsTerminal;
use std::path::PathBuf;

use crate::args::{Format, Global};

/// What every command knows.
#[derive(Debug, Clone)]
pub struct Context {
    /// `--state-dir`, when given.
    pub state_dir: Option<PathBuf>,
    /// `--token-file`, when given.
    pub token_file: Option<PathBuf>,
    /// How answers are printed.
    pub format: Format,
    /// `--yes`.
    pub yes: bool,
    /// A person is there to answer: standard input and error are terminals, and `--no-input` was not given.
    pub interactive: bool,
    /// Standard output is a terminal: the war room can be shown.
    pub screen: bool,
}

impl Context {
    /// From the options that every verb has.
    pub fn new(global: &Global) -> Self {
        let person = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Self {
            state_dir: global.state_dir.clone(),
            token_file: global.token_file.clone(),
            format: global.output,
            yes: global.yes,
            interactive: person && !global.no_input,
            screen: person && std::io::stdout().is_terminal() && !global.no_input,
        }
    }
}
