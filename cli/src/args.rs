//! The command line as clap sees it. Each verb's own arguments live beside the verb.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands;

/// Runs flash sales: provisions, pre-warms, opens, watches, proves and reports, from one file.
#[derive(Debug, Parser)]
#[command(name = "flashsale", version, after_help = crate::exit::TABLE, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every verb.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Where sales are kept [default: $XDG_STATE_HOME/flashsale or ~/.local/state/flashsale]
    #[arg(long, global = true, env = "FLASHSALE_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// A file with the operator's token [default: $FLASHSALE_TOKEN, else the sale's own]
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// How answers are printed on standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// Answer every confirmation with yes
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
    /// Never ask; what needs an answer fails with exit code 77
    #[arg(long, global = true)]
    pub no_input: bool,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// The verbs, in the order of a sale's day.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a shell's completions
    Completions(commands::completions::Arguments),
}
