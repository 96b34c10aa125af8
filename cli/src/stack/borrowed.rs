//! The servers of a sale that is down, brought up for as long as somebody reads its books.

use flashsale_engine::sale::Folder;

use super::plan::Plan;
use super::process::Running;
use crate::exit::Failure;
use crate::{output, place, supervisor};

/// Servers that are up, and go down with this if they were started for it.
#[must_use = "the servers go down again with it"]
pub struct Borrowed(Option<Running>);

impl Borrowed {
    /// Brings the servers of a sale up, unless they run or are not ours.
    ///
    /// # Errors
    /// When one does not start.
    pub fn of(folder: &Folder) -> Result<Self, Failure> {
        let Some(plan) = Plan::of(&place::frozen(folder)?.definition.stack) else { return Ok(Self(None)) };
        let all_run = match Running::known(folder)? {
            Some(servers) => servers.servers().iter().all(|server| server.running(folder)),
            // The sale never had any, so there are no books: whoever reads them says so.
            None => true,
        };
        if all_run || supervisor::running(folder, "supervisor") {
            return Ok(Self(None));
        }
        output::note("starting the sale's servers to read its books");
        let running = crate::runtime()?.block_on(Running::start(folder, &plan))?;
        Ok(Self(Some(running)))
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let (Some(running), Ok(runtime)) = (self.0.take(), crate::runtime()) {
            runtime.block_on(running.stop());
        }
    }
}
