//! One hold in 32 bytes.

use serde::{Deserialize, Serialize};

use crate::command::{ItemIndex, PaymentNumber};
use crate::key::SubjectKey;
use crate::view::HoldStatus;

const NO_PAYMENT: u32 = u32::MAX;

/// One hold. Rare things (its parent, its refund) live in maps beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) subject: SubjectKey,
    /// Since when it is held, offered or waiting: log time since the opening, ms.
    pub(crate) since: u32,
    /// The broker's time less log time at that moment, ms.
    pub(crate) drift: i32,
    payment: u32,
    pub(crate) item: ItemIndex,
    status: HoldStatus,
    offered: bool,
}

const _: () = assert!(size_of::<Hold>() == 32);

impl Hold {
    pub(crate) const fn new(subject: SubjectKey, item: ItemIndex, since: u32, drift: i32, status: HoldStatus) -> Self {
        Self { subject, since, drift, payment: NO_PAYMENT, item, status, offered: false }
    }

    pub(crate) const fn status(&self) -> HoldStatus {
        self.status
    }

    pub(crate) const fn set_status(&mut self, status: HoldStatus) {
        match status {
            HoldStatus::Offered => self.offered = true,
            HoldStatus::Held => self.offered = false,
            _ => {}
        }
        self.status = status;
    }

    /// Whether its present deadline is (or its last one was) an offer's.
    pub(crate) const fn was_offered_last(&self) -> bool {
        self.offered
    }

    pub(crate) const fn payment(&self) -> Option<PaymentNumber> {
        if self.payment == NO_PAYMENT { None } else { Some(self.payment) }
    }

    pub(crate) const fn set_payment(&mut self, payment: PaymentNumber) {
        self.payment = payment;
    }
}
