//! The state's digest: a wrapping sum of one mixed word per hold, item and payment. The audit recomputes it from the
//! ledger's rows alone, so each word is made of exactly what a row holds.

use crate::command::{HoldNumber, ItemIndex, PaymentNumber};
use crate::outcome::Effect;
use crate::state::State;
use crate::view::{HoldView, ItemView, PaymentView};

const HOLD: u64 = 0x686f_6c64;
const ITEM: u64 = 0x6974_656d;
const PAYMENT: u64 = 0x7061_796d;

/// The word of a hold's row.
#[must_use]
pub fn hold_word(hold: &HoldView) -> u64 {
    let [low, high] = hold.subject.words();
    let refund = hold.refund.map_or(0, |refund| 1 + refund.state as u64 * 2 + u64::from(refund.restock));
    mix(&[
        HOLD << 32 | u64::from(hold.hold),
        low,
        high,
        u64::from(hold.item) << 16 | (hold.status as u64) << 8 | refund,
        hold.since,
        hold.expires_at.cast_unsigned(),
        hold.payment.map_or(0, |payment| u64::from(payment) + 1) << 32
            | hold.parent.map_or(u64::from(u32::MAX), u64::from),
    ])
}

/// The word of an item's row.
#[must_use]
pub fn item_word(item: ItemIndex, stock: u32, shortage: u32, held: u32, sold: u32, waiting: u32) -> u64 {
    mix(&[
        ITEM << 32 | u64::from(item),
        u64::from(stock) << 32 | u64::from(shortage),
        u64::from(held) << 32 | u64::from(sold),
        u64::from(waiting),
    ])
}

/// The word of a payment's row.
#[must_use]
pub fn payment_word(payment: &PaymentView) -> u64 {
    let key = u128::from_le_bytes(payment.key.0);
    #[allow(clippy::cast_possible_truncation)] // the two halves, on purpose
    mix(&[
        PAYMENT << 32 | u64::from(payment.payment),
        key as u64,
        (key >> 64) as u64,
        u64::from(payment.hold) << 32 | payment.bought.map_or(u64::from(u32::MAX), u64::from),
        payment.state as u64,
    ])
}

/// SplitMix64's finalizer over a running word: every input bit reaches every output bit.
fn mix(words: &[u64]) -> u64 {
    words.iter().fold(0x9e37_79b9_7f4a_7c15, |sum: u64, word| {
        let mut mixed = sum.rotate_left(29) ^ word.wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    })
}

fn view_word(item: &ItemView) -> u64 {
    item_word(item.item, item.stock, item.shortage, item.held, item.sold, item.waiting)
}

impl State {
    /// The digest of the rows as they stand, from nothing.
    pub(crate) fn recount_digest(&self) -> u64 {
        let holds = self.holds().map(|hold| hold_word(&hold));
        let items = self.items().map(|item| view_word(&item));
        let payments = self.payments().map(|payment| payment_word(&payment));
        holds.chain(items).chain(payments).fold(0, u64::wrapping_add)
    }

    /// Changes a hold (or what lives beside it) and its word with it.
    pub(crate) fn change_hold(&mut self, number: HoldNumber, change: impl FnOnce(&mut Self)) {
        let before = self.hold(number).map_or(0, |hold| hold_word(&hold));
        change(self);
        let after = self.hold(number).map_or(0, |hold| hold_word(&hold));
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
    }

    /// Changes an item's numbers and its word with them.
    pub(crate) fn change_item(
        &mut self,
        item: ItemIndex,
        effects: &mut Vec<Effect>,
        change: impl FnOnce(&mut crate::item::Item),
    ) {
        let Some(numbers) = self.items.get_mut(usize::from(item)) else { return };
        let word = |numbers: &crate::item::Item| {
            item_word(item, numbers.stock, numbers.shortage, numbers.held, numbers.sold, numbers.waiting)
        };
        let before = word(numbers);
        change(numbers);
        let after = word(numbers);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
        if effects.last() != Some(&Effect::Item { item }) {
            effects.push(Effect::Item { item });
        }
    }

    pub(crate) fn count_payment(&mut self, payment: PaymentNumber) {
        let word = self.payment(payment).map_or(0, |paid| payment_word(&paid));
        self.digest = self.digest.wrapping_add(word);
    }

    pub(crate) fn uncount_payment(&mut self, payment: PaymentNumber) {
        let word = self.payment(payment).map_or(0, |paid| payment_word(&paid));
        self.digest = self.digest.wrapping_sub(word);
    }
}
