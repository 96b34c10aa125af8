//! The writer is at the log's end, the gate open, the clocks together.

use super::{Finding, Scene, judged};

/// How far the engine's clock may be from this one, ms.
const CLOCKS: i64 = 2_000;
/// Records that may be on their way while one looks: the writer's own ticks.
const ON_THE_WAY: u64 = 16;

pub(super) fn check(scene: &Scene<'_>) -> Finding {
    let (status, writer) = (&scene.status, &scene.status.writer);
    let apart = scene.apart;
    let behind = writer.log_end.saturating_sub(writer.next_offset);
    let seated = writer.epoch > 0 && behind <= ON_THE_WAY;
    let open = status.gate.is_none() && status.stopped.is_none() && status.unconfirmed.is_none();
    let gate = match (&status.stopped, &status.unconfirmed, &status.gate) {
        (Some(why), ..) => format!("the writer stopped: {why}"),
        (_, Some(why), _) => format!("the ledger confirms nothing: {why}"),
        (.., Some(gate)) => format!("the gate is shut by {}: {}", gate.by, gate.reason),
        _ => "the gate is open".to_owned(),
    };
    let evidence = format!(
        "epoch {}, offset {} of {}; {gate}; the engine's clock is {apart} ms apart",
        writer.epoch, writer.next_offset, writer.log_end
    );
    judged(seated && open && apart < CLOCKS, evidence)
}
