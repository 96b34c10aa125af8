//! Kubernetes cluster scaled to 50% capacity.

use super::{Finding, Scene, not_applicable};

pub(super) fn check(scene: &Scene<'_>) -> Finding {
    let gateways = scene.definition().engine.gateways;
    not_applicable(format!(
        "this sale runs on no Kubernetes cluster; the engine's process has all of its {gateways} gateway(s) at work"
    ))
}
