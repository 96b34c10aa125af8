//! One seed, from nothing to its verdict.

use std::sync::Arc;
use std::time::Duration;

use crate::faults::Fault;
use crate::sim::{Ending, Sim, WORLD, lock};
use crate::switch::Switch;
use crate::workload::Busy;
use crate::world::World;
use crate::{disturber, engine, liveness, operators, workload};

/// What a seed came to.
#[derive(Debug)]
pub struct Verdict {
    /// How it ended.
    pub ending: Ending,
    /// Commands that were judged.
    pub commands: u64,
    /// How often each fault happened.
    pub faults: [u64; Fault::COUNT],
    /// It ended with a damaged log.
    pub damaged: bool,
}

/// Runs a seed. `story`: keep what happens, in words.
///
/// # Errors
/// See [`crate::sale::Sale::draw`].
pub fn run(seed: u64, switch: Option<Switch>, story: bool) -> Result<Verdict, String> {
    #[cfg(feature = "switches")]
    flashsale_core::switch::take_away(switch.and_then(Switch::of_core));
    let sim = Sim::new(seed, story);
    let world = World::new(&sim, switch)?;
    let busy = Arc::new(Busy::default());
    let length_ms = sim.chance(|chance| chance.between(5_000, 18_000));
    engine::supervise(&world);
    operators::begin(&world, &busy);
    workload::begin(&world, &busy);
    disturber::begin(&world, length_ms);
    sim.spawn(WORLD, liveness::watch(Arc::clone(&world), busy, Duration::from_millis(length_ms)));
    let ending = sim.run();
    let commands = lock(&world.books().judge).commands;
    let damaged = world.damaged.load(std::sync::atomic::Ordering::Relaxed);
    // Engines and world know each other.
    let running = std::mem::take(&mut *lock(&world.engines));
    drop(running);
    Ok(Verdict { ending, commands, faults: world.faults.counts(), damaged })
}
