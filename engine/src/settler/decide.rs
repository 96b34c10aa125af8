//! What to do about a payment, from what the sale and the provider say of it.

use flashsale_core::PaymentState;

use crate::ports::ProviderState;

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing yet.
    Wait,
    /// Append `confirm`: the money is held.
    Confirm,
    /// Ask the provider to capture.
    Capture,
    /// Append `captured`.
    Captured,
    /// Append `capture_failed`: there is nothing to capture.
    CaptureFailed,
    /// Ask the provider to void, also what it has not heard of yet.
    Void,
    /// Ask the provider to give captured money back.
    GiveBack,
    /// Append `voided`: no money is held, and none ever will be.
    Voided,
}

/// The next step for a payment in `state` of which the provider says `known`; `live`: its hold may still be sold.
#[must_use]
pub fn decide(state: PaymentState, known: &ProviderState, live: bool) -> Action {
    use ProviderState::{Authorized, Captured, Declined, Refunded, RequiresAction, Unknown, Voided};
    match (state, known) {
        (PaymentState::Captured | PaymentState::Voided, _) => Action::Wait,
        (PaymentState::Started, Authorized | Captured) => Action::Confirm,
        // The shopper may still come back from the bank, or the gateway may still ask the provider.
        (PaymentState::Started, RequiresAction(_) | Unknown) if live => Action::Wait,
        // Unknown: a question may still be on its way to the provider. Voided there first, it comes to nothing.
        (PaymentState::Started | PaymentState::ToVoid, RequiresAction(_) | Unknown) => Action::Void,
        (PaymentState::Started | PaymentState::ToVoid, Declined(_) | Voided | Refunded) => Action::Voided,
        (PaymentState::ToVoid, Authorized) => Action::Void,
        (PaymentState::ToVoid, Captured) => Action::GiveBack,
        (PaymentState::Confirmed, Authorized) => Action::Capture,
        (PaymentState::Confirmed, Captured) => Action::Captured,
        (PaymentState::Confirmed, RequiresAction(_) | Declined(_) | Voided | Refunded | Unknown) => {
            Action::CaptureFailed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state of the sale against every state of the provider: no row leaves money held for nothing.
    #[test]
    fn every_pair_has_its_step() {
        let table = "
            started   authorized      live   confirm
            started   authorized      over   confirm
            started   captured        over   confirm
            started   requires_action live   wait
            started   requires_action over   void
            started   unknown         live   wait
            started   unknown         over   void
            started   declined        live   voided
            started   voided          live   voided
            confirmed authorized      over   capture
            confirmed captured        over   captured
            confirmed unknown         over   capture_failed
            confirmed declined        over   capture_failed
            confirmed voided          over   capture_failed
            to_void   authorized      over   void
            to_void   requires_action over   void
            to_void   captured        over   give_back
            to_void   refunded        over   voided
            to_void   voided          over   voided
            to_void   unknown         over   void
            captured  captured        over   wait
            voided    authorized      over   wait
        ";
        for row in table.lines().filter(|row| !row.trim().is_empty()) {
            let words: Vec<&str> = row.split_whitespace().collect();
            let state = match words[0] {
                "started" => PaymentState::Started,
                "confirmed" => PaymentState::Confirmed,
                "captured" => PaymentState::Captured,
                "to_void" => PaymentState::ToVoid,
                _ => PaymentState::Voided,
            };
            let known = match words[1] {
                "authorized" => ProviderState::Authorized,
                "captured" => ProviderState::Captured,
                "requires_action" => ProviderState::RequiresAction(String::new()),
                "declined" => ProviderState::Declined(String::new()),
                "voided" => ProviderState::Voided,
                "refunded" => ProviderState::Refunded,
                _ => ProviderState::Unknown,
            };
            let action = format!("{:?}", decide(state, &known, words[2] == "live"));
            assert_eq!(action.to_lowercase(), words[3].replace('_', ""), "{row}");
        }
    }
}
