//! User tiers pre-computed.

use super::{Finding, Scene, not_applicable};

pub(super) fn check(scene: &Scene<'_>) -> Finding {
    let keys = match scene.definition().engine.token_keys.len() {
        0 => "one key made by `up`".to_owned(),
        several => format!("{several} key(s) of the file"),
    };
    not_applicable(format!(
        "a shopper's tier is a claim of the token that the shop signs: there is no table to compute; tokens are \
         verified with {keys}"
    ))
}
