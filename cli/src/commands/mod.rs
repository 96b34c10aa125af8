//! A verb a file: its arguments, and what it does.

pub mod apply;
pub mod audit;
pub mod change;
pub mod completions;
pub mod doctor;
pub mod down;
pub mod engine;
pub mod init;
pub mod ledger;
pub mod logs;
pub mod man;
pub mod plan;
pub mod preflight;
pub mod prewarm;
pub mod recover;
pub mod rehearse;
pub mod report;
pub mod run;
pub mod schema;
pub mod status;
pub mod token;
pub mod up;
pub mod validate;
pub mod watch;
pub mod why;

use crate::args::Command;
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Runs a verb.
pub fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Init(arguments) => init::run(&arguments, context),
        Command::Validate(arguments) => validate::run(&arguments, context),
        Command::Plan(arguments) => plan::run(&arguments, context),
        Command::Up(arguments) => up::run(&arguments, context),
        Command::Preflight(arguments) => preflight::run(&arguments, context),
        Command::Prewarm(arguments) => prewarm::run(&arguments, context),
        Command::Run(arguments) => run::run(&arguments, context),
        Command::Rehearse(arguments) => rehearse::run(&arguments, context),
        Command::Watch(arguments) => watch::run(&arguments, context),
        Command::Status(arguments) => status::run(&arguments, context),
        Command::Halt(arguments) => change::halt(&arguments, context),
        Command::Resume(arguments) => change::resume(&arguments, context),
        Command::Close(arguments) => change::close(&arguments, context),
        Command::Pace(arguments) => change::pace(&arguments, context),
        Command::Adjust(arguments) => change::adjust(&arguments, context),
        Command::Reschedule(arguments) => change::reschedule(&arguments, context),
        Command::Extend(arguments) => change::extend(&arguments, context),
        Command::Apply(arguments) => apply::run(&arguments, context),
        Command::Report(arguments) => report::run(&arguments, context),
        Command::Audit(arguments) => audit::run(&arguments, context),
        Command::Recover(arguments) => recover::run(&arguments, context),
        Command::Ledger(arguments) => ledger::run(&arguments, context),
        Command::Why(arguments) => why::run(&arguments, context),
        Command::Logs(arguments) => logs::run(&arguments, context),
        Command::Token(arguments) => token::run(&arguments, context),
        Command::Down(arguments) => down::run(&arguments, context),
        Command::Engine(arguments) => engine::run(&arguments, context),
        Command::Supervise(arguments) => engine::supervise(&arguments, context),
        Command::Doctor(arguments) => doctor::run(&arguments, context),
        Command::Schema(arguments) => schema::run(&arguments, context),
        Command::Completions(arguments) => completions::run(&arguments, context),
        Command::Man(arguments) => man::run(&arguments, context),
    }
}
