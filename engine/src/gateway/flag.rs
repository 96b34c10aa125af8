//! What memory already answers to a reserve, without asking the log: the request's id first, then the flags. Pure.

use flashsale_core::{HoldNumber, ItemIndex, ItemStatus, Phase, Refusal, RequestKey};

use crate::publisher::board::Board;

/// What is known of a reserve before it is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It was granted before.
    Granted(HoldNumber),
    /// A fresh flag refuses it; to be tallied.
    Refused(Refusal),
}

/// What the board says of a reserve. `chosen`: the id, when its caller chose it (a minted one was never seen before).
///
/// A grant is on the board before any flag of the same position: who was granted never hears "sold out".
#[must_use]
pub fn known(board: &Board, chosen: Option<RequestKey>, item: ItemIndex, wait: bool) -> Option<Known> {
    let granted = chosen.and_then(|request| board.granted(request)).map(Known::Granted);
    granted.or_else(|| refusal(board, item, wait).map(Known::Refused))
}

/// What a fresh flag says: only ever a refusal.
#[must_use]
pub fn refusal(board: &Board, item: ItemIndex, wait: bool) -> Option<Refusal> {
    if !board.fresh() {
        return None;
    }
    match board.phase() {
        Phase::Upcoming => return Some(Refusal::NotOpen),
        Phase::Halted => return Some(Refusal::Halted),
        Phase::Closed => return Some(Refusal::Closed),
        Phase::Live => {}
    }
    match board.page(item)?.item.status {
        ItemStatus::SoldOut => Some(Refusal::SoldOut),
        ItemStatus::AllHeld if !wait => Some(Refusal::AllHeld),
        _ => None,
    }
}
