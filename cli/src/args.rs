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
    /// Write a commented sale file
    Init(commands::init::Arguments),
    /// Check a sale file
    Validate(commands::validate::Arguments),
    /// Predict what a sale will need, and refuse what cannot work
    Plan(commands::plan::Arguments),
    /// Freeze the definition and start the engine
    Up(commands::up::Arguments),
    /// Answer the checklist of the last hour, line by line with its evidence; exit 69 on no-go
    Preflight(commands::preflight::Arguments),
    /// Warm cache, pools, producers, consumers, brokers and gateways
    Prewarm(commands::prewarm::Arguments),
    /// Run a whole sale: check, start, open, watch, drain, prove, report
    Run(commands::run::Arguments),
    /// Run a sale file as a rehearsal: its own data, sandbox payments, a simulated crowd
    Rehearse(commands::rehearse::Arguments),
    /// Show the war room
    Watch(commands::watch::Arguments),
    /// Print how the sale stands
    Status(commands::status::Arguments),
    /// Refuse reserve with 503 at once; checkout and expiry go on
    Halt(commands::change::Halt),
    /// Go on after a halt
    Resume(commands::change::Plain),
    /// Close for good: no new reservations, open holds may check out
    Close(commands::change::Plain),
    /// Change the pace of grants
    Pace(commands::change::Pace),
    /// Change an item's stock, or say how many units are missing
    Adjust(commands::change::Adjust),
    /// Change the opening time
    Reschedule(commands::change::Moment),
    /// Change the closing time
    Extend(commands::change::Moment),
    /// Apply a changed sale file, as far as a running sale may change
    Apply(commands::apply::Arguments),
    /// Write the report again
    Report(commands::report::Arguments),
    /// Prove that the books are right, or export them
    Audit(commands::audit::Arguments),
    /// Go on after the log lost records
    Recover(commands::recover::Arguments),
    /// Make the ledger's rows anew from the log
    Ledger(commands::ledger::Arguments),
    /// Print the whole history of a reservation
    Why(commands::why::Arguments),
    /// Print a process's log
    Logs(commands::logs::Arguments),
    /// Mint a shopper's token for trying
    Token(commands::token::Arguments),
    /// Stop the sale's processes; the data stays
    Down(commands::down::Arguments),
    /// Run an engine in the foreground
    Engine(commands::engine::Arguments),
    /// Keep an engine running
    #[command(hide = true)]
    Supervise(commands::engine::Place),
    /// Look whether this machine can run a sale
    Doctor(commands::doctor::Arguments),
    /// Print the JSON Schema of sale files
    Schema(commands::schema::Arguments),
    /// Print a shell's completions
    Completions(commands::completions::Arguments),
    /// Print the manual page
    Man(commands::man::Arguments),
}
