//! What `run` walks through: up, preflight, prewarm, arm, live, prove, report. Where it stands follows from the sale itself, so that
//! a `run` that was killed goes on by being started again.

mod countdown;
mod follow;
mod prove;
pub mod warm;

use std::path::PathBuf;

use flashsale_engine::sale::{Folder, Frozen};
use serde::{Deserialize, Serialize};

use crate::args::Format;
use crate::client::Client;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::place::Target;
use crate::preflight::Checked;
use crate::stack::Borrowed;
use crate::{lock, output, supervisor};

use countdown::Counted;
pub use follow::Followed;

/// How a finished run ended; kept in the run's folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// The exit code.
    pub exit: u8,
    /// In a sentence.
    pub verdict: String,
    /// Reports written.
    pub reports: Vec<PathBuf>,
}

/// A sale on its way.
pub struct Journey<'a> {
    /// The command.
    pub context: &'a Context,
    /// Its folder.
    pub folder: Folder,
    /// What was frozen.
    pub frozen: Frozen,
    /// Where reports go; none: `./reports/{sale}-{run}`.
    pub out: Option<PathBuf>,
    /// The verb, for the lease.
    pub verb: &'static str,
    /// Opens although preflight says no-go, for this reason.
    pub force: Option<String>,
    /// The war room is not wanted, though there is a screen.
    pub plain: bool,
}

impl Journey<'_> {
    /// Walks on to the end.
    pub fn walk(&self) -> Result<Exit, Failure> {
        if let Some(summary) = self.summary() {
            output::note("this run is finished; writing its report again (--new-run starts the next)");
            let _servers = Borrowed::of(&self.folder)?;
            let written = prove::prove(self)?;
            self.say("report", &written)?;
            return Ok(exit_of(summary.exit));
        }
        let _lease = lock::take(&self.folder, self.verb)?;
        let addresses = supervisor::start(&self.folder)?;
        self.say("up", &serde_json::json!({ "run": self.frozen.run, "addresses": addresses }))?;
        let client = Client::to(self.context, &Target::Local(self.folder.clone()))?;
        let runtime = crate::runtime()?;
        runtime.block_on(supervisor::seated(&self.folder, &client))?;
        if let Counted::Detached(exit) = runtime.block_on(countdown::countdown(self, &client))? {
            output::note("left before the sale is armed: it stays upcoming unless `flashsale run` goes on");
            return Ok(exit);
        }
        let followed = follow::follow(self, &client, &addresses, &runtime)?;
        if let Followed::Detached(exit) = followed {
            output::note("detached; the sale goes on (flashsale run attaches again, flashsale watch shows it)");
            return Ok(exit);
        }
        let summary = prove::prove(self)?;
        // A finished sale leaves no process behind; its data stays.
        supervisor::stop(&self.folder)?;
        self.keep(&summary)?;
        self.say("report", &summary)?;
        Ok(exit_of(summary.exit))
    }

    /// One phase is done: a line for people, an object for programs.
    pub fn say<T: Serialize>(&self, phase: &str, about: &T) -> Result<(), Failure> {
        let about = serde_json::to_value(about).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        match self.context.format {
            Format::Json => output::data(&serde_json::json!({ "phase": phase, "about": about }).to_string()),
            Format::Table if phase == "report" => {
                output::note(about["verdict"].as_str().unwrap_or_default());
                for report in about["reports"].as_array().into_iter().flatten() {
                    output::data(report.as_str().unwrap_or_default())?;
                }
                Ok(())
            }
            Format::Table if phase == "preflight" => {
                let checked: Checked =
                    serde_json::from_value(about).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
                output::note(&checked.text());
                Ok(())
            }
            Format::Table => {
                output::note(&format!("{phase:<8} {about}"));
                Ok(())
            }
        }
    }

    /// The run's folder.
    pub fn run_folder(&self) -> PathBuf {
        self.folder.run(self.frozen.run)
    }

    fn summary(&self) -> Option<Summary> {
        serde_json::from_slice(&std::fs::read(self.run_folder().join("summary.json")).ok()?).ok()
    }

    fn keep(&self, summary: &Summary) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(summary).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        Ok(std::fs::write(self.run_folder().join("summary.json"), bytes)?)
    }
}

fn exit_of(code: u8) -> Exit {
    match code {
        0 => Exit::Done,
        98 => Exit::Violated,
        99 => Exit::Missed,
        69 => Exit::Unavailable,
        _ => Exit::Failed,
    }
}
