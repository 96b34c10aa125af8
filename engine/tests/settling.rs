//! Money that hangs: a payment that the sale has given up never holds money, however late a question about it comes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flashsale_core::{
    Command, HoldStatus, HoldView, Outcome, PaymentKey, PaymentState, PaymentView, Position, SubjectKey,
};
use flashsale_engine::adapters::sandbox::Sandbox;
use flashsale_engine::ports::{Amount, HoldRow, Payments, ProviderState};
use flashsale_engine::record::Entry;
use flashsale_engine::settler::Settler;
use flashsale_engine::submit::{Submit, Submitted};

mod memory;

use memory::{MemoryLedger, MemoryNotifier, TestClock};

const KEY: PaymentKey = PaymentKey([9; 16]);
const PRICE: Amount = Amount { minor: 20_000, currency: *b"USD" };

/// Takes every command down, and says that it was done.
#[derive(Default)]
struct Written(Mutex<Vec<Command>>);

#[async_trait]
impl Submit for Written {
    async fn submit(&self, entry: Entry, _within: Duration) -> Submitted {
        self.0.lock().unwrap().push(entry.command);
        Submitted::Decided { position: Position::default(), timestamp: 0, outcome: Outcome::Done }
    }
}

/// A ledger with one payment begun for a hold that is over.
fn over() -> MemoryLedger {
    let ledger = MemoryLedger::default();
    let view = HoldView {
        hold: 0,
        subject: SubjectKey([1; 16]),
        item: 0,
        status: HoldStatus::Expired,
        since: 0,
        expires_at: 0,
        payment: None,
        parent: None,
        refund: None,
    };
    let paid = PaymentView { payment: 0, key: KEY, hold: 0, bought: None, state: PaymentState::Started };
    let mut tables = ledger.tables.lock().unwrap();
    tables.holds.insert(0, HoldRow { view, name: None, request: None, confirmed_at: None });
    tables.payments.insert(0, paid);
    drop(tables);
    ledger
}

#[tokio::test]
async fn a_question_that_was_long_on_its_way_finds_its_payment_voided() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Arc::new(Sandbox::open(&folder.path().join("payments.db")).await.unwrap());
    let written = Arc::new(Written::default());
    let mut settler = Settler::new(
        Arc::new(over()),
        sandbox.clone(),
        written.clone(),
        Arc::new(MemoryNotifier::default()),
        Arc::new(TestClock::new()),
    );
    // The gateway died after `pay_start`; its question to the provider has not arrived yet.
    settler.sweep(Duration::ZERO).await;
    assert_eq!(*written.0.lock().unwrap(), [Command::Voided { payment: KEY }]);
    // Now it arrives: the sale has closed the payment, so it must not hold money.
    assert_eq!(sandbox.authorize(KEY, PRICE, "pm_ok").await.unwrap(), ProviderState::Voided);
    assert!(sandbox.capture(KEY).await.is_err());
    assert_eq!(sandbox.look_up(KEY).await.unwrap(), ProviderState::Voided);
}
