//! The simulator: the real allocator, publisher, recovery, gateways' decisions and settler, over ports in which everything
//! goes wrong that can. A seed is one small sale, with its own faults, and always comes to the same end.
//!
//! In the order it is put together: [`chance`] and [`sim`] (time and tasks of a seed), [`sale`], [`faults`], [`switch`];
//! the ports [`wire`], [`log`], [`tables`], [`ledger`], [`provider`], [`receivers`]; the process [`engine`] with its
//! [`gateway`]s and [`writer`]; those outside, [`workload`], [`operators`], [`disturber`]; and those who judge, [`oracle`],
//! [`told`], [`invariants`], [`liveness`]. [`seed`] is one run, [`arguments`] and [`runs`] are many.

mod arguments;
mod chance;
mod disturber;
mod engine;
mod faults;
mod gateway;
mod invariants;
mod ledger;
mod liveness;
mod log;
mod operators;
mod oracle;
mod provider;
mod receivers;
mod runs;
mod sale;
mod seed;
mod sim;
mod switch;
mod tables;
mod told;
mod wire;
mod workload;
mod world;
mod writer;

use std::process::ExitCode;

use arguments::{Arguments, help};

#[allow(clippy::print_stdout, clippy::print_stderr)] // a program's output is its purpose
fn main() -> ExitCode {
    match Arguments::read(std::env::args().skip(1)) {
        Ok(Some(arguments)) => {
            let report = runs::run(&arguments);
            println!("{}", report.text);
            if report.passes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Ok(None) => {
            println!("{}", help());
            ExitCode::SUCCESS
        }
        Err(complaint) => {
            eprintln!("simulate: {complaint}\n\n{}", help());
            ExitCode::from(64)
        }
    }
}
