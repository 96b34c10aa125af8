//! The way to a server and back. What was sent arrives whether or not its sender lives to hear of it.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::sim::Sim;

/// What happens to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, and its answer comes back.
    Sound,
    /// It never arrives.
    Lost,
    /// It arrives, and its answer never comes back.
    Unheard,
    /// It arrives after its sender gave up.
    Late,
}

/// How long a way takes, microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// At least.
    pub low: u64,
    /// At most.
    pub high: u64,
    /// When the sender gives up.
    pub limit: Duration,
    /// The latest that a late question arrives after that.
    pub late: Duration,
}

/// Asks: `act` happens where the question arrives. None: no answer came within the limit.
pub async fn ask<T: Send + 'static>(
    sim: &Sim,
    way: Way,
    fate: Fate,
    act: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let there = sim.micros(way.low, way.high);
    match fate {
        Fate::Sound => {}
        Fate::Lost => {
            sim.sleep(way.limit).await;
            return None;
        }
        Fate::Unheard => {
            sim.after(there, move || drop(act()));
            sim.sleep(way.limit).await;
            return None;
        }
        Fate::Late => {
            let late = way.limit + sim.micros(0, u64::try_from(way.late.as_micros()).unwrap_or(0));
            sim.after(late, move || drop(act()));
            sim.sleep(way.limit).await;
            return None;
        }
    }
    let (tell, told) = oneshot::channel();
    sim.after(there, move || _ = tell.send(act()));
    let answer = told.await.ok();
    sim.sleep(sim.micros(way.low, way.high)).await;
    answer
}
